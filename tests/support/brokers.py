"""Which Kafka the tests run on: a given one, Docker's, or the development broker that ships with the program."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from worker.broker import ports
from worker.broker.apache import ApacheKafka
from worker.broker.jars import KAFKA_VERSION
from worker.broker.properties import LOOPBACK, SMALL
from worker.errors import WorkerError

BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
DOCKER_SOCKET = Path("/var/run/docker.sock")
STARTUP_TIMEOUT_SECONDS = 120.0
NO_KAFKA = "no Kafka could be started: "


@dataclass(frozen=True, slots=True)
class KafkaUnderTest:
    """``origin`` says where it comes from: "given", "docker" or "apache"."""

    bootstrap: str
    origin: str


class NoKafkaError(Exception):
    """Nothing could be started; the text says why, for each way that was tried."""


def no_kafka(reason: str) -> NoReturn:
    """Skip, which is told at the end of the run; under CI that is a failure."""
    if under_ci():
        pytest.fail(NO_KAFKA + reason, pytrace=False)
    pytest.skip(NO_KAFKA + reason)


def under_ci(environment: Mapping[str, str] = os.environ) -> bool:
    return environment.get("CI", "").lower() in {"1", "true"}


@contextlib.contextmanager
def any_kafka(environment: Mapping[str, str] = os.environ) -> Iterator[KafkaUnderTest]:
    """The first that can be had, in the order above; raises NoKafkaError."""
    with contextlib.ExitStack() as stack:
        yield _first(stack, environment)


def _first(stack: contextlib.ExitStack, environment: Mapping[str, str]) -> KafkaUnderTest:
    if given := environment.get(BOOTSTRAP_VARIABLE):
        return KafkaUnderTest(given, "given")
    failures = []
    if docker_is_there(environment):
        try:
            return KafkaUnderTest(stack.enter_context(_docker_kafka()), "docker")
        except Exception as error:  # noqa: BLE001 - an image that can't be pulled has many faces; the next way is tried
            failures.append(f"Docker: {error}")
    try:
        return KafkaUnderTest(stack.enter_context(ApacheKafka()).bootstrap, "apache")
    except WorkerError as error:
        failures.append(error.message)
    raise NoKafkaError("; ".join(failures))


def docker_is_there(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a daemon on this machine answers. Without a socket that takes no time and imports nothing."""
    host = environment.get("DOCKER_HOST", f"unix://{DOCKER_SOCKET}")
    if not host.startswith("unix://") or not Path(host.removeprefix("unix://")).is_socket():
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other people's deprecations are no failure of a test of ours
        import docker  # type: ignore[import-untyped]  # noqa: PLC0415 - it ships no types; only where there is a socket

        try:
            client = docker.DockerClient(base_url=host, timeout=1)
        except docker.errors.DockerException:
            return False
        with contextlib.closing(client):
            try:
                return bool(client.ping())
            except (docker.errors.DockerException, OSError):
                return False


@contextlib.contextmanager
def _docker_kafka() -> Iterator[str]:
    (port,) = ports.free(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - half a second, and rarely needed

        container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}")
        for key, value in _container_properties(port).items():
            container.with_env("KAFKA_" + key.upper().replace(".", "_"), value)
        container.ports[f"{port}/tcp"] = (LOOPBACK, port)  # type: ignore[assignment]  # handed to docker-py, which knows it
        with container:
            _await_answer(f"{LOOPBACK}:{port}")
            yield f"{LOOPBACK}:{port}"


def _container_properties(port: int) -> dict[str, str]:
    return {
        **SMALL,
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": "1@localhost:29093",
        "listeners": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://localhost:29093",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    }


def _await_answer(bootstrap: str) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + STARTUP_TIMEOUT_SECONDS
    while True:
        try:
            if client.list_topics(timeout=1).brokers:
                return
        except KafkaException:
            if time.monotonic() > deadline:
                raise
