"""Parts of the node, watched: what it says to other nodes, and on what grounds it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from redraft.commands.table import Command, CommandTable, Reply
from redraft.ids import FIRST_SHARD_GROUP, GroupId, NodeId
from redraft.keyspace.keyspace import Keyspace
from redraft.node.clocks import MS, Clocks
from redraft.node.forwarding import Forwarding
from redraft.node.node import Node
from redraft.node.peers import ClockWord, Peers
from redraft.node.reads import Reads
from redraft.node.session import Session
from redraft.raft.messages import AnyMessage
from redraft.raft.node import RaftNode
from redraft.raft.ready import ReadState, Ready
from redraft.shard.shard import AppliedPoint, Outcome, Shard

if TYPE_CHECKING:
    from sim.machine import Machine


class WatchedPeers(Peers):
    """The node's queues to others; each of Raft's messages is seen as it leaves."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine
        self._cluster = machine.cluster

    def send_raft(self, group: GroupId, messages: Iterable[AnyMessage]) -> None:
        """Send messages of a group."""
        for message in messages:
            queue = self._queues.get(message.to)
            if queue is not None:
                self._cluster.watch_message(self._machine, group, message)
                queue.raft.append((group, message))


class WatchedForwarding(Forwarding):
    """What is held back; it is known when a majority's word is what lets it go."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.by_majority = False

    def granted(self, reads: Iterable[ReadState]) -> None:
        """Read indexes have come back."""
        self.by_majority = True
        super().granted(reads)
        self.by_majority = False


class WatchedReads(Reads):
    """Reads for which another leader was asked. They are as new as their question, and no newer, even if this node
    leads by the time that it has applied the index. Nor are those newer of which nothing is demanded."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.by_index = False

    def step(self) -> None:
        """More was applied, or may be read."""
        self.by_index = True
        super().step()
        self.by_index = False

    def read_now(self, session: Session, commands: list[list[bytes]]) -> None:
        """Execute reads of which nothing is demanded: here too where this node leads and has no lease."""
        before, self.by_index = self.by_index, True
        super().read_now(session, commands)
        self.by_index = before


class Leap(NamedTuple):
    """The state's time was set."""

    at_ns: int
    agreed: bool
    """Whether the wall clocks that were known agreed."""


class WatchedClocks(Clocks):
    """The clocks; leaps of the state's time are told."""

    def __init__(self, machine: Machine, node: Node) -> None:
        super().__init__(node)
        self._cluster = machine.cluster

    def _leap(self, time_ns: int, now_ns: int, *, agreed: bool) -> None:
        super()._leap(time_ns, now_ns, agreed=agreed)
        self._cluster.leaps.append(Leap(self._cluster.events.now_ns, agreed))


class WallClocks(Clocks):
    """Those of an older version, whose leaders go by their own wall clocks, and which tells of none."""

    def now_ns(self, now_ns: int) -> int:
        return max(self._node.shard.applied.time_ms, self._node.clock.now_ms()) * MS

    def lead(self) -> None:
        pass

    def heard(self, sender: NodeId, word: ClockWord) -> None:
        pass

    def tick(self) -> None:
        pass

    def word(self) -> ClockWord:
        return None  # type: ignore[return-value]


class WatchedShard(Shard):
    """The shard; the invariants see each read that a leader executes on the strength of its lease."""

    def __init__(
        self,
        machine: Machine,
        forwarding: WatchedForwarding,
        reads: WatchedReads,
        raft: RaftNode,
        keyspace: Keyspace,
        applied: AppliedPoint,
        table: CommandTable,
        monotonic_ns: Callable[[], int],
        random: Random,
    ) -> None:
        super().__init__(FIRST_SHARD_GROUP, raft, keyspace, applied, table, monotonic_ns, random)
        self._machine = machine
        self._forwarding = forwarding
        self._reads = reads

    def apply_committed(self, ready: Ready) -> list[Outcome]:
        """Execute committed entries: one by one, since each is compared with what others made of it."""
        outcomes: list[Outcome] = []
        invariants = self._machine.cluster.invariants
        for committed in ready.committed:
            self._machine.works()
            outcomes += super().apply_committed(ready._replace(committed=[committed]))
            invariants.applied(self._machine, committed)
        return outcomes

    def read(self, owner: Any, command: Command, argvs: list[list[bytes]], database: int) -> list[Reply]:
        """Execute a run of reads now."""
        has_asked = self._forwarding.by_majority or self._reads.by_index
        if self.raft.leader is not None and not has_asked:
            self._machine.cluster.invariants.read(self._machine)
        self._machine.works()
        return super().read(owner, command, argvs, database)
