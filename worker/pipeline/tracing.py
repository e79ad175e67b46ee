"""W3C trace context: the only headers of an input that its prediction carries on, and only when they are sound.

Form and limits: https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3.
"""

from __future__ import annotations

import numpy as np

from worker.records import BoolArray, HeaderColumns, IntArray, Slices
from worker.records.slices import ranges

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
PARENT_FORM = b"xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx"  # x: a hexadecimal digit in lower case
MOST_STATE_BYTES = 512


def trace_contexts(headers: HeaderColumns) -> HeaderColumns:
    """The trace context of each record: nothing, a parent, or a parent and its state.

    A name that a record has twice counts as none.
    """
    parents = _single(headers, TRACEPARENT)
    parents = parents[_sound_parents(headers.values.take(parents))]
    states = _single(headers, TRACESTATE)
    states = states[np.isin(headers.row[states], headers.row[parents])]
    states = states[_sound_states(headers.values.take(states))]
    entries = np.concatenate((parents, states))
    return headers.entries(entries[np.argsort(headers.row[entries], kind="stable")])


def _single(headers: HeaderColumns, name: bytes) -> IntArray:
    """Entries of that name whose record has no other."""
    entries = np.flatnonzero(headers.names.equal_to(name))
    again = headers.row[entries[1:]] == headers.row[entries[:-1]]
    alone = np.ones(len(entries), np.bool_)
    alone[1:] &= ~again
    alone[:-1] &= ~again
    return entries[alone]


def _sound_parents(values: Slices) -> BoolArray:
    width = len(PARENT_FORM)
    sound: BoolArray = (values.start >= 0) & (values.end - values.start == width)
    rows = np.flatnonzero(sound)
    digits = np.zeros(256, np.bool_)
    digits[list(b"0123456789abcdef")] = True
    octets, form = values.take(rows).octets(width), np.frombuffer(PARENT_FORM, np.uint8)
    dash = form == ord("-")
    sound[rows] = digits[octets[:, ~dash]].all(axis=1) & (octets[:, dash] == ord("-")).all(axis=1)
    return sound


def _sound_states(values: Slices) -> BoolArray:
    """Which are printable ASCII within the limit; one without a byte is."""
    length = values.end - values.start
    sound: BoolArray = (values.start >= 0) & (length <= MOST_STATE_BYTES)
    rows = np.flatnonzero(sound)
    octets = np.frombuffer(values.buffer, np.uint8)[ranges(values.start[rows], length[rows])]
    strange = np.repeat(rows, length[rows])[(octets < 0x20) | (octets > 0x7E)]
    sound[strange] = False
    return sound
