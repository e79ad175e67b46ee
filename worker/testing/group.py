"""A consumer group: members, generations, and partitions that change hands cooperatively, inside a member's poll."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from worker.errors import DeliveryAborted
from worker.records import TopicPartition
from worker.testing.log import State, Transaction


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """The *next* offset, and the string kept beside it."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """The membership under which a batch was read."""

    member: str
    number: int


@dataclass(slots=True)
class _Member:
    owned: set[TopicPartition] = field(default_factory=set)
    target: set[TopicPartition] = field(default_factory=set)


@dataclass(slots=True)
class Group:
    """What the group coordinator knows.

    Every change of members or of owners begins a new generation. A partition goes from one member to another in two
    steps, as in Kafka's cooperative protocol: its owner gives it up in a poll, and only then may another take it.
    """

    partitions: set[TopicPartition] = field(default_factory=set)
    committed: dict[TopicPartition, CommittedOffset] = field(default_factory=dict)
    generation: int = 0
    _members: dict[str, _Member] = field(default_factory=dict)
    _pending: dict[Transaction, dict[TopicPartition, CommittedOffset]] = field(default_factory=dict)
    _joined: int = 0

    def join(self, partitions: Iterable[TopicPartition]) -> str:
        """A new member's id."""
        self.partitions |= set(partitions)
        self._joined += 1
        member = f"member-{self._joined}"
        self._members[member] = _Member()
        self._rebalance()
        return member

    def leave(self, member: str) -> None:
        """It left, or its session timed out."""
        if self._members.pop(member, None) is not None:
            self._rebalance()

    def has(self, member: str) -> bool:
        return member in self._members

    def sync(self, member: str) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """Partitions that the member gives up and takes over, now that it polls."""
        me = self._members[member]
        revoked = me.owned - me.target
        me.owned -= revoked
        if revoked:
            self.generation += 1
        elsewhere = {tp for other in self._members.values() for tp in other.owned}
        assigned = me.target - elsewhere
        me.owned |= assigned
        return revoked, assigned

    def commit(self, generation: object, offsets: Mapping[TopicPartition, CommittedOffset]) -> None:
        """Raises DeliveryAborted when the group has moved on since that generation."""
        self._check(generation)
        self.committed.update(offsets)

    def commit_with(
        self, transaction: Transaction, generation: object, offsets: Mapping[TopicPartition, CommittedOffset]
    ) -> None:
        """Offsets that count once the transaction is committed. Raises DeliveryAborted like ``commit``."""
        self._check(generation)
        self._pending.setdefault(transaction, {}).update(offsets)

    def settle(self) -> None:
        """Take over the offsets of transactions that have been decided."""
        for transaction in [t for t in self._pending if t.state is not State.OPEN]:
            offsets = self._pending.pop(transaction)
            if transaction.state is State.COMMITTED:
                self.committed.update(offsets)

    def is_stable(self, tp: TopicPartition) -> bool:
        """Whether no open transaction may still move the partition's offset; until then no one can start there."""
        return not any(tp in offsets for offsets in self._pending.values())

    def _check(self, generation: object) -> None:
        assert isinstance(generation, Generation), "a committable's generation comes from an in-memory source"
        if not self.has(generation.member):
            raise DeliveryAborted("the group does not know this member any more")
        if generation.number != self.generation:
            raise DeliveryAborted(f"the group is in generation {self.generation}, not {generation.number}")

    def _rebalance(self) -> None:
        """New targets: as even as can be, and each member keeps what it has as far as that allows."""
        self.generation += 1
        if not self._members:
            return
        fewest, extra = divmod(len(self.partitions), len(self._members))
        by_load = sorted(self._members.values(), key=lambda member: -len(member.owned))
        quotas = [fewest + (i < extra) for i in range(len(by_load))]
        for member, quota in zip(by_load, quotas, strict=True):
            member.target = set(sorted(member.owned)[:quota])
        free = sorted(self.partitions - {tp for member in by_load for tp in member.target})
        for member, quota in zip(by_load, quotas, strict=True):
            while len(member.target) < quota:
                member.target.add(free.pop(0))
