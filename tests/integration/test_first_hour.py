"""The errors a user makes in the first hour: each gives one clear message with the way out, and its exit code."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # public, but not re-exported by name

from examples.flights.pack import pack_flights
from tests.conftest import MakeTopic
from tests.support.brokers import KafkaUnderTest
from worker.broker.ports import free
from worker.broker.topics import create_topics
from worker.errors import ExitCode
from worker.kafka.topics import LETTER_ROOM_BYTES

SCHEMA = Path("schemas/flight.avsc")


@pytest.fixture(scope="module")
def flights_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("bundles") / "flights"
    pack_flights(to)
    return to


@dataclass
class User:
    """Somebody with a TOML file and a shell."""

    folder: Path
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def says(self, *command: str) -> tuple[int, str]:
        """Exit code and what is printed."""
        lines = []
        for section, entries in self.settings.items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in entries.items())]
        (self.folder / "worker.toml").write_text("\n".join(lines), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "worker", *command],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def user(tmp_path: Path, flights_bundle: Path, kafka: KafkaUnderTest, make_topic: MakeTopic) -> User:
    """Whose set-up is right in everything; each test makes one mistake."""
    topic = make_topic(partitions=2)
    create_topics(kafka.bootstrap, {f"{topic}.predictions": 2, f"{topic}.dlq": 2, f"{topic}.drift-sketches": 1})
    shutil.copy(SCHEMA, tmp_path / "flight.avsc")
    shutil.copytree(flights_bundle, tmp_path / "bundle")
    return User(
        tmp_path,
        {
            "kafka": {"bootstrap": kafka.bootstrap, "group": f"{topic}-worker"},
            "topics": {"input": topic},
            "event": {"schema": "flight.avsc", "id": "id", "time": "scheduled_at"},
            "model": {"bundle": "bundle"},
            "telemetry": {"port": 0},
        },
    )


def test_all_is_well(user: User) -> None:
    """A right set-up passes the check."""
    code, text = user.says("config", "check")
    assert code == ExitCode.OK, text
    assert "its golden rows agree" in text


def test_no_broker(user: User) -> None:
    """Without a broker the address that was tried is named, and how to start one."""
    user.settings["kafka"]["bootstrap"] = f"127.0.0.1:{free(1)[0]}"
    code, text = user.says("run")
    assert code == ExitCode.TRANSPORT
    assert f"no broker answers at {user.settings['kafka']['bootstrap']}" in text
    assert "prediction-worker broker" in text


def test_topics_missing(user: User) -> None:
    """Each missing topic is named, and the command that creates them works."""
    user.settings["topics"]["input"] += "-other"
    code, text = user.says("run")
    assert code == ExitCode.CONFIGURATION
    for name in ("-other does not exist", "-other.predictions for predictions", "-other.dlq for dead letters"):
        assert name in text
    assert user.says("topics", "create", "--partitions", "3")[0] == ExitCode.OK
    assert user.says("config", "check")[0] == ExitCode.OK
    limits = [_record_limit(user, name) for name in ("", ".predictions", ".dlq")]
    assert limits == [limits[0], limits[0], limits[0] + LETTER_ROOM_BYTES]


def _record_limit(user: User, suffix: str) -> int:
    resource = ConfigResource(ConfigResource.Type.TOPIC, user.settings["topics"]["input"] + suffix)
    admin = AdminClient({"bootstrap.servers": user.settings["kafka"]["bootstrap"]})
    return int(admin.describe_configs([resource])[resource].result()["max.message.bytes"].value)


def test_too_few_output_partitions(user: User, kafka: KafkaUnderTest) -> None:
    """Outputs with fewer partitions than the input are named with both counts, and can be mended."""
    small = f"{user.settings['topics']['input']}-small"
    create_topics(kafka.bootstrap, {small: 1})
    user.settings["topics"]["predictions"] = small
    code, text = user.says("run")
    assert code == ExitCode.CONFIGURATION
    assert f"the topic {small} for predictions has 1 partition, fewer than the input's 2" in text
    assert user.says("topics", "create")[0] == ExitCode.OK
    assert user.says("config", "check")[0] == ExitCode.OK


def test_schema_lacks_features(user: User) -> None:
    """Every feature that the schema does not feed is named before anything is polled."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["fields"] = [f for f in schema["fields"] if f["name"] not in ("distance_miles", "wind_speed_mph")]
    (user.folder / "flight.avsc").write_text(json.dumps(schema), encoding="utf-8")
    code, text = user.says("run")
    assert code == ExitCode.CONFIGURATION
    assert "distance_miles" in text
    assert "wind_speed_mph" in text


def test_schema_file_missing(user: User) -> None:
    """A schema file that is not there is named."""
    user.settings["event"]["schema"] = "nowhere.avsc"
    code, text = user.says("run")
    assert code == ExitCode.CONFIGURATION
    assert "there is no schema file nowhere.avsc" in text


def test_bundle_tampered_with(user: User) -> None:
    """A changed byte in the model file is found before it is unpickled."""
    model = user.folder / "bundle" / "model.joblib"
    content = bytearray(model.read_bytes())
    content[100] ^= 1
    model.write_bytes(content)
    code, text = user.says("run")
    assert code == ExitCode.MODEL
    assert "model.joblib in bundle" in text
    assert "copy the bundle again" in text


def test_bundle_missing(user: User) -> None:
    """A bundle that is not there is named, with the command that makes one."""
    user.settings["model"]["bundle"] = "elsewhere"
    code, text = user.says("run")
    assert code == ExitCode.MODEL
    assert "model pack" in text


def test_port_taken(user: User) -> None:
    """A taken port is named with the setting that changes it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = user.settings["telemetry"]["port"] = taken.getsockname()[1]
        code, text = user.says("run")
    assert code == ExitCode.CONFIGURATION
    assert f"port {port} on 127.0.0.1 is taken" in text
    assert "telemetry.port" in text


def test_wrong_keys(user: User) -> None:
    """Every wrong key is named at once, each with the one that was probably meant."""
    user.settings["kafka"]["grop"] = "x"
    user.settings["delivery"] = {"latency_target": 5}
    code, text = user.says("run")
    assert code == ExitCode.CONFIGURATION
    assert "kafka.grop is not a setting; did you mean group?" in text
    assert "delivery.latency_target is not a setting; did you mean latency_target_ms?" in text


def test_unlawful_and_unknown_options(user: User) -> None:
    """An option that breaks a law is refused by name with the reason, one that does not exist by librdkafka's words."""
    assert "aborted records must not be predicted" in _with_options(user, {"isolation.level": "read_uncommitted"})
    assert 'No such configuration property: "fetch.min.byte"' in _with_options(user, {"fetch.min.byte": 1})


def _with_options(user: User, options: dict[str, Any]) -> str:
    user.settings["kafka"].pop("options", None)
    user.settings["kafka.options"] = {json.dumps(name): value for name, value in options.items()}
    code, text = user.says("run")
    assert code == ExitCode.CONFIGURATION, text
    return text
