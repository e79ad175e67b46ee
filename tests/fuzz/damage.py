"""Damage to whole records, framing and body, as broken producers, disks and attackers leave them, by family.

Each family takes a sound value and another one and gives other bytes; now and then they are a sound record again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from random import Random

from tests.fuzz.bodies import damaged, varint
from worker.avro.framing import CONFLUENT_MARKER, SINGLE_OBJECT_BYTES, SINGLE_OBJECT_MARKER

# Confluent ids that ids.toml knows: the schema of the sound events, and that of a record of another name.
EVENT_ID, OTHER_ID = 7, 9
_IDS = (EVENT_ID, EVENT_ID, OTHER_ID, 0, -1, 1, 2**31 - 1)
_RUNS = (b"\x80" * 9 + b"\x01", b"\xff" * 10, b"\x80" * 12, b"\x80" * 200, b"\x80\x00", b"\xff" * 9 + b"\x02")
_NUMBERS = (2**31, 2**32, 2**40, 2**62, 2**63 - 1, -1, -2, -(2**63))
Damage = Callable[[Random, bytes, bytes], bytes | None]


def confluent(schema_id: int) -> bytes:
    """The prefix that names a schema by id."""
    return CONFLUENT_MARKER + struct.pack(">i", schema_id)


def bits_flipped(random: Random, value: bytes, _: bytes) -> bytes:
    number = int.from_bytes(value, "little")
    for bit in random.sample(range(8 * len(value)), random.choice((1, 1, 1, 2, 8))):
        number ^= 1 << bit
    return number.to_bytes(len(value), "little")


def cut(random: Random, value: bytes, _: bytes) -> bytes | None:
    """At the end, at the beginning, in the middle; or nothing is left of it, not even an empty value."""
    begin, end = sorted(random.sample(range(len(value) + 1), 2))
    return random.choice(
        (value[:begin], value[:begin], value[end:], value[:begin] + value[end:], value[:end], b"", None)
    )


def spliced(random: Random, value: bytes, other: bytes) -> bytes:
    """The front of one and the back of another, at the same place or not; or one behind the other."""
    at = random.randrange(1, len(value))
    return value[:at] + random.choice((other[at:], other[random.randrange(len(other)) :], value[at:] + other))


def inserted(random: Random, value: bytes, _: bytes) -> bytes:
    at = random.randrange(len(value) + 1)
    return value[:at] + random.choice((random.randbytes(random.randint(1, 16)), bytes(1), value[:at])) + value[at:]


def numbers_run_on(random: Random, value: bytes, _: bytes) -> bytes:
    """Runs of bytes that continue a number, and numbers that announce more than there is."""
    at = random.randrange(SINGLE_OBJECT_BYTES, len(value))
    run = random.choice(_RUNS) if random.random() < 0.5 else varint(random.choice(_NUMBERS))
    return value[:at] + run + value[at + random.randrange(2) :]


def framed_otherwise(random: Random, value: bytes, other: bytes) -> bytes:
    body = value[SINGLE_OBJECT_BYTES:]
    fingerprint = random.randbytes(8)
    return random.choice(
        (
            confluent(random.choice(_IDS)) + body,
            confluent(random.choice(_IDS)) + value,
            SINGLE_OBJECT_MARKER + fingerprint + body,
            value[:SINGLE_OBJECT_BYTES] + other,
            body,
            b"{" + body,
        )
    )


def made_up(random: Random, value: bytes, _: bytes) -> bytes:
    """Random bytes, in half of the cases behind a sound prefix."""
    noise = random.randbytes(random.randint(1, 2 * len(value)))
    return noise if random.random() < 0.5 else value[:SINGLE_OBJECT_BYTES] + noise


def body_damaged(random: Random, value: bytes, _: bytes) -> bytes:
    """What the campaign of the two readers does to bodies."""
    return value[:SINGLE_OBJECT_BYTES] + damaged(random, value[SINGLE_OBJECT_BYTES:])


FAMILIES: Mapping[str, Damage] = {
    "bits flipped": bits_flipped,
    "cut": cut,
    "spliced": spliced,
    "inserted": inserted,
    "numbers run on": numbers_run_on,
    "framed otherwise": framed_otherwise,
    "made up": made_up,
    "body damaged": body_damaged,
}


def mutated(random: Random, family: str, value: bytes, other: bytes) -> bytes | None:
    """Other bytes than ``value``, whatever the dice say."""
    while (found := FAMILIES[family](random, value, other)) == value:
        pass
    return found
