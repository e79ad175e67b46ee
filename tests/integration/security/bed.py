"""A worker on a secured Kafka: a small model of loans, the settings of one user, and what they are allowed to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from tests.component.worker_rig import LOAN, event, loan
from tests.support.kafka import produce_all, read_all
from tests.support.secured import AclOperation, Grant, ResourceType, SecuredKafka
from worker.broker.topics import create_topics
from worker.cli import app
from worker.errors import WorkerError
from worker.models import TrainingRows, pack

PASSWORD = "canary-Vd83-scram"  # what must be seen nowhere
PLAIN_PASSWORD = "canary-Ke52-plain"
TOPIC, GROUP, TRANSACTIONAL_ID = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID
READ, WRITE, DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE


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


def worker_grants(topic: str, group: str) -> dict[str, Grant]:
    """What docs/security.md lists for a worker, by what an error says of the one that is missing."""
    return {
        f"READ on topic {topic}": Grant(READ, TOPIC, topic),
        f"READ on group {group}": Grant(READ, GROUP, group),
        f"WRITE on topic {topic}.predictions": Grant(WRITE, TOPIC, f"{topic}.predictions"),
        f"WRITE on topic {topic}.dlq": Grant(WRITE, TOPIC, f"{topic}.dlq"),
        f"WRITE on topic {topic}.drift-sketches": Grant(WRITE, TOPIC, f"{topic}.drift-sketches"),
        "transactional id": Grant(WRITE, TRANSACTIONAL_ID, f"{group}-", prefixed=True),
    }


def monitor_grants(topic: str, group: str) -> dict[str, Grant]:
    """Likewise, for a monitor."""
    return {
        f"READ on topic {topic}": Grant(READ, TOPIC, topic),
        f"READ on topic {topic}.drift-sketches": Grant(READ, TOPIC, f"{topic}.drift-sketches"),
        f"READ on topic {topic}.drift-state": Grant(READ, TOPIC, f"{topic}.drift-state"),
        f"WRITE on topic {topic}.drift-state": Grant(WRITE, TOPIC, f"{topic}.drift-state"),
        f"WRITE on topic {topic}.drift-reports": Grant(WRITE, TOPIC, f"{topic}.drift-reports"),
        f"WRITE on topic {topic}.drift-alerts": Grant(WRITE, TOPIC, f"{topic}.drift-alerts"),
        f"READ on group {group}-drift": Grant(READ, GROUP, f"{group}-drift"),
        f"DESCRIBE on group {group}": Grant(DESCRIBE, GROUP, group),
        f"DESCRIBE on group {group}.drift-state": Grant(DESCRIBE, GROUP, f"{group}.drift-state"),
        "transactional id": Grant(WRITE, TRANSACTIONAL_ID, f"{group}-drift-", prefixed=True),
    }


def joiner_grants(topic: str, group: str) -> dict[str, Grant]:
    """Likewise, for a joiner of labels."""
    return {
        f"READ on topic {topic}.predictions": Grant(READ, TOPIC, f"{topic}.predictions"),
        f"READ on topic {topic}.labels": Grant(READ, TOPIC, f"{topic}.labels"),
        f"DESCRIBE on topic {topic}": Grant(DESCRIBE, TOPIC, topic),
        f"WRITE on topic {topic}.drift-sketches": Grant(WRITE, TOPIC, f"{topic}.drift-sketches"),
        f"READ on group {group}-labels": Grant(READ, GROUP, f"{group}-labels"),
        "transactional id": Grant(WRITE, TRANSACTIONAL_ID, f"{group}-labels-", prefixed=True),
    }


def labels_grants(topic: str, group: str) -> dict[str, Grant]:
    """What a monitor needs besides where there are labels."""
    return {
        f"WRITE on topic {topic}.quality-reports": Grant(WRITE, TOPIC, f"{topic}.quality-reports"),
        f"DESCRIBE on topic {topic}.predictions": Grant(DESCRIBE, TOPIC, f"{topic}.predictions"),
        f"DESCRIBE on topic {topic}.labels": Grant(DESCRIBE, TOPIC, f"{topic}.labels"),
        f"DESCRIBE on group {group}-labels": Grant(DESCRIBE, GROUP, f"{group}-labels"),
    }


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
        outputs = ("", ".predictions", ".dlq", ".drift-sketches", ".drift-reports", ".drift-alerts", ".drift-state")
        create_topics(self.kafka.bootstrap, {f"{self.topic}{suffix}": 1 for suffix in outputs})

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

    def checked(self) -> tuple[int, str]:
        """Exit code and what is printed by ``config check``, in this process: it asks all that a start asks."""
        result = CliRunner().invoke(app, ["config", "check", "--config", str(self.config)])
        if isinstance(result.exception, WorkerError):
            error = result.exception
            problems = getattr(error, "problems", (error.message,))
            lines = [*(f"error: {problem}" for problem in problems), f"hint: {error.hint}"]
            return error.exit_code, "\n".join([result.output, *lines])
        assert result.exception is None, result.exception
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
