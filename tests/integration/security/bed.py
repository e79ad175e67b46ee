"""A worker on a secured Kafka: a small model of loans, the settings of one user, and what they are allowed to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from tests.component.worker_rig import LOAN, event, loan
from tests.support.kafka import produce_all, read_all
from tests.support.secured import Grant, ResourceType, SecuredKafka
from worker.broker.topics import create_topics
from worker.cli import app
from worker.errors import WorkerError
from worker.kafka.needed_rights import worker_rights
from worker.kafka.rights import Right
from worker.models import TrainingRows, pack
from worker.settings import Settings, load_settings

PASSWORD = "canary-Vd83-scram"  # what must be seen nowhere
PLAIN_PASSWORD = "canary-Ke52-plain"
OUTPUTS = ("predictions", "dlq", "drift-sketches", "drift-reports", "drift-alerts", "drift-state")
_KINDS: dict[str, ResourceType] = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,  # librdkafka's name for it
}


def pack_loans(to: Path) -> Path:
    """A model on two features, with a profile, so that the worker counts for drift."""
    random = np.random.default_rng(0)
    rows = np.column_stack([random.integers(18, 100, 400), random.integers(300, 850, 400)])
    paid = (rows[:, 1] > 575).astype(int)
    pack(
        LogisticRegression().fit(rows, paid),
        to=to,
        name="loans",
        version="1.0.0",
        schema=LOAN,
        features=["age", "credit_score"],
        X_test=rows,
        y_test=paid,
        profile=TrainingRows(rows),
    )
    return to


def grants_of(rights: Iterable[Right]) -> dict[str, Grant]:
    """ACLs, by what an error says of the one that is missing."""
    return {str(right): Grant(right.operation, _KINDS[right.kind], right.name, right.prefixed) for right in rights}


@dataclass
class Bed:
    """One user with topics and a group of their own; ``options`` are librdkafka's."""

    folder: Path
    kafka: SecuredKafka
    bundle: Path
    options: dict[str, str]
    bootstrap: str
    user: str
    mode: str = "exactly-once"
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    topic: str = field(default_factory=lambda: f"loans-{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        create_topics(self.kafka.bootstrap, {f"{self.topic}.drift-state": 1}, {"cleanup.policy": "compact"})
        others = (self.topic, *(f"{self.topic}.{name}" for name in OUTPUTS))
        create_topics(self.kafka.bootstrap, dict.fromkeys(others, 1))

    @property
    def group(self) -> str:
        return f"{self.topic}-worker"

    @property
    def config(self) -> Path:
        """The settings file, written anew."""
        (self.folder / "loan.avsc").write_text(LOAN.text, "utf-8")
        settings: dict[str, dict[str, Any]] = {
            "kafka": {"bootstrap": self.bootstrap, "group": self.group},
            "kafka.options": {json.dumps(name): value for name, value in self.options.items()},
            "topics": {"input": self.topic},
            "event": {"schema": "loan.avsc", "id": "application_id"},
            "model": {"bundle": str(self.bundle)},
            "delivery": {"mode": self.mode},
            "telemetry": {"port": 0},
        }
        for section, values in self.settings.items():
            settings[section] = settings.get(section, {}) | values
        lines = []
        for section, values in settings.items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
        path = self.folder / "worker.toml"
        path.write_text("\n".join(lines), "utf-8")
        return path

    def write(self, first: int, count: int) -> None:
        records = [event(loan(number), key=str(number).encode()) for number in range(first, first + count)]
        produce_all(self.kafka.bootstrap, self.topic, records)

    def worker_grants(self) -> dict[str, Grant]:
        return grants_of(worker_rights(self.read_settings, drift=True))

    def predictions(self) -> int:
        return len(read_all(self.kafka.bootstrap, f"{self.topic}.predictions"))

    def says(self, *command: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
        """Exit code and what is printed, of a command that ends by itself."""
        done = subprocess.run(
            [sys.executable, "-m", "worker", *command, "--config", str(self.config)],
            cwd=self.folder,
            env=os.environ | {"TMPDIR": str(self.folder)} | (environment or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def read_settings(self) -> Settings:
        return load_settings(self.config, {})

    def checked(self) -> tuple[int, str]:
        """Exit code and what is printed by ``config check``: it asks all that a start asks."""
        return self.ran("config", "check")

    def ran(self, *command: str) -> tuple[int, str]:
        """As ``says``, in this process."""
        result = CliRunner().invoke(app, [*command, "--config", str(self.config)])
        if isinstance(result.exception, WorkerError):
            error = result.exception
            problems = getattr(error, "problems", (error.message,))
            lines = [*(f"error: {problem}" for problem in problems), f"hint: {error.hint}"]
            return error.exit_code, "\n".join([result.output, *lines])
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result.exit_code, result.output


def scram(kafka: SecuredKafka, folder: Path, user: str) -> dict[str, str]:
    """The options of a user by SCRAM over TLS, who is there from now on."""
    kafka.add_user(user, PASSWORD)
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n", "utf-8")
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": f"file:{secret}",
        "ssl.ca.location": str(kafka.authority.ca),
    }


def become(bed: Bed, role: str, grants: Mapping[str, Grant]) -> None:
    """Another user, who has exactly these ACLs."""
    user = f"{bed.user}-{role}"
    folder = bed.folder / role
    folder.mkdir()
    bed.options, bed.user = scram(bed.kafka, folder, user), user
    if grants:
        bed.kafka.grant(user, grants.values())
