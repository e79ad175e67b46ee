"""Every query has an answer: on a real Prometheus, of real workers, a monitor and a joiner, with dead letters, drift and labels."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.architecture.test_observability import ALERTS, BOARDS, RECORDED, queries
from tests.observability.conftest import Program
from tests.observability.prometheus import Prometheus, prometheus
from tests.support.promql import selectors
from tests.support.waiting import wait_until
from worker.broker.apache import ApacheKafka
from worker.demo import figures, stage

pytestmark = [pytest.mark.observability, pytest.mark.timeout(600)]
FLIGHTS, RATE = 284_821, 3_000.0  # and as many labels
READY_SECONDS = 120.0
FLOW_SECONDS = FLIGHTS / RATE + 120.0
# Short windows, since the whole run is shorter than a dashboard's.
VARIABLES = {"$__rate_interval": "5s", "$__range": "1m", "$job": ".+"}


@pytest.fixture(scope="module")
def scraped(at_length: None, program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """After ten months of flights through two workers, a monitor and a joiner, while they are still running."""
    server, folder = program("prometheus"), tmp_path_factory.mktemp("observability")
    stage.pack_bundle(folder)
    with ApacheKafka() as broker:
        set_up = stage.set_stage(folder, broker, labels=True)
        with (
            stage.workers(set_up, 2) as workers,
            prometheus(server, folder, f"127.0.0.1:{set_up.port}") as found,
        ):
            wait_until(lambda: bool((now := figures.read(set_up.port)) and now.ready), READY_SECONDS)
            with stage.replay(set_up, FLIGHTS, RATE):
                wait_until(lambda: (found.value("sum(worker_records_consumed_total)") or 0) == FLIGHTS, FLOW_SECONDS)
                wait_until(lambda: bool(found.value('ALERTS{alertname="PredictionDriftOpen"}')), FLOW_SECONDS)
                wait_until(lambda: bool(found.value("sum(quality_windows_closed_total)")), FLOW_SECONDS)
                wait_until(lambda: found.value("sum(labels_lag_records)") == 0, FLOW_SECONDS)
            assert workers.poll() is None
            yield found


def asked(expr: str) -> str:
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    assert "$" not in expr, expr
    return expr


@pytest.mark.parametrize("name", BOARDS)
def test_dashboards_have_data(scraped: Prometheus, name: str) -> None:
    """Every query of every panel, annotation and variable has had numbers."""
    empty = {where: expr for where, expr in queries(BOARDS[name]) if not scraped.numbers(asked(expr))}
    assert empty == {}


def test_recorded_series_have_data(scraped: Prometheus) -> None:
    """Every recording rule has recorded numbers."""
    assert [rule["record"] for rule in RECORDED if not scraped.numbers(rule["record"])] == []


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_alerts_look_at_data(scraped: Prometheus, alert: dict[str, str]) -> None:
    """Every series that an alert compares is there, so that its silence means that all is well."""
    empty = [str(one) for one in selectors(alert["expr"]) if not scraped.numbers(re.sub(r" offset \w+", "", str(one)))]
    assert empty == []


def test_rules_are_evaluated_without_error(scraped: Prometheus) -> None:
    """Prometheus can evaluate each of our rules on what workers show."""
    found = [rule for group in scraped.ask("rules")["groups"] for rule in group["rules"]]
    assert len(found) == len(ALERTS) + len(RECORDED)
    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}


def test_a_healthy_group_raises_no_alarm(scraped: Prometheus) -> None:
    """Of a run in which the flights drift and nothing else is wrong, only the alerts of drift are told."""
    firing = {alert["labels"]["alertname"] for alert in scraped.ask("alerts")["alerts"] if alert["state"] == "firing"}
    assert firing
    assert firing <= {"PredictionDriftOpen", "PredictionDriftCritical"}


def test_what_an_alert_says_is_filled_in(scraped: Prometheus) -> None:
    """The text of a firing alert has its labels and values in it."""
    texts = [alert["annotations"] for alert in scraped.ask("alerts")["alerts"]]
    assert [text for text in texts if re.search(r"<no value>|error|\{\{", " ".join(text.values()))] == []
    assert any(re.search(r"flights-\w+ has \d+ open episodes", text["summary"]) for text in texts)
