"""Single values as Avro writes them: longs as zigzag varints, strings with their length before them."""

from __future__ import annotations

import numpy as np

from worker.records import IntArray

FEW = 40
_MORE = 0x80
_OCTETS = [bytes([octet]) for octet in range(_MORE)]


def long(value: int) -> bytes:
    """One zigzag varint."""
    rest = (value << 1) ^ (value >> 63)
    if rest < _MORE:
        return _OCTETS[rest]
    out = bytearray()
    while rest >= _MORE:
        out.append(rest & 0x7F | _MORE)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def longs(values: IntArray) -> bytes:
    """Varints one after another; many are written at once."""
    if len(values) <= FEW:
        return b"".join(map(long, values.tolist()))
    rest = ((values << 1) ^ (values >> 63)).view(np.uint64)
    largest = int(rest.max(initial=0))
    if largest < _MORE:
        return rest.astype(np.uint8).tobytes()
    octets = np.arange(-(-largest.bit_length() // 7), dtype=np.uint64)
    groups = rest[:, None] >> (octets * np.uint64(7))
    written = groups > 0
    written[:, 0] = True
    more = np.zeros(written.shape, np.uint8)
    more[:, :-1] = written[:, 1:]
    return ((groups & np.uint64(0x7F)).astype(np.uint8) | more << np.uint8(7))[written].tobytes()


def string(text: str) -> bytes:
    content = text.encode()
    return long(len(content)) + content
