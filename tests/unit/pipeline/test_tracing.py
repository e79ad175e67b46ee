"""Trace contexts of many records at once."""

import re

from hypothesis import given
from hypothesis import strategies as st

from worker.pipeline.tracing import trace_contexts
from worker.records import HeaderColumns, Headers

SOUND = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PARENTS = st.sampled_from(
    [None, b"", SOUND, SOUND[:-1], SOUND + b"0", SOUND.upper(), SOUND.replace(b"-", b"_"), b"-" * 55, SOUND[1:] + b"\n"]
)
STATES = st.sampled_from([None, b"", b"a=b", b" ~" * 256, b"x" * 513, b"a\x7f", b"\x1f", "é".encode()])
HEADER = st.one_of(
    st.tuples(st.just("traceparent"), PARENTS),
    st.tuples(st.just("tracestate"), STATES),
    st.tuples(st.sampled_from(["", "Traceparent", "traceparent2"]), PARENTS),
)


def of_one(headers: Headers) -> Headers:
    """The rules for one record, as the specification's forms put them."""
    parents = [value for name, value in headers if name == "traceparent"]
    form = rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
    if len(parents) != 1 or parents[0] is None or not re.fullmatch(form, parents[0]):
        return ()
    states = [value for name, value in headers if name == "tracestate"]
    if len(states) != 1 or states[0] is None or not re.fullmatch(rb"[\x20-\x7e]{0,512}", states[0]):
        return (("traceparent", parents[0]),)
    return ("traceparent", parents[0]), ("tracestate", states[0])


@given(st.lists(st.lists(HEADER, max_size=5).map(tuple), max_size=8))
def test_each_record_has_its_own(records: list[Headers]) -> None:
    """Whatever the others carry, a record's context is what the forms allow, its parent first."""
    expected = {row: found for row, headers in enumerate(records) if (found := of_one(headers))}
    assert trace_contexts(HeaderColumns.of(enumerate(records))) == expected
