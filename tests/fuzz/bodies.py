"""Random bodies by a schema, written byte by byte in every form that Avro allows, and then damaged."""

from __future__ import annotations

import struct
import uuid
from random import Random
from typing import Any

INTS = (0, -1, 1, 63, -64, 64, 8191, 2**31 - 1, -(2**31))
LONGS = (*INTS, 2**31, 2**53 + 1, -(2**53) - 1, 2**55, 2**56, -(2**62), 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.5, float("nan"), float("inf"), -float("inf"), 3.4e38, 5e-324)
TEXTS = (
    "",
    "a",
    "abc",
    "longer than eight",
    "é",
    "a\0b",
    "žluťoučký",
    "x" * 63,
    "y" * 64,
    "z" * 200,
    "日本語" * 30,
    "😀",
)


def varint(number: int, padding: int = 0) -> bytes:
    """Zig-zag; ``padding`` adds bytes that say nothing."""
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest >= 0x80 or (padding > 0 and len(out) < 9):
        out.append(rest & 0x7F | 0x80)
        padding -= rest < 0x80
        rest >>= 7
    out.append(rest)
    return bytes(out)


class BodyMaker:
    """``oddity`` is the share of values written in a rare but valid form."""

    def __init__(self, random: Random, oddity: float) -> None:
        self._random, self._oddity = random, oddity

    def body(self, declared: Any) -> bytes:  # noqa: PLR0911 - one return a type
        if isinstance(declared, list):
            branch = self._random.randrange(len(declared))
            if "null" in declared and self._random.random() < 0.4:
                branch = 1 - declared.index("null") if len(declared) == 2 else branch
            return self._number(branch) + self.body(declared[branch])
        kind = declared["type"] if isinstance(declared, dict) else declared
        attributes: dict[str, Any] = declared if isinstance(declared, dict) else {}
        match kind:
            case "record":
                return b"".join(self.body(field["type"]) for field in attributes["fields"])
            case "array":
                return self._blocks(attributes["items"], is_map=False)
            case "map":
                return self._blocks(attributes["values"], is_map=True)
            case "enum":
                return self._number(self._random.randrange(len(attributes["symbols"])))
            case "fixed":
                return self._fixed(attributes)
            case _:
                return self._primitive(kind, attributes.get("logicalType"))

    def _odd(self) -> bool:
        return self._random.random() < self._oddity

    def _number(self, number: int) -> bytes:
        return varint(number, self._random.randint(1, 2) if self._odd() else 0)

    def _fixed(self, attributes: dict[str, Any]) -> bytes:
        if "logicalType" in attributes and not self._odd():
            return self._random.randrange(-999_999, 10**6).to_bytes(attributes["size"], "big", signed=True)
        return self._random.randbytes(attributes["size"])

    def _primitive(self, kind: str, logical: str | None) -> bytes:  # noqa: PLR0911 - one return a type
        random = self._random
        match kind:
            case "null":
                return b""
            case "boolean":
                return bytes([random.randrange(2)])
            case "int":
                small = random.randrange(0, 80) if logical or random.random() < 0.7 else random.choice(INTS)
                return self._number(small)
            case "long":
                usual = random.randrange(1_300_000_000_000, 1_400_000_000_000) if logical else random.randrange(-60, 60)
                return self._number(random.choice(LONGS) if self._odd() else usual)
            case "float":
                return struct.pack("<f", random.choice(FLOATS[:-1]) if self._odd() else random.random())
            case "double":
                return struct.pack("<d", random.choice(FLOATS) if self._odd() else random.random())
            case "bytes" if logical == "decimal" and not self._odd():
                length = random.choice((1, 2, 5, 5, 9))
                return varint(length) + random.randrange(-(2 ** (8 * min(length, 4) - 1)), 2**7).to_bytes(
                    length, "big", signed=True
                )
            case "bytes":
                content = random.randbytes(random.randrange(0, 12)) if self._odd() else b"bytes"
            case _ if logical == "uuid" and not self._odd():
                content = str(uuid.UUID(bytes=random.randbytes(16))).encode()
            case _:
                content = (random.choice(TEXTS) if self._odd() else random.choice(TEXTS[:4])).encode()
        return self._number(len(content)) + content

    def _blocks(self, item: Any, *, is_map: bool) -> bytes:
        out = b""
        usual = 3 if not self._odd() else self._random.choice((0, 1, 2, 7, 40, 150))
        for _ in range(1 if not self._odd() else self._random.randint(0, 3)):
            items = [(self._primitive("string", None) if is_map else b"") + self.body(item) for _ in range(usual)]
            if not items:
                continue
            content = b"".join(items)
            if self._odd():
                out += self._number(-len(items)) + self._number(len(content)) + content
            else:
                out += self._number(len(items)) + content
        return out + self._number(0)


def damaged(random: Random, body: bytes) -> bytes:
    """The body with one or two faults; now and then it is still valid."""
    for _ in range(random.choice((1, 1, 1, 2))):
        at = random.randrange(len(body) + 1)
        match random.randrange(7):
            case 0:
                body = body[:at]
            case 1:
                body += random.choice((b"\0", b"\x80", body, random.randbytes(3)))
            case 2 if body:
                bit = random.randrange(8 * len(body))
                body = (int.from_bytes(body, "little") ^ (1 << bit)).to_bytes(len(body), "little")
            case 3:
                body = body[:at] + random.choice((b"\x80" * 9 + b"\x01", b"\xff" * 10, b"\x80" * 12)) + body[at:]
            case 4:
                huge = random.choice((2**32, 2**40, 2**62, -1, -2, -(2**63), 2**31))
                body = body[:at] + varint(huge) + body[at + 1 :]
            case 5:
                body = body[:at] + random.randbytes(random.randint(1, 4)) + body[at + 1 :]
            case _:
                body = body[:at] + random.choice((b"\xc0\xaf", b"\xed\xa0\x80", b"\xff", b"\x01", b"\x03")) + body[at:]
    return body
