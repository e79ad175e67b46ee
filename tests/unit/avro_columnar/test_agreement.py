"""The lockstep reader, the record reader and fastavro on random schemas, bodies and damage."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.agreement import Disagreement, check, check_batch
from tests.unit.avro_columnar.rig import record
from worker.avro.lockstep import ColumnReader


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((1, 2, 9, 40)))
def test_both_readers_and_fastavro_agree(seed: int, rows: int) -> None:
    """Whatever the schemas and the damage, both readers give the same columns and verdicts, with fastavro's values."""
    check_batch(Random(seed), rows)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_arbitrary_bytes_agree(bodies: list[bytes]) -> None:
    """Bytes that were never Avro get the same verdict from both readers."""
    schema = record(
        ("a", "long"),
        ("b", ["null", "double"]),
        ("c", "string"),
        ("d", "int"),
        ("e", {"type": "array", "items": "int"}),
        ("f", ["string", "null"]),
    )
    check(schema, schema, bodies, set())


class Lax(ColumnReader):
    """Takes what columns doubt for good."""

    def _mended(self, cells: Any, start: Any, rows: Any, judged: Any) -> Any:
        if cells is None:
            return super()._mended(cells, start, rows, judged)
        judged.rows.clear()
        judged.verdicts.clear()
        return cells


class Hasty(ColumnReader):
    """Lets the record reader begin a step too late."""

    def _doubts(self, views: Any, start: Any, end: Any, rows: Any) -> Any:
        doubts = super()._doubts(views, start, end, rows)
        return replace(doubts, first=doubts.first + 1)


@pytest.mark.parametrize("mutant", [Lax, Hasty])
def test_a_reader_that_errs_is_caught(mutant: type[ColumnReader]) -> None:
    """The comparison is able to fail: a lockstep reader that never doubts, or trusts its lanes too far, is found out."""
    with pytest.raises(Disagreement):
        _check_seeds(300, mutant)


def _check_seeds(count: int, reader_class: type[ColumnReader] = ColumnReader) -> None:
    for seed in range(count):
        check_batch(Random(seed), 20, reader_class)
