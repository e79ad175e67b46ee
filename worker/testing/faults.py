"""Faults to order: what the in-memory edges raise, at which call, before or after it took effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

Call = Literal["poll", "produce", "send_offsets", "commit_transaction", "abort_transaction", "commit"]
CALLS: tuple[Call, ...] = get_args(Call)
# Asked at each boundary with the call and whether it has taken effect; may return an error to raise, or do anything
# else that could happen at that moment (let another member poll, expire a session).
Schedule = Callable[[Call, bool], BaseException | None]


@dataclass(slots=True)
class _Ordered:
    call: Call
    error: BaseException
    after: bool
    times: int


@dataclass(slots=True)
class Faults:
    """The faults still to come; ``schedule`` is asked when none of those fits."""

    schedule: Schedule | None = None
    _ordered: list[_Ordered] = field(default_factory=list)

    def fail_next(self, call: Call, error: BaseException, *, after: bool = False, times: int = 1) -> None:
        """The next ``times`` calls raise; ``after``: once they have taken effect. Raises ValueError for no such call."""
        if call not in CALLS:
            raise ValueError(f"there is no call {call}; there are {', '.join(CALLS)}")
        self._ordered.append(_Ordered(call, error, after, times))

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """The boundaries of one call: its block is what takes effect."""
        self._meet(call, after=False)
        yield
        self._meet(call, after=True)

    def _meet(self, call: Call, *, after: bool) -> None:
        for fault in self._ordered:
            if (fault.call, fault.after) == (call, after):
                fault.times -= 1
                if not fault.times:
                    self._ordered.remove(fault)
                raise fault.error
        if self.schedule is not None and (error := self.schedule(call, after)) is not None:
            raise error
