"""The way of a replay: the monitor over the stored sketches."""

from __future__ import annotations

import dataclasses

import typer

from worker.avro.sketches import SketchCodec
from worker.bootstrap import prepare_monitor
from worker.cli.drift_views import json_line, show_episodes
from worker.cli.texts import counted
from worker.drift.outcome import Alert, Report
from worker.kafka.config import admin_config
from worker.kafka.needed_rights import drift_replay_rights, looking_group
from worker.kafka.rights import check_rights
from worker.kafka.spans import TopicReader
from worker.kafka.topics import partition_counts
from worker.settings import Settings
from worker.shipped import output_schema


def run_replay(settings: Settings, *, json_lines: bool) -> None:
    """Print the episodes. Raises ConfigurationError, ModelError and TransportError."""
    reports, alerts = replayed(settings)
    if json_lines:
        for alert in alerts:
            typer.echo(json_line(dataclasses.asdict(alert)))
    else:
        first = {alert.episode: alert for alert in reversed(alerts)}
        last = {alert.episode: alert for alert in alerts}
        show_episodes([(dataclasses.asdict(first[name]), dataclasses.asdict(last[name])) for name in last])
    opened = len({alert.episode for alert in alerts})
    judged = sum(report.judged for report in reports)
    typer.echo(f"{counted(opened, 'episode')} in {counted(judged, 'window')} that were judged", err=True)


def replayed(settings: Settings) -> tuple[list[Report], list[Alert]]:
    """At the end every partition is taken for idle: what is stored is all there is."""
    memory, codec = prepare_monitor(settings), SketchCodec(output_schema("drift_sketch"))
    admin, monitor = admin_config(settings), memory.fresh()
    check_rights(admin, drift_replay_rights(settings))
    reports: list[Report] = []
    alerts: list[Alert] = []
    count = partition_counts(admin, [settings.topics.input]).get(settings.topics.input, 0)
    with TopicReader(settings, settings.topics.drift_sketches, looking_group(settings, "drift-replay")) as reader:
        for batch in reader.read(reader.spans()):
            for value in batch.values.to_list():
                try:
                    sketch = codec.read(value)
                except ValueError:
                    continue  # the monitor passes over it, too, and says so
                if sketch.model_name == memory.model:
                    monitor.absorb(sketch)
            outcome = monitor.close(frozenset(), count)
            reports += outcome.reports
            alerts += outcome.alerts
        outcome = monitor.close(frozenset(range(count)), count)
    return [*reports, *outcome.reports], [*alerts, *outcome.alerts]
