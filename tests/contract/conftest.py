"""One suite, two edges: in memory, and on a real broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import cast

import pytest

from tests.contract.edges import EDGES, Edges, edges_for
from worker.settings import Mode


@pytest.fixture(params=EDGES)
def edges(request: pytest.FixtureRequest) -> Iterator[Edges]:
    yield from edges_for(request)


@pytest.fixture
def group() -> str:
    return f"group-{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["exactly-once", "at-least-once"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return cast("Mode", request.param)
