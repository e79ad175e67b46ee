"""What the monitor remembers, as one record of the compacted state topic: the state, and where the sketches go on.

The record and the group's offset are written in one transaction, and the offset carries a mark. A transaction becomes
visible topic by topic, so for a moment the one can be there without the other; the mark tells that from a group that
never had a state.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from worker.errors import ConfigurationError

_VERSION: Final = 1
MARK: Final = '{"v":1,"state":"drift-state"}'
"""The metadata of an offset whose state stands in the state topic."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``state`` (JSON) holds every sketch below the offset ``next``, and none other."""

    next: int
    state: Any

    def to_bytes(self) -> bytes:
        document = {"v": _VERSION, "next": self.next, "state": self.state}
        return json.dumps(document, separators=(",", ":")).encode()

    @staticmethod
    def from_bytes(value: bytes) -> Checkpoint:
        """Raises ConfigurationError for what no monitor of this version wrote."""
        try:
            known = json.loads(value)
            if known["v"] != _VERSION:
                raise unreadable(f"it is of format {known['v']}, and this version reads {_VERSION}")
            return Checkpoint(int(known["next"]), known["state"])
        except (ValueError, KeyError, TypeError) as error:
            raise unreadable(repr(error)) from None

    def covers(self, offset: int) -> bool:
        """Whether it is as new as the group's offset."""
        return self.next >= offset


def unreadable(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the monitor's state can't be read: {why}",
        hint="a newer version wrote it? `prediction-worker monitor --from-start` begins again without it",
    )
