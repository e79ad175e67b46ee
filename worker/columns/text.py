"""Strings as slices of one buffer: nothing is decoded, copied or made an object until somebody asks for it.

Comparisons go through 8-byte words, all rows at a time. The buffer is *padded*: at least ``PAD_BYTES`` follow the last
string, so that a word may be read at any start without leaving it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.records import BoolArray, IntArray, Slices, value_class

_FEW_ROWS = 12
LONGEST_CODE = 7
"""Bytes of a text that fit one word together with their number."""
PAD_BYTES = 64
WIDEST_WORDS = PAD_BYTES // 8
Words = npt.NDArray[np.uint64]
_MOST_SLOT_BITS = 13
_HIGH_BITS = np.uint64(0x8080808080808080)


@value_class
class TextColumn:
    """n strings (UTF-8) or byte strings; row i is ``pool[start[i]:end[i]]``, empty where ``null`` is set.

    ``start`` and ``end`` are int64 of shape (n,). ``null=None``: none is null. ``is_ascii`` says that every row is known
    to be ASCII; False says nothing.
    """

    pool: bytes
    start: IntArray
    end: IntArray
    null: BoolArray | None = None
    is_bytes: bool = False
    is_ascii: bool = False

    def __len__(self) -> int:
        return len(self.start)

    @staticmethod
    def of(items: Sequence[str | bytes | None], *, is_bytes: bool = False) -> TextColumn:
        encoded = [b"" if item is None else item.encode() if isinstance(item, str) else item for item in items]
        end = np.cumsum([len(item) for item in encoded], dtype=np.int64)
        start = end - np.fromiter(map(len, encoded), np.int64, len(encoded))
        null = np.fromiter((item is None for item in items), np.bool_, len(items))
        return TextColumn(padded(b"".join(encoded)), start, end, null if null.any() else None, is_bytes)

    def take(self, rows: IntArray) -> TextColumn:
        null = None if self.null is None else self.null[rows]
        return TextColumn(self.pool, self.start[rows], self.end[rows], null, self.is_bytes, self.is_ascii)

    def lengths(self) -> IntArray:
        """Length of each in characters (bytes for byte strings), 0 where null; int64 of shape (n,)."""
        lengths = self.end - self.start
        if not (self.is_bytes or self.is_ascii):
            wide = np.flatnonzero(~ascii_rows(self.pool, self.start, self.end))
            lengths[wide] = _characters(self.pool, self.start[wide], lengths[wide])
        return lengths

    def byte_range(self) -> tuple[int, int]:
        """Shortest and longest row in bytes; (0, 0) without rows. Characters are never more than bytes."""
        if not len(self):
            return 0, 0
        lengths = self.end - self.start
        if len(self) <= _FEW_ROWS:
            few = lengths.tolist()
            return min(few), max(few)
        return int(lengths.min()), int(lengths.max())

    def objects(self) -> npt.NDArray[np.object_]:
        """As ``str`` (``bytes`` for byte strings) and ``None``, shape (n,)."""
        places = zip(self.start.tolist(), self.end.tolist(), strict=True)
        pool = self.pool
        objects = np.empty(len(self), object)
        objects[:] = [pool[s:e] for s, e in places] if self.is_bytes else [str(pool[s:e], "utf-8") for s, e in places]
        if self.null is not None:
            objects[self.null] = None
        return objects

    def slices(self) -> Slices:
        """The bytes as they stand, for writing them on without decoding."""
        return Slices(self.pool, self.start if self.null is None else np.where(self.null, -1, self.start), self.end)

    def to_list(self) -> list[Any]:
        """As ``bytes``, whatever they are, and ``None``."""
        return self.slices().to_list()

    def codes(self, categories: Sequence[bytes]) -> IntArray:
        """The index of each row's bytes in ``categories`` (of which the first of equal ones counts); -1: unknown or null.

        int64 of shape (n,).
        """
        codes = _Table.cached(tuple(categories)).find(self)
        if self.null is not None:
            codes[self.null] = -1
        return codes

    def equals_any(self, values: Sequence[bytes]) -> BoolArray:
        """Which rows are one of ``values``, bool of shape (n,); a null is none of them."""
        found: BoolArray = self.codes(values) >= 0
        return found

    def matching(self, matches: Callable[[Any], object]) -> BoolArray:
        """Where ``matches`` is true of the string (or byte string), bool of shape (n,); a null matches nothing.

        Short strings are mostly codes of few values: each different one is decoded and asked about once.
        """
        if self.null is not None:
            found, rows = np.zeros(len(self), np.bool_), np.flatnonzero(~self.null)
            found[rows] = replace(self, null=None).take(rows).matching(matches)
            return found
        if self.byte_range()[1] > LONGEST_CODE:
            return np.fromiter((bool(matches(item)) for item in self.objects()), np.bool_, len(self))
        lengths = self.end - self.start
        words = words_of(self.pool, self.start, lengths, 1)[:, 0] | (lengths.view(np.uint64) << np.uint64(56))
        _, first, of = np.unique(words, return_index=True, return_inverse=True)
        different = self.take(first).objects()
        return np.fromiter((bool(matches(item)) for item in different), np.bool_, len(different))[of.reshape(-1)]

    def filled(self, value: bytes) -> TextColumn:
        """The column with ``value`` in place of null."""
        if self.null is None:
            return self
        at = len(self.pool)
        start, end = np.where(self.null, at, self.start), np.where(self.null, at + len(value), self.end)
        return TextColumn(padded(self.pool + value), start, end, None, self.is_bytes, self.is_ascii and value.isascii())


def padded(pool: bytes) -> bytes:
    return pool + bytes(PAD_BYTES)


def words_of(pool: bytes, start: IntArray, lengths: npt.NDArray[Any], count: int) -> Words:
    """The first ``8 * count`` bytes of each row as little-endian words (n, count), zero beyond the row's end."""
    if count == 1:
        first: Words = np.ndarray((len(pool) - 7,), "<u8", pool, strides=(1,))[start]
        first &= _mask_table(1)[:, 0].take(lengths, mode="clip")
        return first[:, None]
    width = 8 * count
    windows = np.ndarray((len(pool) - width + 1,), f"V{width}", pool, strides=(1,))
    words: Words = windows[start].view("<u8").reshape(len(start), count)
    words &= _mask_table(count).take(lengths, axis=0, mode="clip")
    return words


@lru_cache
def _mask_table(count: int) -> Words:
    """Row k masks all but the first k bytes of ``count`` words."""
    table = np.tri(8 * count + 1, 8 * count, -1, dtype=np.uint8) * np.uint8(255)
    return table.view("<u8")


def ascii_rows(pool: bytes, start: IntArray, end: IntArray) -> BoolArray:
    """Which rows hold no byte above 0x7F, bool of shape (n,)."""
    lengths = end - start
    longest = int(lengths.max(initial=0))
    if longest > PAD_BYTES:
        long = np.flatnonzero(lengths > PAD_BYTES)
        rows = ascii_rows(pool, start, np.minimum(end, start + PAD_BYTES))
        places = zip(start[long].tolist(), end[long].tolist(), strict=True)
        rows[long] = [pool[s:e].isascii() for s, e in places]
        return rows
    if longest == 0:
        return np.ones(len(start), np.bool_)
    high = words_of(pool, start, lengths, (longest + 7) // 8) & _HIGH_BITS
    plain: BoolArray = np.bitwise_or.reduce(high, axis=1) == 0
    return plain


def all_ascii(pool: bytes, start: IntArray, lengths: npt.NDArray[Any], longest: int) -> bool:
    """Whether no row holds a byte above 0x7F; ``longest`` is at least every row's length, and at most PAD_BYTES."""
    if longest == 0:
        return True
    words = words_of(pool, start, lengths, (longest + 7) // 8)
    return not int(np.bitwise_or.reduce(words, axis=None)) & int(_HIGH_BITS)


def invalid_utf8(pool: bytes, start: IntArray, end: IntArray) -> tuple[bool, IntArray]:
    """Whether every row is ASCII, and the rows that are not valid UTF-8 (overlong forms and surrogates are not)."""
    wide = np.flatnonzero(~ascii_rows(pool, start, end))
    parts = [pool[s:e] for s, e in zip(start[wide].tolist(), end[wide].tolist(), strict=True)]
    # A line feed between the rows ends any sequence that a row leaves open, so one decode judges them all.
    if _is_utf8(b"\n".join(parts)):
        return not len(wide), np.empty(0, np.int64)
    return False, wide[np.fromiter((not _is_utf8(part) for part in parts), np.bool_, len(parts))]


def _is_utf8(part: bytes) -> bool:
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


def _characters(pool: bytes, start: IntArray, lengths: IntArray) -> IntArray:
    """Bytes that begin a character, counted for each row; every row has at least one byte."""
    if not len(start):
        return np.empty(0, np.int64)
    first = np.cumsum(lengths) - lengths
    places = np.repeat(start - first, lengths) + np.arange(int(lengths.sum()))
    begins = (np.frombuffer(pool, np.uint8)[places] & 0xC0) != 0x80
    counted: IntArray = np.add.reduceat(begins, first, dtype=np.int64)
    return counted


_ODD = np.array([0x9E3779B97F4A7C15 * (2 * i + 1) % 2**64 | 1 for i in range(WIDEST_WORDS + 1)], np.uint64)


@dataclass(frozen=True, slots=True)
class _Table:
    """Categories, hashed so that a column finds its own by one look or search, and one comparison a row.

    ``is_exact``: one category a hash, none too long for words. Only then that can't miss; otherwise, and for a few rows,
    each row is looked up in ``places``. ``slots`` saves the search, where there are any.
    """

    places: dict[bytes, int]
    is_exact: bool
    words: Words
    lengths: IntArray
    hashes: Words
    order: IntArray
    slots: _Slots | None

    @staticmethod
    @lru_cache(maxsize=256)
    def cached(categories: tuple[bytes, ...]) -> _Table:
        own = [item if len(item) <= PAD_BYTES else b"" for item in categories]
        lengths = np.fromiter(map(len, own), np.int64, len(own))
        count = max(1, (int(lengths.max(initial=0)) + 7) // 8)
        words = words_of(padded(b"".join(own)), np.cumsum(lengths) - lengths, lengths, count)
        hashes = _hashes(words, lengths)
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        is_exact = bool(own) and max(map(len, categories)) <= PAD_BYTES and not (hashes[1:] == hashes[:-1]).any()
        places = {category: i for i, category in reversed(list(enumerate(categories)))}
        slots = _Slots.of(hashes, order) if is_exact else None
        return _Table(places, is_exact, words, lengths, hashes, order, slots)

    def find(self, column: TextColumn) -> IntArray:
        if not self.is_exact or len(column) <= _FEW_ROWS:
            return self._find_by_row(column)
        lengths = column.end - column.start
        words = words_of(column.pool, column.start, lengths, self.words.shape[1])
        hashes = _hashes(words, lengths)
        if self.slots is not None:
            candidate = self.slots.find(hashes)
        else:
            candidate = self.order.take(np.searchsorted(self.hashes, hashes), mode="clip")
        same = lengths == self.lengths.take(candidate)
        for i in range(words.shape[1]):
            same &= words[:, i] == self.words[:, i].take(candidate)
        return np.where(same, candidate, -1)

    def _find_by_row(self, column: TextColumn) -> IntArray:
        rows = zip(column.start.tolist(), column.end.tolist(), strict=True)
        return np.fromiter((self.places.get(column.pool[s:e], -1) for s, e in rows), np.int64, len(column))


@dataclass(frozen=True, slots=True)
class _Slots:
    """A place for each of a few hashes: the uppermost bits of the hash times ``factor``, no two alike."""

    candidates: IntArray
    factor: np.uint64
    shift: np.uint64

    @staticmethod
    def of(hashes: Words, candidates: IntArray) -> _Slots | None:
        """``candidates[i]`` is found by ``hashes[i]``; None where they find no places for themselves soon."""
        least = (2 * len(hashes)).bit_length()
        for bits in range(least, min(least + 6, _MOST_SLOT_BITS)):
            shift = np.uint64(64 - bits)
            for factor in _ODD:
                at = (hashes * factor) >> shift
                if len(np.unique(at)) == len(at):
                    places = np.zeros(1 << bits, np.int64)
                    places[at] = candidates
                    return _Slots(places, factor, shift)
        return None

    def find(self, hashes: Words) -> IntArray:
        """For a hash that is none of them, any of the candidates."""
        return self.candidates.take(((hashes * self.factor) >> self.shift).view(np.int64))


def _hashes(words: Words, lengths: IntArray) -> Words:
    hashes: Words = lengths.astype(np.uint64) * _ODD[-1]
    for i in range(words.shape[1]):
        hashes += (words[:, i] ^ (words[:, i] >> np.uint64(29))) * _ODD[i]
    return hashes
