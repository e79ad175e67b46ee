"""Canary secrets: a password, a key's password, a registry's; in none of the places where people look."""

from __future__ import annotations

import base64
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.fleet import Fleet
from tests.integration.security.bed import PASSWORD, Bed
from tests.support.registry import RegistryServer, registry_server, server_context
from tests.support.waiting import wait_until
from worker.broker.ports import free
from worker.errors import ExitCode

REGISTRY_PASSWORD = "canary-Zp44-registry"
PAIR = base64.b64encode(f"worker:{REGISTRY_PASSWORD}".encode()).decode()
CANARIES = (PASSWORD, REGISTRY_PASSWORD, PAIR, base64.b64encode(PASSWORD.encode()).decode())
# A bug in the middle of a worker that is on its way.
CRASH = """
import sys
from worker.kafka.source import KafkaSource

def broken(source, limit):
    settings = source._consumer
    raise RuntimeError("a bug")

KafkaSource.poll = broken
from worker.cli import main
sys.argv = ["prediction-worker", "run", "--config", sys.argv[1]]
main()
"""


@pytest.fixture
def registry(bed: Bed) -> Iterator[RegistryServer]:
    """Over TLS, with a password; the bed's worker asks it."""
    issued = bed.kafka.authority.issue("registry")
    with registry_server(server_context(str(issued.certificate), str(issued.key))) as server:
        server.authorization = f"Basic {PAIR}"
        secret = bed.folder / "registry-password"
        secret.write_text(REGISTRY_PASSWORD)
        bed.settings["registry"] = {
            "url": server.url,
            "username": "worker",
            "password": f"file:{secret}",
            "ca": str(bed.kafka.authority.ca),
            "outputs": "register",
        }
        yield server


def found_in(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


def fetched(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return str(error.headers) + error.read().decode()


def test_at_every_level(bed: Bed, registry: RegistryServer) -> None:
    """A worker that logs all there is, librdkafka's debugging included, logs no secret; nor do metrics and health."""
    (port,) = free(1)
    bed.options["debug"] = "all"
    bed.settings["telemetry"] = {"port": port, "log_level": "debug"}
    bed.write(0, 5)
    with Fleet(bed.config) as fleet:
        worker = fleet.start()
        wait_until(lambda: bed.predictions() == 5 or not worker.running, 60)
        served = "".join(fetched(port, path) for path in ("/metrics", "/healthz", "/readyz", "/"))
        assert fleet.stop(30) == [ExitCode.OK], worker.last_words()
        log = worker.text()
    assert registry.asked["/schemas/types"] == 1
    assert "sasl.mechanism" in log  # what librdkafka says of its own configuration is there
    assert "model_predictions_total" in served
    assert found_in(log + served) == []


def test_where_settings_are_shown(bed: Bed, registry: RegistryServer) -> None:
    """``config show`` and ``config check`` show where secrets are, not what."""
    assert registry.url
    for command in (("config", "show"), ("config", "show", "--json"), ("config", "check")):
        code, text = bed.says(*command)
        assert code == ExitCode.OK, text
        assert found_in(text) == []
    assert f"file:{bed.folder / 'password'}" in bed.says("config", "show")[1]


def test_in_the_environment(bed: Bed) -> None:
    """A secret that the environment holds as it is, is starred."""
    environment = {"WORKER_KAFKA__OPTIONS": f'{{"sasl.password": "{PASSWORD}"}}'}
    code, text = bed.says("config", "show", environment=environment)
    assert code == ExitCode.OK, text
    assert "********" in text
    assert found_in(text) == []


def test_where_something_is_wrong(bed: Bed, registry: RegistryServer, caplog: pytest.LogCaptureFixture) -> None:
    """Errors about secrets name their setting, and none of them."""
    registry.authorization = "Basic something else"
    texts = {"registry.username": bed.checked()}
    (bed.folder / "registry-password").unlink()
    texts["registry.password"] = bed.checked()
    (bed.folder / "registry-password").write_text(REGISTRY_PASSWORD)
    (bed.folder / "password").write_text(PASSWORD + "x")
    texts["sasl.username"] = bed.checked()
    for setting, (code, text) in texts.items():
        assert code == ExitCode.CONFIGURATION, text
        assert setting in text
        assert found_in(text) == []
    assert found_in(caplog.text) == []


def test_in_a_crash(bed: Bed, registry: RegistryServer) -> None:
    """A bug's traceback shows no secret."""
    assert registry.url
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(bed.config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.BUG
    assert "RuntimeError: a bug" in done.stderr
    assert found_in(done.stdout + done.stderr) == []


def test_the_canaries_can_be_found(tmp_path: Path) -> None:
    """The search is one that finds what is there."""
    (tmp_path / "log").write_text(f"x {PASSWORD} y {PAIR}")
    assert found_in((tmp_path / "log").read_text()) == [PASSWORD, PAIR]
