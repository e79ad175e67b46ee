"""What is remembered of an input partition: it travels beside its committed offset, to whoever reads on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from worker.records import TopicPartition, value_class

_VERSION = 1
_quoted = lru_cache(maxsize=16)(json.dumps)


@value_class
class Counters:
    """Recent records, how many of them were refused, and how many at the end in a row; why that stopped the worker."""

    seen: int = 0
    refused: int = 0
    consecutive: int = 0
    tripped: str = ""


@value_class
class PartitionState:
    """``counters`` of dead letters count under ``digest`` alone. ``watermark_ms``: how far event time has come, or 0."""

    digest: str = ""
    counters: Counters = Counters()
    watermark_ms: int = 0

    def text(self) -> str:
        """As it is committed."""
        counters = self.counters
        tripped = f',"tripped":{json.dumps(counters.tripped)}' if counters.tripped else ""
        watermark = f',"watermark":{self.watermark_ms}' if self.watermark_ms else ""
        seen, refused, run = counters.seen, counters.refused, counters.consecutive
        # Written for each partition of each batch, so not by way of a dictionary.
        return (
            f'{{"v":{_VERSION},"digest":{_quoted(self.digest)},'
            f'"seen":{seen},"refused":{refused},"run":{run}{tripped}{watermark}}}'
        )

    @staticmethod
    def read(text: str) -> PartitionState:
        """What somebody committed; of foreign metadata, nothing."""
        try:
            known = json.loads(text)
            if known["v"] != _VERSION:
                return PartitionState()
            tripped = str(known.get("tripped", ""))
            counters = Counters(int(known["seen"]), int(known["refused"]), int(known["run"]), tripped)
            return PartitionState(str(known["digest"]), counters, int(known.get("watermark", 0)))
        except (ValueError, KeyError, TypeError, AttributeError):
            return PartitionState()


def committed_texts(
    digest: str, counters: Mapping[TopicPartition, Counters], watermarks: Mapping[TopicPartition, int]
) -> dict[TopicPartition, str]:
    """What is committed beside the offsets of the partitions that have counters."""
    return {tp: PartitionState(digest, own, watermarks.get(tp, 0)).text() for tp, own in counters.items()}
