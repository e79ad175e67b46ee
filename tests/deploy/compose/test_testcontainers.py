"""The tests' own Kafka where there is a Docker: testcontainers starts the image that Compose names."""

from __future__ import annotations

import pytest

from tests.deploy.compose.daemon import dockerd, output
from tests.support.brokers import any_kafka
from tests.support.kafka import read_all
from worker.broker.topics import create_topics
from worker.kafka.probe import probe
from worker.settings import Settings

pytestmark = [pytest.mark.timeout(600)]


def test_testcontainers_starts_the_image(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is chosen before our own broker, and a record goes through it and back in a transaction."""
    if not request.config.getoption("--compose"):
        pytest.skip("runs with make compose-test")
    output("ip", "link", "set", "lo", "up")
    # What would remove the container after us is an image of its own, which can't be pulled everywhere.
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    with dockerd(networks=True) as docker:
        monkeypatch.setenv("DOCKER_HOST", docker.host)
        with any_kafka() as kafka:
            assert kafka.origin == "docker"
            assert "apache/kafka" in docker("ps", "--format", "{{.Image}}")
            create_topics(kafka.bootstrap, {"through": 1})
            settings = Settings.model_validate(
                {
                    "kafka": {"bootstrap": kafka.bootstrap, "group": "through"},
                    "topics": {"input": "input"},
                    "event": {"schema": "event.avsc"},
                    "model": {"bundle": "bundle"},
                }
            )
            assert probe(settings, "through").seconds > 0
            assert len(read_all(kafka.bootstrap, "through")) == 1
        assert docker("ps", "--quiet") == ""
