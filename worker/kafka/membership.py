"""Whether a consumer was a member of its group, as told by the metadata that it commits under.

The client hands that out as bytes, in the form that ``rd_kafka_consumer_group_metadata_write`` in librdkafka's
``rdkafka_cgrp.c`` describes: ``CGMDv2:``, the generation as a C int, group and member id, each with a zero behind it.
"""

from __future__ import annotations

import struct

from confluent_kafka import Consumer

_MAGIC = b"CGMDv2:"
_GENERATION = struct.Struct("=i")


def is_member(consumer: Consumer, metadata: bytes) -> bool:
    """False for one that was thrown out and has not joined again: a broker does not fence what that one commits.

    A version of librdkafka that writes another form is asked.
    """
    if not metadata.startswith(_MAGIC):
        return bool(consumer.memberid())
    (generation,) = _GENERATION.unpack_from(metadata, len(_MAGIC))
    _, member, _ = metadata[len(_MAGIC) + _GENERATION.size :].split(b"\0", 2)
    return generation >= 0 and member != b""
