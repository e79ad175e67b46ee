"""What a PromQL expression asks for: metrics, labels, and the labels of what it returns.

Which labels a series has is known from the catalogue, so that an expression that would silently return nothing (a metric
that was renamed, a label or a value that there is not) is found without a Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import promql_parser as promql

from worker.drift.outcome import EpisodeEvent, Severity
from worker.records import Reason, Stage
from worker.telemetry.catalogue import CATALOGUE, BatchOutcome, LabelOutcome, Metric, MetricKind, TimedStage

TARGET = frozenset({"job", "instance"})
"""The labels that Prometheus itself gives to whatever it scrapes."""
OWN = {"up": TARGET, "ALERTS": TARGET | {"alertname", "alertstate", "severity"}}
VALUES: Mapping[str, frozenset[str]] = {
    "outcome": frozenset(BatchOutcome) | frozenset(LabelOutcome),
    "stage": frozenset(Stage) | frozenset(TimedStage),
    "reason": frozenset(Reason),
    "event": frozenset(get_args(EpisodeEvent)),
    "severity": frozenset(get_args(Severity)),
    "alertstate": frozenset({"pending", "firing"}),
}
GRAFANA = {"$__rate_interval": "1m", "$__range": "1h"}

Labels = Mapping[str, frozenset[str]]
"""The labels of each series, by its name."""


def scraped(metrics: tuple[Metric, ...] = CATALOGUE) -> dict[str, frozenset[str]]:
    """All series that our targets show, a histogram's three included."""
    found = dict(OWN)
    for metric in metrics:
        labels = TARGET | set(metric.labels)
        if metric.kind is MetricKind.HISTOGRAM:
            found |= {f"{metric.name}_bucket": labels | {"le"}, f"{metric.name}_sum": labels}
            found[f"{metric.name}_count"] = labels
        else:
            found[metric.name] = labels
    return found


def parsed(expr: str) -> Any:
    """Raises ValueError for what is no PromQL. Grafana's variables for times get a value."""
    for variable, value in GRAFANA.items():
        expr = expr.replace(variable, value)
    return promql.parse(expr)


def problems(expr: str, known: Labels) -> list[str]:
    """Why it would return less than it seems to: names, labels and values that there are not."""
    found = []
    for node in nodes(parsed(expr)):
        if isinstance(node, promql.VectorSelector):
            found += _of_selector(node, known)
        elif grouped := _grouped(node):
            missing = grouped - _below(node, known)
            found += [f"no series here has the label {label}" for label in sorted(missing)]
    return found


def selectors(expr: str) -> list[Any]:
    return [node for node in nodes(parsed(expr)) if isinstance(node, promql.VectorSelector)]


def returned(node: Any, known: Labels) -> frozenset[str]:  # noqa: PLR0911 - one line a kind of node
    """The labels of the series that an expression returns."""
    if isinstance(node, promql.VectorSelector):
        return known.get(node.name or "", frozenset())
    if isinstance(node, promql.MatrixSelector):
        return returned(node.vector_selector, known)
    if isinstance(node, promql.AggregateExpr):
        if str(node.op) in {"topk", "bottomk"} or node.modifier is None:
            return returned(node.expr, known) if str(node.op) in {"topk", "bottomk"} else frozenset()
        return frozenset(node.modifier.labels)
    if isinstance(node, promql.Call):
        dropped = {"le"} if node.func.name == "histogram_quantile" else set()
        inner = frozenset().union(*(returned(argument, known) for argument in node.args))
        return frozenset() if node.func.name in {"scalar", "vector", "time"} else inner - dropped
    if isinstance(node, promql.BinaryExpr):
        return _of_two(node, known)
    return returned(node.expr, known) if hasattr(node, "expr") else frozenset()


def nodes(node: Any) -> Iterator[Any]:
    """Each part of an expression, the whole included."""
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        part = getattr(node, name, None)
        if isinstance(part, promql.Expr):
            yield from nodes(part)
    for argument in getattr(node, "args", ()):
        yield from nodes(argument)


def _of_two(node: Any, known: Labels) -> frozenset[str]:
    left, right, how = returned(node.lhs, known), returned(node.rhs, known), str(node.op)
    if how in {"and", "unless"}:
        return left
    if how == "or":
        return left & right if right else left
    if not left or not right:
        return left | right
    matching = node.modifier.matching if node.modifier else None
    return frozenset(matching.labels) if matching is not None else left


def _of_selector(node: Any, known: Labels) -> list[str]:
    if node.name not in known:
        return [f"there is no series {node.name}"]
    found = []
    for matcher in node.matchers.matchers:
        if matcher.name not in known[node.name]:
            found.append(f"{node.name} has no label {matcher.name}")
        elif matcher.name in VALUES and node.name != "ALERTS":
            pattern = matcher.value if "Re" in str(matcher.op) else re.escape(matcher.value)
            parts = pattern.split("|")
            found += [
                f"{matcher.name} is never {part}"
                for part in parts
                if not any(re.fullmatch(part, value) for value in VALUES[matcher.name])
            ]
    return found


def _grouped(node: Any) -> set[str]:
    """The labels that an aggregation or a match of two vectors names."""
    modifier = getattr(node, "modifier", None)
    if isinstance(node, promql.AggregateExpr):
        return set(modifier.labels) if modifier else set()
    if isinstance(node, promql.BinaryExpr) and modifier and modifier.matching:
        return set(modifier.matching.labels)
    return set()


def _below(node: Any, known: Labels) -> frozenset[str]:
    if isinstance(node, promql.BinaryExpr):
        return returned(node.lhs, known) & returned(node.rhs, known)
    return returned(node.expr, known)
