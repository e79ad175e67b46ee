"""The few kinds of panels that the dashboards are made of, with one look.

Every panel says what it means and in which unit, since a test asks for both. Widths are of Grafana's 24 columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = looks.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
AnyPanel = stat.Panel | timeseries.Panel | table.Panel | bargauge.Panel | heatmap.Panel
Steps = Mapping[float, str]
"""From which value on a panel has which colour; below the first it is green."""


RATE = "[$__rate_interval]"
BELOW_ALL = float("-inf")


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and what a series is called: text with labels in double braces."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the label or ``Value`` that it shows, its heading, and a unit where it is a number's own."""

    field: str
    title: str
    unit: str = ""
    steps: Steps | None = None


def figure(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 4,
    height: int = 4,
    steps: Steps | None = None,
    decimals: int | None = None,
) -> stat.Panel:
    """The latest value, large; its background has the colour of the step that it has reached."""
    panel = (
        stat.Panel()
        .span(width)
        .height(height)
        .color_mode(looks.BigValueColorMode.BACKGROUND_SOLID if steps else looks.BigValueColorMode.VALUE)
        .graph_mode(looks.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(thresholds(steps or {}))
        .no_value("no data")
    )
    if decimals is not None:
        panel.decimals(decimals)
    for target in _targets(queries):
        panel.with_target(target)
    return panel.title(title).description(description).unit(unit).datasource(SOURCE)


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int = 12,
    steps: Steps | None = None,
    stacked: bool = False,
    top: float | None = None,
) -> timeseries.Panel:
    """Lines over time; ``steps`` are drawn as lines of their own, ``top`` is where the axis ends."""
    legend = common.VizLegendOptions().display_mode(looks.LegendDisplayMode.TABLE).show_legend(show_legend=True)
    legend.placement(looks.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])
    panel = (
        timeseries.Panel()
        .span(width)
        .height(8)
        .min(0)
        .fill_opacity(25 if stacked else 8)
        .show_points(looks.VisibilityMode.NEVER)
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        .thresholds(thresholds(steps or {}))
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL))
    if steps:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED))
    if top is not None:
        panel.max(top)
    for target in _targets(queries):
        panel.with_target(target)
    return panel.title(title).description(description).unit(unit).datasource(SOURCE)


def buckets(title: str, description: str, unit: str, expr: str, *, width: int = 12) -> heatmap.Panel:
    """A histogram over time. ``expr`` keeps the label ``le``; ``unit`` is that of its bounds."""
    query = _target(Query(expr, "{{le}}"), "A").format(PromQueryFormat.HEATMAP)
    panel = (
        heatmap.Panel()
        .span(width)
        .height(8)
        .calculate(calculate=False)
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .color(heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Blues").steps(32))
        .thresholds(thresholds({}))
        .with_target(query.range())
    )
    return panel.title(title).description(description).unit(unit).datasource(SOURCE)


def bars(
    title: str, description: str, unit: str, query: Query, *, width: int = 12, steps: Steps | None = None
) -> bargauge.Panel:
    """One bar a series, as of now."""
    panel = (
        bargauge.Panel()
        .span(width)
        .height(8)
        .min(0)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .orientation(looks.VizOrientation.HORIZONTAL)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(thresholds(steps or {}))
        .with_target(_target(query, "A").instant())
    )
    return panel.title(title).description(description).unit(unit).datasource(SOURCE)


def listing(
    title: str, description: str, unit: str, expr: str, columns: Sequence[Column], *, width: int = 12, height: int = 8
) -> table.Panel:
    """A row a series, as of now, with these columns in this order. ``unit``: of the value."""
    query = _target(Query(expr), "A").format(PromQueryFormat.TABLE)
    order = {column.field: place for place, column in enumerate(columns)}
    names = {column.field: column.title for column in columns}
    panel = (
        table.Panel()
        .span(width)
        .height(height)
        .thresholds(thresholds({}))
        .with_target(query.instant())
        .with_transformation(
            model.DataTransformerConfig(
                id_val="filterFieldsByName", options={"include": {"names": [column.field for column in columns]}}
            )
        )
        .with_transformation(
            model.DataTransformerConfig(id_val="organize", options={"indexByName": order, "renameByName": names})
        )
        .no_value("none")
    )
    for column in columns:
        if properties := _properties(column):
            panel.override_by_name(column.title, properties)
    return panel.title(title).description(description).unit(unit).datasource(SOURCE)


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Green below the first step, unless one says what holds from minus infinity on."""
    lowest = steps.get(float("-inf"), GREEN)
    above = [model.Threshold(value, colour) for value, colour in sorted(steps.items()) if value > float("-inf")]
    return (
        dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps([model.Threshold(None, lowest), *above])
    )


def _properties(column: Column) -> list[model.DynamicConfigValue]:
    found = []
    if column.unit:
        found.append(model.DynamicConfigValue("unit", column.unit))
    if column.steps is not None:
        found.append(model.DynamicConfigValue("thresholds", thresholds(column.steps).build()))
        found.append(model.DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    return found


def _targets(queries: Sequence[Query]) -> list[prometheus.Dataquery]:
    return [_target(query, letter).range() for query, letter in zip(queries, ascii_uppercase, strict=False)]


def _target(query: Query, letter: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expr).datasource(SOURCE)
    return target.legend_format(query.legend or "__auto")
