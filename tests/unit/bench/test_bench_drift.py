"""The drift bench measures what it says."""

import numpy as np
import pytest

from bench.drift_judges import ORACLES, Applied, Rule, Run, judge, oracles
from bench.drift_streams import AR, CYCLE, FEATURES, INDEPENDENT, KINDS, SLOW, Kind, Stream, counted, profile_of
from worker.columns import NumberColumn

RECORDS = 200


def numbers(kind: Kind, windows: int, shift: float = 0.0) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The second numeric feature's neighbour without nulls, and the shifted one, a row a record."""
    columns, _ = Stream(kind, 1, RECORDS).windows(windows, shift)
    first, third = columns["feature_0"], columns["feature_2"]
    assert isinstance(first, NumberColumn)
    assert isinstance(third, NumberColumn)
    return np.stack([first.values, third.values], axis=1).astype(np.float64)


@pytest.mark.parametrize("kind", [*KINDS, SLOW], ids=lambda kind: kind.title)
def test_streams_are_what_their_kind_says(kind: Kind) -> None:
    """They have its deviation, and a shift moves one feature by so many of them and no other."""
    values, shifted = numbers(kind, 240), numbers(kind, 240, 0.5)
    assert values.std() == pytest.approx(kind.deviation, rel=0.1)
    assert np.allclose(shifted - values, [0.5 * kind.deviation, 0])


def test_records_depend_as_their_kind_says() -> None:
    """From record to record, from window to window, or not at all."""
    for kind, expected in ((INDEPENDENT, 0.0), (AR, 0.9)):
        values = numbers(kind, 50)[:, 0]
        assert np.corrcoef(values[:-1], values[1:])[0, 1] == pytest.approx(expected, abs=0.03)
    means = numbers(CYCLE, 48)[:, 0].reshape(48, RECORDS).mean(axis=1)
    assert np.corrcoef(means[:24], means[24:])[0, 1] > 0.9


def test_windows_are_counted_whole_and_in_order() -> None:
    """Counts do not depend on how many windows are made at a time, and a shift begins where it is said to."""
    stream = Stream(INDEPENDENT, 2, RECORDS)
    profile = profile_of(stream, 10)
    windows = list(counted(stream, profile, 90, 60, 3.0))
    begin, bins = 0, profile.series[0].bins
    assert profile.series[0].name == "feature_0"
    assert [int(window[begin : begin + bins].sum()) for window in windows] == [RECORDS] * 90
    above = [int(window[bins - 1]) for window in windows]
    assert max(above[:60]) < min(above[60:])


def test_a_run_of_alarms_is_one_episode() -> None:
    """A rule's alarms are closed as the monitor's episodes are."""
    rule = Applied(Rule("PSI > 0.2", "psi", 0.2))
    for window, value in enumerate([0.1, 0.3, 0.1, 0.3, 0.1, 0.1, 0.1, 0.25]):
        rule.take(window, "x", value)
    assert rule.opened == [(1, "x"), (7, "x")]


def test_oracles_are_exceeded_once_in_a_thousand_windows() -> None:
    """Of 2,000 windows' highest values two are above."""
    values = list(np.random.default_rng(1).random(2_000))
    for rule in oracles(dict.fromkeys(ORACLES, values)):
        assert sum(value > rule.limit for value in values) == 2


def test_all_judges_see_the_same_windows() -> None:
    """A shift of a whole deviation is found by the monitor and by the rules, in its first window."""
    found = judge(Run(Stream(INDEPENDENT, 3, 1_000), 20, 6, 3, 1.0), {"monitor": 1.0})
    for name in ("monitor", "PSI > 0.2", "KS p < 0.05"):
        assert (3, "feature_0") in found.opened[name]
    assert {len(values) for values in found.highest.values()} == {6}
    assert FEATURES == 50
