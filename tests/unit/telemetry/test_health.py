"""Liveness and readiness, on a hand-moved clock."""

from dataclasses import dataclass

import pytest

from worker.telemetry.health import ProcessHealth


@dataclass
class HandMoved:
    now: float = 50.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandMoved:
    return HandMoved()


@pytest.fixture
def health(clock: HandMoved) -> ProcessHealth:
    return ProcessHealth(clock, bound_seconds=10, start_bound_seconds=60)


def test_alive_while_the_loop_advances(health: ProcessHealth, clock: HandMoved) -> None:
    """Up to the bound between two rounds is alive, more is not, and the reason gives both figures."""
    health.started()
    clock.now += 10
    assert health.unhealthy() is None
    clock.now += 1
    assert health.unhealthy() == "the loop has not advanced for 11 s (bound: 10 s)"
    health.progressed()
    assert health.unhealthy() is None


def test_a_start_may_take_longer(health: ProcessHealth, clock: HandMoved) -> None:
    """Loading a model and joining the group have a bound of their own."""
    clock.now += 60
    assert health.unhealthy() is None
    clock.now += 1
    assert health.unhealthy() == "the loop has not advanced for 61 s (bound: 60 s)"


def test_ready_only_between_start_and_stop(health: ProcessHealth) -> None:
    """Not ready before the model is verified and the consumer subscribed, nor once a stop was asked for."""
    assert health.unready() == "starting"
    health.started()
    assert health.unready() is None
    health.stopping()
    assert health.unready() == "stopping"
    health.progressed()
    assert health.unready() == "stopping"


def test_stopped_is_not_ready(health: ProcessHealth) -> None:
    """A loop that ended by itself is not ready either."""
    health.started()
    health.stopped()
    assert health.unready() == "stopping"
