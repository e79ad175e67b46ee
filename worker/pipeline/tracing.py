"""W3C trace context: the only headers of an input that its prediction carries on, and only when they are sound.

Form and limits: https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3.
"""

from __future__ import annotations

import re

from worker.records import Headers

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
_PARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(rb"[\x20-\x7e]{0,512}")


def trace_context(headers: Headers) -> Headers:
    """The trace context among the headers of one record: nothing, a parent, or a parent and its state."""
    parents = [value for name, value in headers if name == TRACEPARENT]
    if len(parents) != 1 or parents[0] is None or not _PARENT.fullmatch(parents[0]):
        return ()
    states = [value for name, value in headers if name == TRACESTATE]
    if len(states) != 1 or states[0] is None or not _STATE.fullmatch(states[0]):
        return ((TRACEPARENT, parents[0]),)
    return (TRACEPARENT, parents[0]), (TRACESTATE, states[0])
