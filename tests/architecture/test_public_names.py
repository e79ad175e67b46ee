"""What users import, type and script against changes only on purpose: here, in the changelog, and in the documents."""

import importlib

import pytest
import typer

from worker.cli import app
from worker.errors import ExitCode

PINNED = {
    "worker.models": {
        *("Bundle", "BundlePredictor", "Feature", "Manifest", "TrainingRows"),
        *("bind", "bind_profile", "open_bundle", "pack", "profile_of"),
    },
    "worker.settings": {
        *(
            "ENVIRONMENT_PREFIX",
            "REFUSED_OPTIONS",
            "STARS",
            "is_secret",
            "load_settings",
            "shown",
            "Section",
            "Settings",
        ),
        *(
            "Kafka",
            "Topics",
            "Event",
            "Model",
            "Delivery",
            "DeadLetters",
            "Drift",
            "Registry",
            "Telemetry",
            "Mode",
            "Dialect",
        ),
    },
    "worker.testing": {
        *("harness", "WorkerHarness", "Result", "PredictionOf", "DeadLetterOf", "decode_prediction"),
        *("InMemoryKafka", "InMemoryProducer", "InMemorySource", "InMemorySink", "InMemoryAtLeastOnceSink"),
        *("CommittedOffset", "ManualClock", "RecordingObserver", "StubPredictor"),
    },
}
COMMANDS = {
    *("run", "monitor", "join", "demo", "broker", "inspect"),
    *("init", "doctor", "top", "plan", "completion"),
    *("config show", "config check"),
    *("model pack", "model check", "model show"),
    *("dlq list", "dlq show", "dlq replay", "dlq resume"),
    *("drift report", "drift replay"),
    "topics create",
}
EXIT_CODES = {
    "OK": 0,
    "BUG": 1,
    "USAGE": 2,
    "CONFIGURATION": 3,
    "MODEL": 4,
    "TRANSPORT": 5,
    "FENCED": 6,
    "DEAD_LETTER_LIMIT": 7,
    "STUCK": 8,
}


@pytest.mark.parametrize("name", PINNED)
def test_public_names_are_pinned(name: str) -> None:
    """A public package offers exactly these names, and each of them is there."""
    module = importlib.import_module(name)
    assert set(module.__all__) == PINNED[name]
    assert all(hasattr(module, public) for public in module.__all__)


def test_commands_are_pinned() -> None:
    """The program has exactly these commands."""
    assert set(_commands(typer.main.get_command(app))) == COMMANDS


def test_exit_codes_are_pinned() -> None:
    """An exit code never changes its meaning, since supervisors and alerts read it."""
    assert {code.name: code.value for code in ExitCode} == EXIT_CODES


def _commands(command: object, prefix: str = "") -> list[str]:
    below = getattr(command, "commands", None)
    if below is None:
        return [prefix.strip()]
    return [found for name, sub in below.items() for found in _commands(sub, f"{prefix} {name}")]
