"""What a header of one name says of each record, by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from worker.records import IntArray, RecordBatch, Slices


@dataclass(frozen=True, slots=True)
class Claims:
    """``rows`` (ascending) have the header, with one value each; ``torn`` have it with several that disagree."""

    rows: IntArray
    values: Slices
    torn: IntArray

    @property
    def spoken_for(self) -> IntArray:
        """All rows that have the header."""
        return np.concatenate((self.rows, self.torn))

    def among(self, rows: IntArray) -> Claims:
        """Only of ``rows``."""
        kept = np.flatnonzero(np.isin(self.rows, rows))
        return Claims(self.rows[kept], self.values.take(kept), np.intersect1d(self.torn, rows))


def headed(batch: RecordBatch, name: str) -> Claims:
    """Of the rows that have a header ``name``."""
    headers = batch.headers
    entries = np.flatnonzero(headers.names.equal_to(name.encode()))
    rows, first, count = np.unique(headers.row[entries], return_index=True, return_counts=True)
    torn = np.zeros(len(rows), np.bool_)
    for i in np.flatnonzero(count > 1).tolist():
        said = entries[first[i] : first[i] + count[i]].tolist()
        torn[i] = len({headers.values[entry] for entry in said}) > 1
    values = headers.values.take(entries[first])
    one = np.flatnonzero(~torn)
    return Claims(rows[one], values.take(one), rows[torn])


def alike(octets: npt.NDArray[np.uint8]) -> Iterator[tuple[bytes, IntArray]]:
    """Each different row of an (n, width) array, and where it stands."""
    if len(octets) and (octets == octets[0]).all():
        yield octets[0].tobytes(), np.arange(len(octets))
        return
    words = np.zeros((len(octets), -(-octets.shape[1] // 8) * 8), np.uint8)
    words[:, : octets.shape[1]] = octets
    order = np.lexsort(words.view(np.uint64).T)
    ordered = octets[order]
    first = np.flatnonzero((ordered[1:] != ordered[:-1]).any(axis=1)) + 1
    bounds = [0, *first.tolist(), len(order)] if len(order) else []
    for begin, end in pairwise(bounds):
        yield ordered[begin].tobytes(), order[begin:end]
