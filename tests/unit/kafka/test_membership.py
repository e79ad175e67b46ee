"""What a consumer's metadata says of its membership."""

from __future__ import annotations

import struct

import pytest
from confluent_kafka import Consumer

from worker.kafka.membership import is_member

CONFIG = {"group.id": "group", "bootstrap.servers": "127.0.0.1:1", "log_level": 0}


def metadata(generation: int, member: bytes) -> bytes:
    return b"CGMDv2:" + struct.pack("=i", generation) + b"group\0" + member + b"\0\x01"


@pytest.mark.parametrize(
    ("generation", "member", "expected"), [(3, b"m-1", True), (0, b"m-1", True), (-1, b"m-1", False), (3, b"", False)]
)
def test_by_metadata(generation: int, member: bytes, *, expected: bool) -> None:
    """A member has an id and a generation."""
    consumer = Consumer(CONFIG)
    assert is_member(consumer, metadata(generation, member)) is expected
    consumer.close()


def test_as_the_client_writes_it() -> None:
    """The client's own bytes are in that form; one that has not joined is no member, in whatever form it says so."""
    consumer = Consumer(CONFIG)
    written = consumer.consumer_group_metadata()
    assert written == metadata(-1, b"")
    assert not is_member(consumer, written)
    assert not is_member(consumer, b"another form")
    consumer.close()
