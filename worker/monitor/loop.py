"""The monitor's loop: take sketches, look at the input, close windows, deliver.

Rules:

- What is remembered, what came of it and the offset of the sketches are delivered together. So after any end the next
  monitor begins with the last state, reads the sketches behind it again, and comes to the same: nothing is alerted twice.
- A look at the input is of one moment. Its idle partitions count when the sketches that were there by then are
  absorbed, and none that came later: else one that has traffic again would be passed over.
- After an abort the state is read anew, like somebody else's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from worker.drift.outcome import Outcome
from worker.errors import ConfigurationError, DeliveryAborted, TransportError
from worker.monitor.checkpoint import MARK, Checkpoint, unreadable
from worker.monitor.encoding import OutputEncoder
from worker.monitor.watched import AnySketch, Memory, Watched
from worker.ports import Clock, InputWatch, Look, RecordSink, SketchSource, StateLog, Taken
from worker.records import Committable, TopicPartition

_LOG = logging.getLogger(__name__)
POLL_SECONDS = 0.2
LOOK_SECONDS = 1.0
CHECKPOINT_SECONDS = 10.0
"""How often what was absorbed is remembered while no window closes: so much is read again by the next monitor."""
MAX_ABORTS_IN_A_ROW = 5


class MonitorObserver(Protocol):
    """Told what happened, for metrics and logs; must be quick and must not raise."""

    def started(self) -> None: ...

    def progressed(self) -> None:
        """The loop has gone round once."""
        ...

    def assignment(self, partitions: int) -> None:
        """1: this monitor is the active one; 0: it stands by."""
        ...

    def absorbed(self, sketches: int) -> None: ...

    def refused(self, offset: int, why: str) -> None:
        """What stands there among the sketches is none; it is passed over, for it would be none the next time, too."""
        ...

    def judged(self, outcome: Outcome, episodes: int, concepts: int) -> None:
        """Delivered: windows that closed, how many episodes are open after them, and how many of these of concept drift."""
        ...

    def aborted(self, error: Exception) -> None: ...

    def stopped(self) -> None: ...


@dataclass(slots=True)
class _Held:
    """The partition is ours: the monitor with everything below ``next`` in it, and what of that is not delivered yet."""

    monitor: Watched
    next: int
    delivered_at: float
    delivered_next: int
    outcome: Outcome = field(default_factory=Outcome)


@dataclass(slots=True)
class MonitorLoop:
    """One monitor of one model. ``from_start``: it forgets the last state, and begins with the first sketch that there is."""

    source: SketchSource
    states: StateLog
    watch: InputWatch
    sink: RecordSink
    memory: Memory
    read_sketch: Callable[[bytes | None], AnySketch]
    encoder: OutputEncoder
    sketches: TopicPartition
    patience_seconds: float
    observer: MonitorObserver
    clock: Clock
    from_start: bool = False
    _held: _Held | None = None
    _look: Look | None = None
    _looked_at: float = float("-inf")
    _partitions: int = 0  # of the input, once they have been looked at
    _waiting_since: float | None = None
    _aborts: int = 0
    _stopping: bool = False

    def run(self) -> None:
        """Go on until ``stop``. Raises a WorkerError for whatever ends it otherwise."""
        self.observer.started()
        try:
            while not self._stopping:
                self.run_once()
        finally:
            self.observer.stopped()
            self.source.close()
            self.watch.close()
            self.sink.close()

    def stop(self) -> None:
        """Finish the turn, then end; safe to call from a signal handler."""
        self._stopping = True

    def run_once(self) -> None:
        taken = self.source.poll(POLL_SECONDS)
        self.observer.progressed()
        if self._held is not None and (taken.anew or not taken.ours):
            self._let_go()
        if not taken.ours:
            return
        if self._held is None:
            self._take_over()
            return
        self._absorb(self._held, taken)
        self._look_out(self._held)
        if self._is_due(self._held):
            self._deliver(self._held, taken)

    def _take_over(self) -> None:
        """Begin with the last state; what the transaction before is still showing is waited for, turn by turn."""
        last, committed = (None, None) if self.from_start else self._last()
        if not self.from_start and (committed is None or (committed[1] and not (last and last.covers(committed[0])))):
            self._wait(committed)
            return
        self._waiting_since, self.from_start = None, False
        monitor = self.memory.watched() if last is None else self._recalled(last)
        begin = self.source.start(None if last is None else last.next)
        self._held = _Held(monitor, begin, self.clock.monotonic(), begin)
        self.observer.assignment(1)

    def _recalled(self, last: Checkpoint) -> Watched:
        try:
            return self.memory.watched(last.state)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise unreadable(str(error)) from None

    def _last(self) -> tuple[Checkpoint | None, tuple[int, str] | None]:
        """The last state, and the group's offset, which was asked for first: the state may be newer, not older."""
        committed = self.source.committed()
        value = self.states.latest(self.memory.model.encode())
        return None if value is None else Checkpoint.from_bytes(value), committed

    def _wait(self, committed: tuple[int, str] | None) -> None:
        now = self.clock.monotonic()
        self._waiting_since = now if self._waiting_since is None else self._waiting_since
        if now - self._waiting_since <= self.patience_seconds:
            return
        if committed is None:
            raise TransportError("the group's offset is held by a transaction that nobody ends")
        raise ConfigurationError(
            f"the group has read sketches up to {committed[0]}, but the state topic has no such state",
            hint="was it deleted? `prediction-worker monitor --from-start` begins again with all sketches that there are",
        )

    def _let_go(self) -> None:
        self._held = self._look = None
        self.observer.assignment(0)

    def _absorb(self, held: _Held, taken: Taken) -> None:
        for offset, value in taken.values:
            self._use_look(held, offset)
            self._absorb_one(held, offset, value)
        held.next = max(held.next, taken.reached)
        self._use_look(held, held.next)
        if taken.values:
            self.observer.absorbed(len(taken.values))
            self._close(held)

    def _absorb_one(self, held: _Held, offset: int, value: bytes | None) -> None:
        try:
            sketch = self.read_sketch(value)
        except ValueError as error:
            self.observer.refused(offset, str(error))
            return
        if sketch.model_name == self.memory.model:
            held.monitor.absorb(sketch)

    def _look_out(self, held: _Held) -> None:
        now = self.clock.monotonic()
        if self._look is None and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look = self.watch.look()
            self._partitions = self._look.partitions if self._look else self._partitions
            self._use_look(held, held.next)

    def _use_look(self, held: _Held, absorbed: int) -> None:
        """The idle partitions count once all below the look's end is absorbed."""
        if self._look is not None and absorbed >= self._look.sketches_end:
            look, self._look = self._look, None
            self._close(held, look)

    def _close(self, held: _Held, look: Look | None = None) -> None:
        if self._partitions:
            held.outcome += held.monitor.close(self._partitions, look)

    def _is_due(self, held: _Held) -> bool:
        if held.outcome:
            return True
        waited = self.clock.monotonic() - held.delivered_at
        return held.next > held.delivered_next and waited >= CHECKPOINT_SECONDS

    def _deliver(self, held: _Held, taken: Taken) -> None:
        state = Checkpoint(held.next, held.monitor.state()).to_bytes()
        committable = Committable({self.sketches: held.next}, {self.sketches: MARK}, taken.generation)
        try:
            self.sink.deliver(self.encoder.encode(held.outcome, self.memory.model, state), committable)
        except DeliveryAborted as error:
            self._aborts += 1
            self.observer.aborted(error)
            if self._aborts >= MAX_ABORTS_IN_A_ROW:
                raise TransportError(f"{self._aborts} deliveries in a row were aborted: {error}") from error
            self._let_go()
            return
        self._aborts = 0
        outcome, held.outcome = held.outcome, Outcome()
        held.delivered_at, held.delivered_next = self.clock.monotonic(), held.next
        self.observer.judged(outcome, held.monitor.open_episodes(), held.monitor.open_concepts())
