"""What every dashboard has: its variables, its links to the others, and the marks of deployments and of drift."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from observability.build.panels import SOURCE, AnyPanel

TAG = "prediction-worker"
JOB = 'job=~"$job"'
"""The selector of every query: one Prometheus job is one consumer group, its drift monitor and joiners included."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with panels below; the widths of a line of panels add up to 24."""

    title: str
    panels: Sequence[AnyPanel]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; ``uid`` is in its address, and in the name of its file."""

    uid: str
    title: str
    description: str
    sections: Sequence[Section]

    def document(self) -> dict[str, Any]:
        """As Grafana imports it."""
        board = (
            dashboard.Dashboard(f"Prediction worker / {self.title}")
            .uid(f"{TAG}-{self.uid}")
            .description(self.description)
            .tags([TAG])
            .timezone("browser")
            .time("now-1h", "now")
            .refresh("10s")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .readonly()
            .variables([_source(), _job()])
            .links([_to_the_others()])
            .annotations(_marks())
        )
        for section in self.sections:
            board.with_row(dashboard.Row(section.title))
            for panel in section.panels:
                board.with_panel(panel)
        document: dict[str, Any] = json.loads(JSONEncoder().encode(board.build()))
        for number, panel in enumerate(document["panels"], start=1):
            panel["id"] = number
        _mend(document)
        return document


def _mend(document: dict[str, Any]) -> None:
    """Take out what the library puts in unasked."""
    for shown in (*document["links"], *document["annotations"]["list"]):
        shown.pop("placement", None)  # "in a menu"; they belong above the panels
    for variable in document["templating"]["list"]:
        for name in ("auto", "auto_min", "auto_count"):
            variable.pop(name, None)  # of variables of another kind


def _source() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _job() -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable("job")
        .label("Consumer group")
        .description("The Prometheus job: one for each consumer group.")
        .query("label_values(worker_ready, job)")
        .datasource(SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .all_value(".+")
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


def _to_the_others() -> dashboard.DashboardLink:
    return (
        dashboard.DashboardLink("Prediction worker")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .icon("external link")
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )


def _marks() -> list[Builder[model.AnnotationQuery]]:
    started = "process_start_time_seconds{" + JOB + "} * 1000"
    seen = "count by (job, model, model_version) (worker_build_info{" + JOB + "})"
    before = "count by (job, model, model_version) (worker_build_info{" + JOB + "} offset 2m)"
    drift = 'sum by (job, model, severity) (increase(drift_alerts_total{{{}, event="{}"}}[1m])) > 0'
    return [
        _mark("Starts", started, "{{instance}} started", "blue").use_value_for_time(use_value_for_time=True),
        _mark("Model versions", f"{seen} unless {before}", "{{model}} {{model_version}} begins to serve", "purple"),
        _mark("Drift opened", drift.format(JOB, "opened"), "drift of {{model}} opened ({{severity}})", "orange"),
        _mark("Drift closed", drift.format(JOB, "closed"), "drift of {{model}} is over", "green"),
    ]


def _mark(name: str, expr: str, title: str, colour: str) -> dashboard.AnnotationQuery:
    query = prometheus.Dataquery().ref_id("Anno").expr(expr).interval("1m")
    mark = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(enable=True).icon_color(colour)
    return mark.target(query).title_format(title).tag_keys("job,instance,model,model_version,severity")
