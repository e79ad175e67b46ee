"""How workers end and how soon others go on: signals, a stolen transactional id, a crash in mid-transaction."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from tests.chaos.campaign import GRACE_SECONDS, Campaign, say
from tests.chaos.conftest import OpenCampaign
from tests.chaos.worker_main import MODULE
from worker.errors import ExitCode

pytestmark = pytest.mark.chaos
RECOVERY_SECONDS = 10.0
TRICKLE = 600.0  # events a second


def test_sigterm_under_load_finishes_what_is_in_hand(campaign: OpenCampaign) -> None:
    """A worker that is told to stop in the midst of work ends with 0 within its grace, and nothing is doubled."""
    field = campaign(events=30_000, seed=1, max_batch_records=500)
    field.producer.append(30_000)
    field.fleet.start()
    field.await_progress()
    lag = field.lag()
    began = time.monotonic()
    assert field.fleet.stop(GRACE_SECONDS) == [ExitCode.OK]
    say(f"stopped in {time.monotonic() - began:.2f} s with {lag} events still to do")
    assert field.lag() > 0, "the worker had finished before it was stopped, so nothing was shown"
    field.fleet.start()
    field.await_drained()
    assert field.fleet.stop(GRACE_SECONDS) == [ExitCode.OK]
    field.verdict().assert_sound("exactly-once")


def test_a_second_sigterm_ends_at_once(campaign: OpenCampaign) -> None:
    """Whoever signals twice does not want to wait: the process ends, and what it had begun is not doubled."""
    field = campaign(events=20_000, seed=2, max_batch_records=500)
    field.producer.append(10_000)
    worker = field.fleet.start("--die", "consumed:4", "--hang", module=MODULE)
    field.await_that("the worker hangs", lambda: "hanging" in worker.text(), 60)
    worker.send(signal.SIGTERM)
    field.await_that("the first signal is taken", lambda: "signal taken" in worker.text(), 10)
    worker.send(signal.SIGTERM)
    began = time.monotonic()
    assert worker.await_exit(5) == 128 + signal.SIGTERM
    say(f"ended {time.monotonic() - began:.2f} s after the second signal")
    field.producer.append(10_000)
    field.fleet.start()
    field.await_drained()
    field.fleet.stop(GRACE_SECONDS)
    field.verdict().assert_sound("exactly-once")


def test_a_worker_whose_transactional_id_is_taken_is_fenced(campaign: OpenCampaign) -> None:
    """Another producer with our id: the worker says so and ends with its own exit code; nothing is torn."""
    field = campaign(events=40_000, seed=3)
    stop = threading.Event()
    with _trickle(field, stop):
        worker = field.fleet.start()
        field.await_progress()
        thief = Producer(
            {
                "bootstrap.servers": field.bootstrap,
                "transactional.id": f"{field.topic}-{socket.gethostname()}-0",
                "log_level": 0,
            }
        )
        thief.init_transactions(30)
        status = worker.await_exit(30)
    assert status == ExitCode.FENCED, worker.last_words()
    field.fleet.start()
    field.await_drained()
    assert field.fleet.stop(GRACE_SECONDS) == [ExitCode.OK]
    field.verdict().assert_sound("exactly-once")


def test_a_worker_killed_in_mid_transaction_is_replaced_within_ten_seconds(campaign: OpenCampaign) -> None:
    """Restarted in its slot, it ends its predecessor's transaction, and every partition flows again within 10 s."""
    field = campaign(events=60_000, seed=4)
    seconds = _recovery_seconds(field, restart=True)
    say(f"recovered {seconds:.1f} s after the kill, restarted in its slot")
    assert seconds <= RECOVERY_SECONDS


def test_partitions_of_a_dead_worker_flow_again_without_it(campaign: OpenCampaign, chaos_long: bool) -> None:
    """Where nobody restarts it, its peers take over once session and transaction have timed out."""
    if not chaos_long:
        pytest.skip("half a minute of waiting for time-outs: with --chaos-long")
    field = campaign(events=60_000, seed=5)
    say(f"recovered {_recovery_seconds(field, restart=False):.1f} s after the kill, by its peers")


def _recovery_seconds(field: Campaign, *, restart: bool) -> float:
    """From kill -9 in mid-transaction until every partition has something newly committed."""
    stop = threading.Event()
    with _trickle(field, stop):
        victim = field.fleet.start("--die", "offsets-sent", module=MODULE)
        field.fleet.start()
        field.await_settled()
        field.await_that("every partition flows", lambda: len(field.offsets.now()) == 6, 30)
        victim.send(signal.SIGUSR1)
        assert victim.await_exit(60) == -signal.SIGKILL, victim.last_words()
        began = time.monotonic()
        if restart:
            field.fleet.start()
        before = field.offsets.now()
        field.await_that("every partition flows", lambda: _all_beyond(field.offsets.now(), before), 90)
        seconds = time.monotonic() - began
    field.await_drained()
    assert set(field.fleet.stop(GRACE_SECONDS)) == {ExitCode.OK}
    field.verdict().assert_sound("exactly-once")
    return seconds


def _all_beyond(now: dict[int, int], before: dict[int, int]) -> bool:
    return all(now.get(partition, 0) > offset for partition, offset in before.items())


@contextmanager
def _trickle(field: Campaign, stop: threading.Event) -> Iterator[None]:
    """Events go on arriving meanwhile, on every partition."""
    thread = threading.Thread(target=field.producer.append_steadily, args=(TRICKLE, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
