"""Reports and alerts keep their bytes, and are plain Avro to anyone."""

from __future__ import annotations

import dataclasses
import io
import json

import fastavro

from worker.drift.outcome import Alert, Outcome, QualityReport, Report, SeriesReport
from worker.monitor.encoding import OutputEncoder, OutputTopics
from worker.shipped import output_schema

SERIES = SeriesReport("x", "missing", 9, 0.5, 0.25, 2.0, 1, 0.5, drifted=True, shown={"psi": 0.125}, counts=(4, 5))
REPORT = Report(
    "m", "1.0.0", "ab", 60_000, 120_000, 9, 1, 0, judged=True, note="", series=(SERIES,), estimated={"accuracy": 0.5}
)
ALERT = Alert(
    episode="m/1.0.0/x/missing/60000",
    event="opened",
    model_name="m",
    model_version="1.0.0",
    series="x",
    what="missing",
    severity="major",
    window_start=60_000,
    window_end=120_000,
    statistic_name="jensen_shannon",
    statistic=0.5,
    span=1,
    null_quantile=0.25,
    threshold=0.25,
    effect=0.5,
    reference_records=100,
    window_records=9,
    bins=("missing", "there"),
    reference_counts=(1, 99),
    window_counts=(4, 5),
    top_contributors=("missing",),
)
QUALITY = QualityReport(
    model_name="m",
    model_version="1.0.0",
    variant="primary",
    window_start=60_000,
    window_end=120_000,
    predictions=9,
    labelled=8,
    share_labelled=0.875,
    doubled=2,
    contradicting=1,
    unmatched=3,
    late=0,
    wrong=4,
    beyond_limit=5,
    judged=True,
    note="",
    figures={"accuracy": 0.5},
    reference={"accuracy": 0.75},
    error_tolerated=0.25,
    score=2.0,
    drifted=True,
    counts={"labelled": 8},
)
GOLDEN_REPORT = (
    "c301f435cc036513bb48026d0a312e302e30046162c0a90780d30e12020001000202780e6d697373696e6712000000000000"
    "e03f000000000000d03f000000000000004002000000000000e03f010206707369000000000000c03f0004080a0000021061"
    "63637572616379000000000000e03f00"
)
GOLDEN_QUALITY = (
    "c301050ae1db57e4a1b6026d0a312e302e300e7072696d617279c0a90780d30e1210000000000000ec3f04020600080a0100"
    "02106163637572616379000000000000e03f0002106163637572616379000000000000e83f00000000000000d03f00000000"
    "000000400102106c6162656c6c65641000"
)
GOLDEN_ALERT = (
    "c301dc31ec0c9d194b892e6d2f312e302e302f782f6d697373696e672f363030303000026d0a312e302e3002780e6d697373"
    "696e6702c0a90780d30e1c6a656e73656e5f7368616e6e6f6e000000000000e03f02000000000000d03f000000000000d03f"
    "000000000000e03fc80112040e6d697373696e670a7468657265000402c6010004080a00020e6d697373696e6700"
)


def encoded() -> dict[str, list[tuple[bytes | None, bytes | None]]]:
    """Keys and values by topic."""
    encoder = OutputEncoder(
        OutputTopics("reports", "alerts", "state", "quality"),
        *map(output_schema, ("drift_report", "drift_alert", "quality_report")),
    )
    batches = encoder.encode(Outcome((REPORT,), (ALERT,), (QUALITY,)), "m", b"{}")
    assert all(not batch.partition.any() for batch in batches)
    return {b.topic: list(zip(b.keys.to_list(), b.values.to_list(), strict=True)) for b in batches}


def test_bytes() -> None:
    """They are the ones that consumers have been reading; other ones are another version of the schema."""
    found = encoded()
    assert (found["reports"][0][1] or b"").hex() == GOLDEN_REPORT
    assert (found["alerts"][0][1] or b"").hex() == GOLDEN_ALERT
    assert (found["quality"][0][1] or b"").hex() == GOLDEN_QUALITY


def test_keys() -> None:
    """By the model; an alert by its episode, so that a compacted copy of the topic would hold the latest of each."""
    found = encoded()
    assert found["reports"][0][0] == found["quality"][0][0] == b"m"
    assert found["alerts"][0][0] == b"m/1.0.0/x/missing/60000"
    assert found["state"] == [(b"m", b"{}")]


def test_read_by_anyone() -> None:
    """What stands behind the ten bytes of framing is plain Avro by the published schemas, with every field of ours."""
    found = encoded()
    for topic, schema, ours in (
        ("reports", "drift_report", REPORT),
        ("alerts", "drift_alert", ALERT),
        ("quality", "quality_report", QUALITY),
    ):
        body = io.BytesIO((found[topic][0][1] or b"")[10:])
        value = fastavro.schemaless_reader(body, fastavro.parse_schema(json.loads(output_schema(schema))), None)
        assert isinstance(value, dict)
        assert value.keys() == {field.name for field in dataclasses.fields(ours)}
        assert value["window_start"].isoformat() == "1970-01-01T00:01:00+00:00"
