"""kill -9 at each named point of a batch's way; a plain worker then finishes, and nothing is lost, doubled or torn."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chaos.campaign import say, verdicts
from tests.chaos.checker import Mode
from tests.chaos.conftest import OpenCampaign
from tests.chaos.relay import Leg, run_legs
from tests.chaos.worker_main import COMMITTING_BEHIND

pytestmark = pytest.mark.chaos
EVENTS = 4_000
EXACTLY_ONCE: Mode = "exactly-once"
AT_LEAST_ONCE: Mode = "at-least-once"
SMALL, LARGE = 200, 1_000
"""The most records in a batch; large ones are committed behind the next."""
IN_A_TRANSACTION = (
    "consumed",
    "decoded",
    "predicted",
    "begun",
    "produced",
    "offsets-sent",
    "before-commit",
    "in-commit",
    "committed",
    "closing",
)
POINTS: Mapping[tuple[Mode, int], tuple[str, ...]] = {
    (EXACTLY_ONCE, SMALL): IN_A_TRANSACTION,
    (EXACTLY_ONCE, LARGE): IN_A_TRANSACTION,
    (AT_LEAST_ONCE, SMALL): ("consumed", "predicted", "produced", "before-commit", "closing"),
}


def test_a_worker_may_die_at_any_point(campaign: OpenCampaign, tmp_path: Path) -> None:
    """Wherever kill -9 strikes, the next worker finishes what was begun: exactly once, or at least once."""
    cases = [(point, mode, most) for mode, most in POINTS for point in POINTS[mode, most]]
    fields = {
        (point, mode, most): campaign(events=EVENTS, seed=seed, partitions=3, mode=mode, max_batch_records=most)
        for seed, (point, mode, most) in enumerate(cases)
    }
    for field in fields.values():
        field.producer.append(EVENTS)
    legs = [
        Leg(
            f"{point}, {mode}, {most}",
            field.fleet.config,
            (("--until-idle", "--die", f"{point}:{1 if point == 'closing' else 4}"), ("--until-idle",)),
        )
        for (point, mode, most), field in fields.items()
    ]
    statuses = run_legs(tmp_path, legs, timeout_seconds=120)
    for leg in legs:
        log = leg.log().read_text()
        assert statuses[leg.name] == [-signal.SIGKILL, 0], f"{leg.name}: {statuses[leg.name]}\n{log}"
        assert (COMMITTING_BEHIND in log) == leg.name.endswith(f"{EXACTLY_ONCE}, {LARGE}"), log
    for (point, mode, most), verdict in zip(fields, verdicts(list(fields.values())), strict=True):
        say(f"killed at {point}, {mode}, {most} a batch: {verdict.text()}")
        verdict.assert_sound(mode)
