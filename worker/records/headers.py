"""The headers of a batch's records, as columns: one entry a header, none for a record without any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from worker.records.slices import IntArray, Slices, ranges

Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True, eq=False)
class HeaderColumns(Mapping[int, Headers]):
    """m headers of the records of a batch; as a mapping, the headers of each record that has any, by its row.

    ``row`` is int64 (m,), ascending: a record's headers stand side by side, in their order. ``names`` (UTF-8, never null)
    and ``values`` have m entries each.
    """

    row: IntArray
    names: Slices
    values: Slices  # type: ignore[assignment]  # as every batch calls them; nobody asks a mapping for its values alone

    def __getitem__(self, row: int) -> Headers:
        first, last = np.searchsorted(self.row, (row, row + 1)).tolist()
        if first == last:
            raise KeyError(row)
        return tuple((str(self.names[i] or b"", "utf-8"), self.values[i]) for i in range(first, last))

    def __iter__(self) -> Iterator[int]:
        return iter(self.rows().tolist())

    def __len__(self) -> int:
        return len(self.rows())

    def __bool__(self) -> bool:
        return len(self.row) > 0

    def rows(self) -> IntArray:
        """Those that have headers, each once, ascending."""
        new = np.ones(len(self.row), np.bool_)
        np.not_equal(self.row[1:], self.row[:-1], out=new[1:])
        return self.row[new]

    def take(self, rows: IntArray) -> HeaderColumns:
        """The headers of ``rows``, in that order: those of ``rows[i]`` become row i's."""
        first = np.searchsorted(self.row, rows)
        count = np.searchsorted(self.row, rows, side="right") - first
        found = self.entries(ranges(first, count))
        return HeaderColumns(np.repeat(np.arange(len(rows)), count), found.names, found.values)

    def entries(self, places: IntArray) -> HeaderColumns:
        """Some of the headers, by their places in the columns, ascending."""
        return HeaderColumns(self.row[places], self.names.take(places), self.values.take(places))

    def running(self, amounts: IntArray) -> IntArray:
        """The sum of ``amounts`` (one a header) over each header and those of its row before it, int64 (m,)."""
        total = np.concatenate(([0], np.cumsum(amounts)))
        return total[1:] - total[np.searchsorted(self.row, self.row)]

    @staticmethod
    def none() -> HeaderColumns:
        return _NONE

    @staticmethod
    def of(headers: Mapping[int, Headers] | Iterable[tuple[int, Headers]]) -> HeaderColumns:
        """From the headers of each row, rows ascending; a row may have none."""
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        entries = [(row, name.encode(), value) for row, own in pairs for name, value in own]
        if not entries:
            return HeaderColumns.none()
        rows, names, values = zip(*entries, strict=True)
        return HeaderColumns(np.array(rows, np.int64), Slices.of(names), Slices.of(values))


_NOTHING = Slices(b"", np.empty(0, np.int64), np.empty(0, np.int64))
_NONE = HeaderColumns(np.empty(0, np.int64), _NOTHING, _NOTHING)


def interleaved(parts: Sequence[HeaderColumns]) -> HeaderColumns:
    """The headers of the same rows in one: each row's of the first part, then of the second, and so on."""
    row = np.concatenate([part.row for part in parts])
    names, values = Slices.joined([part.names for part in parts]), Slices.joined([part.values for part in parts])
    return HeaderColumns(row, names, values).entries(np.argsort(row, kind="stable"))
