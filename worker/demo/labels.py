"""What came true: as the joiner counted it, and as somebody finds it who joins the two topics in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Labels:
    """So far. ``pairs`` and ``pairs_wrong`` are ours; ``joined``, ``wrong`` and ``doubled`` the joiner's."""

    pairs: int = 0
    pairs_wrong: int = 0
    joined: int = 0
    wrong: int = 0
    doubled: int = 0
    _said: dict[str, str] = field(default_factory=dict)
    _true: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many flights have a label."""
        return len(self._true)

    def predicted(self, event: str, label: str) -> None:
        if event not in self._said:
            self._said[event] = label
            self._pair(event)

    def known(self, event: str, label: str) -> None:
        if event not in self._true:
            self._true[event] = label
            self._pair(event)

    def counted(self, windows: Iterable[Mapping[str, Any]]) -> None:
        """Of one transaction of the joiner."""
        for window in windows:
            counts = window["counts"]
            self.joined += counts.get("labelled", 0)
            self.wrong += counts.get("wrong", 0)
            self.doubled += counts.get("doubled", 0)

    @property
    def lost(self) -> int:
        return self.pairs - self.joined

    @property
    def error_rate(self) -> float:
        return self.wrong / self.joined if self.joined else 0.0

    @property
    def sound(self) -> bool:
        """The joiner counted each pair, once, and as what it is."""
        return (self.joined, self.wrong, self.doubled) == (self.pairs, self.pairs_wrong, 0)

    def _pair(self, event: str) -> None:
        if event in self._said and event in self._true:
            self.pairs += 1
            self.pairs_wrong += self._said[event] != self._true[event]
