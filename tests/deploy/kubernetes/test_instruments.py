"""What the tests on a Kubernetes judge by can itself be wrong; this needs no Kubernetes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.deploy.kubernetes.lives import Life, take
from tests.deploy.kubernetes.timeline import Moment, chart, turns


@pytest.mark.parametrize(
    ("numbers", "count"), [([2, 4, 6, 5, 2], 1), ([2, 4, 3, 4, 2], 3), ([2, 4, 6], 0), ([2], 0), ([6, 4, 2], 0)]
)
def test_a_swing_is_seen(numbers: list[int], count: int) -> None:
    """A group that goes up and down again turns once, one that swings more often."""
    assert turns(numbers) == count


def pod(restarts: int, state: dict[str, object], last: dict[str, object], ended_by: str = "") -> dict[str, object]:
    status = {"restartCount": restarts, "state": state, "lastState": last}
    metadata = {"labels": {"a": "b"}, **({"deletionTimestamp": ended_by} if ended_by else {})}
    return {"metadata": metadata, "status": {"containerStatuses": [status]}}


@pytest.mark.parametrize(("finished", "in_time"), [("2026-01-01T00:00:29Z", True), ("2026-01-01T00:00:31Z", False)])
def test_a_life_is_told(finished: str, in_time: bool) -> None:
    """A container that was killed and started again, and then ended when it was told to, has both exit codes."""
    life = Life("one")
    take(life, pod(0, {"running": {}}, {}))
    take(life, pod(1, {"running": {}}, {"terminated": {"exitCode": 137}}))
    take(life, pod(1, {"terminated": {"exitCode": 0, "finishedAt": finished}}, {}, "2026-01-01T00:00:30Z"))
    assert life.exit_codes == [137, 0]
    assert life.in_time is in_time


def test_a_timeline_is_drawn() -> None:
    """Three charts, of replicas, lag and rates."""
    moments = [Moment(3.0 * k, 2, 2, 10 * k, 100 * k, 90 * k) for k in range(20)]
    assert len(ET.fromstring(chart("T", moments)).findall("{*}svg")) == 3
