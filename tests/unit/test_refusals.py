"""Refusals as columns."""

import numpy as np
import pytest

from worker.records import REASONS, Cause, Reason, Refusal, Refusals, Stage

CUT = Cause(Stage.DECODE, Reason.MALFORMED, "ends early")
LOW = Cause(Stage.VALIDATE, Reason.BELOW_MINIMUM, "age: is below minimum 18", "age")


def rows(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_equal_causes_become_one() -> None:
    """Put together, refusals keep their order, and a cause stands among them once."""
    found = Refusals.joined(
        [Refusals.alike(rows(5, 1), CUT), Refusals.alike(rows(2), LOW), Refusals.alike(rows(0), CUT)]
    )
    assert found.causes == (CUT, LOW)
    assert [(one.row, one.reason) for one in found] == [
        (5, Reason.MALFORMED),
        (1, Reason.MALFORMED),
        (2, Reason.BELOW_MINIMUM),
        (0, Reason.MALFORMED),
    ]
    assert found.counts() == [(CUT, 3), (LOW, 1)]
    assert [one.row for one in found.in_order()] == [0, 1, 2, 5]


def test_a_cause_without_rows_is_none() -> None:
    """What refuses nobody is not counted."""
    assert Refusals.alike(rows(), CUT) == Refusals.joined([]) == Refusals.none() == ()
    assert Refusals.joined([Refusals.alike(rows(), CUT), Refusals.alike(rows(3), LOW)]).causes == (LOW,)


def test_the_view_of_single_records() -> None:
    """Made of single refusals it gives them back, also under other numbers."""
    low = Refusal(1, Stage.VALIDATE, Reason.BELOW_MINIMUM, LOW.detail, "age")
    single = [low, Refusal(0, Stage.DECODE, Reason.MALFORMED, "ends early")]
    found = Refusals.of(single)
    assert found == single
    assert found[1] == single[1]
    assert [one.row for one in found.among(rows(70, 71))] == [71, 70]
    assert found != [single[0]]


def test_every_reason_has_a_stage() -> None:
    """Each reason is given by some stage, and none for a reason that is another's."""
    assert {reason for reasons in REASONS.values() for reason in reasons} == set(Reason)
    assert set(REASONS) == set(Stage)
    with pytest.raises(AssertionError, match="decode refuses nothing for model_raised"):
        Cause(Stage.DECODE, Reason.MODEL_RAISED, "")
