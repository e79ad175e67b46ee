"""One secured Kafka for all of these tests, and a user with all that a worker needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.security.bed import PLAIN_PASSWORD, Bed, pack_loans, scram
from tests.support.brokers import no_kafka
from tests.support.secured import SecuredKafka, secured_kafka
from worker.broker import jars
from worker.errors import WorkerError


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Always one of its own: a given one, or Docker's, is secured otherwise."""
    reason = None
    try:
        jars.java()
        jars.class_path()
    except WorkerError as error:
        reason = error.message
    if reason is not None:
        no_kafka(reason)
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(secured_kafka(tmp_path_factory.mktemp("secured"), {"plain": PLAIN_PASSWORD}))


@pytest.fixture(scope="session")
def loans_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_loans(tmp_path_factory.mktemp("bundles") / "loans")


@pytest.fixture
def bed(tmp_path: Path, secured: SecuredKafka, loans_bundle: Path) -> Bed:
    """A user by SCRAM, who has exactly the ACLs of a worker."""
    user = f"worker-{tmp_path.name}"
    options = scram(secured, tmp_path, user)
    bed = Bed(tmp_path, secured, loans_bundle, options, secured.sasl, user)
    secured.grant(user, bed.worker_grants().values())
    return bed
