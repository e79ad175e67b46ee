"""The catalogue's own rules, and that the documentation is written from it."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from worker.telemetry.catalogue import (
    CATALOGUE,
    JOINER_METRICS,
    MONITOR_METRICS,
    SUPERVISOR_METRICS,
    WORKER_METRICS,
    Metric,
    MetricKind,
)
from worker.telemetry.instruments import Instruments, process_registry
from worker.telemetry.reference import metrics_page

BOUNDED_LABELS = {
    *("model", "version", "topic", "partition", "stage", "reason", "outcome", "model_version", "mode"),
    *("series", "what", "event", "severity"),  # of a reference profile; of an alert
    *("variant", "figure"),  # of a rollout; of realised quality
}
OTHER_UNITS = ("_milliseconds", "_ms", "_minutes", "_kilobytes", "_mb", "_percent")


def name_of(metric: Metric) -> str:
    return metric.name


@pytest.mark.parametrize("metric", CATALOGUE, ids=name_of)
def test_names(metric: Metric) -> None:
    """Names are Prometheus's, in base units, and end in ``_total`` exactly for counters."""
    assert re.fullmatch(r"[a-z][a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert metric.name.removesuffix("_total").endswith(metric.unit)
    assert not metric.name.removesuffix("_total").endswith(OTHER_UNITS)


@pytest.mark.parametrize("metric", CATALOGUE, ids=name_of)
def test_labels_are_bounded(metric: Metric) -> None:
    """No label takes its values from a record."""
    assert set(metric.labels) <= BOUNDED_LABELS


@pytest.mark.parametrize("metric", CATALOGUE, ids=name_of)
def test_documented(metric: Metric) -> None:
    """Every metric says what it is, in a sentence that fits a table."""
    assert metric.documentation.endswith(".")
    assert not set(metric.documentation) & set("|\n")


def test_only_histograms_have_buckets() -> None:
    """Every histogram has its own buckets, ascending, in its unit."""
    for metric in CATALOGUE:
        assert bool(metric.buckets) == (metric.kind is MetricKind.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_names_are_unique() -> None:
    """One name, one metric."""
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)


def test_all_are_built_as_described() -> None:
    """What is registered has the catalogue's names, kinds and documentation, and nothing besides."""
    registry = CollectorRegistry()
    metrics = (*WORKER_METRICS, *MONITOR_METRICS, *JOINER_METRICS, *SUPERVISOR_METRICS)
    Instruments(registry, metrics)
    built = {(family.name, family.type, family.documentation) for family in registry.collect()}
    assert built == {(m.name.removesuffix("_total"), str(m.kind), m.documentation) for m in metrics}


def test_process_metrics_are_the_librarys() -> None:
    """Those named for one process are those that prometheus_client has."""
    names = {sample.name for family in process_registry().collect() for sample in family.samples}
    assert names == {metric.name for metric in CATALOGUE if metric.name.startswith("process_")}


def test_the_page_is_current() -> None:
    """docs/metrics.md is what ``python -m worker.telemetry.reference`` writes."""
    page = Path(__file__).parents[3] / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == metrics_page()
    assert [metric.name for metric in CATALOGUE if f"| `{metric.name}` |" not in metrics_page()] == []
