"""Headers as columns."""

import numpy as np
import pytest

from worker.records import HeaderColumns, Headers

OWN: dict[int, Headers] = {1: (("a", b"1"), ("é", None), ("a", b"")), 4: (("b", b"2"),)}
COLUMNS = HeaderColumns.of(OWN)


def test_a_mapping_of_the_rows_that_have_headers() -> None:
    """What was given comes back: names, nulls, doubled names, order; rows without headers are in no mapping."""
    assert COLUMNS == OWN
    assert list(COLUMNS) == [1, 4]
    assert (len(COLUMNS), bool(COLUMNS), COLUMNS.get(2, ())) == (2, True, ())
    with pytest.raises(KeyError):
        COLUMNS[2]


def test_none() -> None:
    """A batch without headers holds an empty mapping, whichever way it is made."""
    for empty in (HeaderColumns.none(), HeaderColumns.of({}), HeaderColumns.of({3: ()})):
        assert empty == {}
        assert not empty
        assert empty.take(np.arange(3)) == {}


def test_taken_rows_are_counted_anew() -> None:
    """Headers follow their records into another batch, in any order and more than once."""
    assert COLUMNS.take(np.array([4, 0, 1, 4])) == {0: OWN[4], 2: OWN[1], 3: OWN[4]}
    assert COLUMNS.take(np.empty(0, np.int64)) == {}


def test_names_found_by_column() -> None:
    """A name is found where it is exactly that, and the empty one as well."""
    columns = HeaderColumns.of({0: (("a", None), ("ab", None), ("b", None), ("", b"x"), ("a", b"y"))})
    assert columns.names.equal_to(b"a").tolist() == [True, False, False, False, True]
    assert columns.names.equal_to(b"").tolist() == [False, False, False, True, False]
    assert columns.names.equal_to(b"a" * 100).tolist() == [False] * 5
    assert columns.values.equal_to(b"").tolist() == [False] * 5
