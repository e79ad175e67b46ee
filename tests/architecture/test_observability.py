"""Dashboards, rules and their configuration agree with the catalogue of metrics, the runbook, and one another."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from observability.build import runbooks
from observability.build.__main__ import dashboards
from tests.architecture.source import ROOT
from tests.architecture.test_documents import anchors
from tests.support.promql import Labels, nodes, parsed, problems, returned, scraped, selectors
from worker.telemetry import catalogue as c

FOLDER = ROOT / "observability"
BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))
}
RUNBOOK = "docs/operations.md"
COLUMNS = 24


def loaded(path: str) -> Any:
    return yaml.safe_load((FOLDER / path).read_text("utf-8"))


def rules(path: str) -> list[dict[str, Any]]:
    return [rule for group in loaded(path)["groups"] for rule in group["rules"]]


RECORDED = rules("rules/recording.yml")
ALERTS = rules("rules/alerts.yml")
every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
every_alert = pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])


def known() -> dict[str, frozenset[str]]:
    """Everything that can be asked for: what is scraped, and what is recorded of it, in the order of the file."""
    found = scraped()
    for rule in RECORDED:
        found[rule["record"]] = returned(parsed(rule["expr"]), found)
    return found


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where each stands, and its expression: panels, annotations, variables."""
    for panel in panels(board):
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])
    yield from ((mark["name"], mark["target"]["expr"]) for mark in board["annotations"]["list"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            (series,) = re.findall(r"^label_values\((\w+), \w+\)$", variable["query"])
            yield variable["name"], series


def faults(expressions: Iterator[tuple[str, str]], labels: Labels) -> dict[str, list[str]]:
    return {where: found for where, expr in expressions if (found := problems(expr, labels))}


def test_dashboards_are_what_the_script_writes() -> None:
    """The JSON of every dashboard is current; `python -m observability.build` writes it."""
    written = dashboards()
    assert {path.name for path in written} == {path.name for path in (FOLDER / "dashboards").iterdir()}
    assert [path.name for path, text in written.items() if path.read_text("utf-8") != text] == []


@every_board
def test_queries_ask_for_what_there_is(board: dict[str, Any]) -> None:
    """Every metric, label and value in a dashboard is one that workers or monitors show."""
    assert faults(queries(board), known()) == {}


def test_rules_ask_for_what_there_is() -> None:
    """Every metric, label and value in a rule is one that workers or monitors show, or that a rule before it records."""
    expressions = ((rule.get("alert") or rule["record"], rule["expr"]) for rule in (*RECORDED, *ALERTS))
    assert faults(expressions, known()) == {}


@pytest.mark.parametrize(
    "metric", c.WORKER_METRICS + c.MONITOR_METRICS + c.JOINER_METRICS, ids=lambda metric: metric.name
)
def test_every_metric_is_shown_and_its_renaming_noticed(metric: c.Metric) -> None:
    """Each metric of a worker, a monitor or a joiner is on a dashboard; under another name, some query would return nothing."""
    renamed = scraped(tuple(replace(m, name="renamed_total") if m is metric else m for m in c.CATALOGUE))
    assert [name for name, board in BOARDS.items() if faults(queries(board), renamed)] != []


def test_an_expression_that_returns_nothing_is_noticed() -> None:
    """The reading of expressions is one that can fail."""
    labels = known()
    assert problems("sum(rate(worker_records_consumed_totals[5m]))", labels) != []
    assert problems('sum(worker_batches_total{outcome="abandoned"})', labels) == ["outcome is never abandoned"]
    assert problems('drift_alerts_total{event=~"opened|begun"}', labels) == ["event is never begun"]
    assert problems("sum by (reasons) (worker_dead_letters_total)", labels) == ["no series here has the label reasons"]
    assert problems("sum by (job) (worker_ready) == on (instance) worker_ready", labels) != []
    assert problems('worker_ready{pod="a"}', labels) == ["worker_ready has no label pod"]


def test_what_is_recorded_is_used() -> None:
    """No rule records what no alert, no dashboard and no other rule asks for."""
    asked = [rule["expr"] for rule in (*RECORDED, *ALERTS)]
    asked += [expr for board in BOARDS.values() for _, expr in queries(board)]
    names = {selector.name for expr in asked for selector in selectors(expr)}
    assert {rule["record"] for rule in RECORDED} - names == set()


@every_board
def test_panels_explain_themselves(board: dict[str, Any]) -> None:
    """Every panel has a title, a description, a unit, thresholds and the data source of the variable."""
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"]
        assert defaults["thresholds"]["steps"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters), panel["title"]


@every_board
def test_panels_have_places_of_their_own(board: dict[str, Any]) -> None:
    """No two panels overlap, none sticks out, and no line has a hole in it."""
    taken: Counter[tuple[int, int]] = Counter()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        taken.update((place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"]))
    assert set(taken.values()) == {1}
    assert len(taken) == COLUMNS * (max(y for _, y in taken) + 1)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_dashboards_lead_to_one_another() -> None:
    """Every dashboard has the tag that all of them link, takes variables and range along, and an address of its own."""
    for board in BOARDS.values():
        (link,) = board["links"]
        assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
        assert set(link["tags"]) <= set(board["tags"])
        assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "job"]
        assert len(board["annotations"]["list"]) == 4
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)


@every_board
def test_every_query_is_of_the_group_that_was_chosen(board: dict[str, Any]) -> None:
    """No panel adds up the records of groups that were not asked for."""
    for panel in panels(board):
        for target in panel["targets"]:
            for selector in selectors(target["expr"]):
                assert 'job=~"$job"' in str(selector), (panel["title"], str(selector))


@every_alert
def test_alerts_have_a_runbook(alert: dict[str, Any]) -> None:
    """Every alert has a severity, a summary, a description, and a section of its own in docs/operations.md."""
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    page, _, section = notes["runbook_url"].partition("#")
    assert section == alert["alert"].lower()
    assert section in anchors((ROOT / RUNBOOK).read_text("utf-8"))
    assert page == RUNBOOK or page.startswith(("https://", "http://"))


def test_runbooks_have_one_address() -> None:
    """The address that is given stands in every alert, nothing else changes, and the next one replaces it."""
    text, page = runbooks.ALERTS.read_text("utf-8"), "https://git.example.org/ml/worker/blob/main/docs/operations.md"
    changed = runbooks.linked(text, page)
    (groups,) = yaml.safe_load(changed).values()
    links = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]]
    assert links == [f"{page}#{alert['alert'].lower()}" for alert in ALERTS]
    (before,) = {alert["annotations"]["runbook_url"].partition("#")[0] for alert in ALERTS}
    assert runbooks.linked(changed, before) == text


@every_alert
def test_alerts_say_only_what_they_know(alert: dict[str, Any]) -> None:
    """Every label that an alert's text shows is one that its expression returns."""
    text = " ".join(alert["annotations"].values())
    shown = set(re.findall(r"\$labels\.(\w+)", text))
    assert shown - returned(parsed(alert["expr"]), known()) == set()


def test_every_section_of_the_runbook_is_of_an_alert() -> None:
    """No section outlives its alert."""
    headings = re.findall(r"^### (\w+)$", (ROOT / RUNBOOK).read_text("utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(alert["alert"] for alert in ALERTS)


def test_every_alert_is_tested_both_ways() -> None:
    """Each alert has a case in which it must fire and one in which it must not."""
    fires: set[str] = set()
    silent: set[str] = set()
    for path in sorted((FOLDER / "rules/tests").iterdir()):
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            for case in test["promql_expr_test"]:
                names = re.findall(r'alertname="(\w+)"', case["expr"])
                (fires if case.get("exp_samples") else silent).update(names)
                # A series that must not fire beside one that must.
                if case.get("exp_samples") and len(test["input_series"]) > len(case["exp_samples"]):
                    silent.update(names)
    assert fires == silent == {alert["alert"] for alert in ALERTS}


def test_alerts_that_hide_others_exist() -> None:
    """Alertmanager's inhibitions name alerts that there are."""
    names = {alert["alert"] for alert in ALERTS}
    for inhibition in loaded("alertmanager.yml")["inhibit_rules"]:
        for matcher in (*inhibition["source_matchers"], *inhibition["target_matchers"]):
            pattern = re.fullmatch(r'alertname (?:=|=~) "?(.+?)"?', matcher)
            assert pattern, matcher
            assert any(re.fullmatch(pattern[1], name) for name in names), matcher


def test_prometheus_reads_the_rules_and_only_them() -> None:
    """The rule files of the configuration are those of the folder, without their tests."""
    (pattern,) = loaded("prometheus.yml")["rule_files"]
    assert {path.name for path in FOLDER.glob(pattern)} == {"recording.yml", "alerts.yml"}


def test_grafana_asks_as_often_as_prometheus_scrapes() -> None:
    """The data source's interval is the scrape interval, on which $__rate_interval is built."""
    (source,) = loaded("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["jsonData"]["timeInterval"] == loaded("prometheus.yml")["global"]["scrape_interval"]


def test_every_part_of_an_expression_is_read() -> None:
    """The walk through an expression leaves no selector out."""
    expr = "topk(scalar(a), b) / on (job) sum by (job) (rate(d[5m])) > avg_over_time((-e)[1d:1m]) unless f offset 1m"
    found = {node.name for node in nodes(parsed(expr)) if type(node).__name__ == "VectorSelector"}
    assert found == {"a", "b", "d", "e", "f"}


def test_the_folder_is_described() -> None:
    """The folder's page names every file and folder at its top."""
    page = (FOLDER / "README.md").read_text("utf-8")
    names = [path.name for path in FOLDER.iterdir() if not path.name.startswith("__")]
    assert [name for name in names if f"`{name}" not in page and name != Path("README.md").name] == []
