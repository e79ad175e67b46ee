"""The checker finds a worker that breaks a law; a sound one, put through the same, passes."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.campaign import say, verdicts
from tests.chaos.checker import Fault, Verdict
from tests.chaos.conftest import OpenCampaign
from tests.chaos.mutants import MUTANTS
from tests.chaos.relay import Leg, run_legs
from tests.chaos.worker_main import COMMITTING_BEHIND

pytestmark = pytest.mark.chaos
EVENTS = 3_000


@dataclass(frozen=True, slots=True)
class Trial:
    """What is done to a worker, and what must be found: at least one of ``faults``."""

    name: str
    mutant: str
    faults: frozenset[Fault]
    abort: int = 0
    die: str = ""
    abort_commit: int = 0
    max_batch_records: int = 200


def _trial(name: str, *faults: Fault, mutant: str | None = None, **how: Any) -> Trial:
    return Trial(name, name if mutant is None else mutant, frozenset(faults), **how)


SOUND = (
    _trial("sound, one abort", mutant="", abort=3),
    _trial("sound, one kill", mutant="", die="produced:3"),
    _trial("sound, one commit aborted behind", mutant="", abort_commit=1, max_batch_records=1_000),
)
BROKEN = (
    _trial("no-rewind-after-abort", Fault.LOST, abort=3),
    _trial("no rewind of two", Fault.LOST, mutant="no-rewind-after-abort", abort_commit=1, max_batch_records=1_000),
    _trial("commits-before-it-produces", Fault.LOST, die="between:3"),
    _trial("offsets-outside-the-transaction", Fault.DUPLICATE, die="between:3"),
    _trial("failed-offsets-ignored", Fault.LAG_LEFT),
    _trial("drops-dead-letters", Fault.LOST),
    _trial("drops-the-last-of-a-batch", Fault.LOST),
    _trial("produces-twice", Fault.DUPLICATE),
    _trial("mixes-the-order", Fault.MISORDERED_PARTITION, Fault.MISORDERED_KEY),
    _trial("next-partition", Fault.WRONG_PARTITION),
    _trial("exchanges-values", Fault.WRONG_KEY),
    _trial("exchanges-scores", Fault.WRONG_PREDICTION),
    _trial("commits-one-too-many", Fault.TORN),
    _trial("commits-one-too-few", Fault.LAG_LEFT, Fault.TORN),
)


def test_every_mutant_is_tried() -> None:
    """No mutant is defined without a trial."""
    assert {trial.mutant for trial in BROKEN} == set(MUTANTS)


def test_the_checker_finds_every_mutant(campaign: OpenCampaign, tmp_path: Path) -> None:
    """Each broken law is named by the checker, and the sound workers beside them pass the same aborts and kills."""
    found = _tried(campaign, tmp_path, SOUND + BROKEN)
    for trial in SOUND:
        found[trial.name].assert_sound("exactly-once")
    missed = {}
    for trial in BROKEN:
        verdict = found[trial.name]
        say(f"{trial.name}: {', '.join(f'{f} {verdict.count(f)}' for f in sorted(verdict.faults))}")
        if not trial.faults <= verdict.faults:
            missed[trial.name] = verdict.text()
    assert not missed, "\n".join(f"{name}: {text}" for name, text in missed.items())


def _tried(campaign: OpenCampaign, folder: Path, trials: tuple[Trial, ...]) -> dict[str, Verdict]:
    """All trials at the same time, each on topics of its own, until its worker has nothing left to do."""
    fields = {
        trial: campaign(events=EVENTS, seed=seed, partitions=3, max_batch_records=trial.max_batch_records)
        for seed, trial in enumerate(trials)
    }
    for field in fields.values():
        field.producer.append(EVENTS)
    legs = {trial: Leg(trial.name, field.fleet.config, _runners(trial)) for trial, field in fields.items()}
    statuses = run_legs(folder, list(legs.values()), timeout_seconds=120)
    for trial, leg in legs.items():
        log = leg.log().read_text("utf-8")
        assert statuses[trial.name] == ([-signal.SIGKILL, 0] if trial.die else [0]), f"{trial.name}: {log}"
        assert (COMMITTING_BEHIND in log) == (trial.abort_commit > 0), log
        assert not (trial.abort or trial.abort_commit) or log.count("batch aborted") == 1, (
            f"{trial.name} had nothing to abort: {log}"
        )
    return dict(zip((trial.name for trial in trials), verdicts(list(fields.values())), strict=True))


def _runners(trial: Trial) -> tuple[tuple[str, ...], ...]:
    mutant = ("--until-idle", *(("--mutant", trial.mutant) if trial.mutant else ()))
    if trial.die:
        return (*mutant, "--die", trial.die), mutant
    return ((*mutant, "--abort", str(trial.abort), "--abort-commit", str(trial.abort_commit)),)
