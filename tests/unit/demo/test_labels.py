"""The demo's own join beside the joiner's counts: it sees what is lost, doubled or wrong."""

from __future__ import annotations

import pytest

from worker.demo.labels import Labels


def known(*, true: dict[str, str]) -> Labels:
    """Three predictions, of which the second was read after its label; and the labels."""
    labels = Labels()
    labels.predicted("a", "0")
    labels.known("b", true["b"])
    labels.predicted("b", "1")
    labels.predicted("c", "0")
    for event in true.keys() - {"b"}:
        labels.known(event, true[event])
    return labels


@pytest.mark.parametrize(
    ("counts", "sound", "lost"),
    [
        ([{"labelled": 1, "wrong": 1}, {"labelled": 1, "predictions": 3}], True, 0),
        ([{"labelled": 1, "wrong": 1}], False, 1),
        ([{"labelled": 2, "wrong": 1}, {"labelled": 1}], False, -1),
        ([{"labelled": 2, "wrong": 1, "doubled": 1}], False, 0),
        ([{"labelled": 2, "wrong": 2}], False, 0),
    ],
)
def test_what_the_joiner_counted_is_judged(counts: list[dict[str, int]], sound: bool, lost: int) -> None:
    """Only counts of each pair, once, and right or wrong as it was, are sound; a label without a prediction is no pair."""
    labels = known(true={"a": "1", "b": "1", "elsewhere": "0"})
    for one in counts:
        labels.counted([{"counts": one}])
    assert (labels.sound, labels.lost) == (sound, lost)
    assert (len(labels), labels.pairs, labels.pairs_wrong) == (3, 2, 1)


def test_the_error_is_a_share_of_what_was_joined() -> None:
    """Before the first label there is none."""
    labels = Labels()
    assert labels.error_rate == 0
    labels.counted([{"counts": {"labelled": 3, "wrong": 1}}, {"counts": {"labelled": 1}}])
    assert labels.error_rate == 0.25
