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

pytestmark = pytest.mark.chaos
EVENTS = 4_000
POINTS: Mapping[Mode, tuple[str, ...]] = {
    "exactly-once": (
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
    ),
    "at-least-once": ("consumed", "predicted", "produced", "before-commit", "closing"),
}


def test_a_worker_may_die_at_any_point(campaign: OpenCampaign, tmp_path: Path) -> None:
    """Wherever kill -9 strikes, the next worker finishes what was begun: exactly once, or at least once."""
    cases: list[tuple[str, Mode]] = [(point, mode) for mode in POINTS for point in POINTS[mode]]
    fields = {
        case: campaign(events=EVENTS, seed=seed, partitions=3, mode=case[1], max_batch_records=200)
        for seed, case in enumerate(cases)
    }
    for field in fields.values():
        field.producer.append(EVENTS)
    legs = [
        Leg(
            f"{point}, {mode}",
            field.fleet.config,
            (("--until-idle", "--die", f"{point}:{1 if point == 'closing' else 4}"), ("--until-idle",)),
        )
        for (point, mode), field in fields.items()
    ]
    statuses = run_legs(tmp_path, legs, timeout_seconds=120)
    for leg in legs:
        assert statuses[leg.name] == [-signal.SIGKILL, 0], f"{leg.name}: {statuses[leg.name]}\n{leg.log().read_text()}"
    for (point, mode), verdict in zip(fields, verdicts(list(fields.values())), strict=True):
        say(f"killed at {point}, {mode}: {verdict.text()}")
        verdict.assert_sound(mode)
