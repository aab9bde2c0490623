"""A shard on one node: a Raft group's member, the keyspace it replicates, and the batches under way.

The road of a write: the node puts it into the open `batch`; `propose` closes the batch into one log entry; Raft's Ready
says what must be persisted; `apply_committed` executes what is committed, in log order, and returns each batch with its
replies. On a replica where nobody waits (a follower, a restart) an entry is decoded and executed for its effect alone;
the state is the same either way, since it depends on the entry only.

Time: the leader stamps each entry with its clock (`state_clock`), and an entry whose time is before an earlier one's
(its leader's clock was behind, and it had not applied that one yet) takes that one's. So the state has a time of its
own, `applied.time_ms`, the same on every replica, that never goes back; `present` is what reads make of it.

Invariants (`check`): batches in flight have ascending indexes above the applied index; `applied_index` never goes back;
a batch's replies are handed out once, or its owners are told that the outcome is not known.

What this leaves out: sessions, encoding of replies, files (`begin_flush` is handed a writer), when to flush.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from redraft.commands.table import Command, CommandTable, Reply
from redraft.errors import CommandError
from redraft.ids import GroupId, Index, Term
from redraft.keyspace.flush import Flush, RecordWriter
from redraft.keyspace.keyspace import Keyspace, KeyspaceMeta
from redraft.raft.errors import EntryTooBigError, NotLeaderError, TransferInProgressError, UncommittedFullError
from redraft.raft.membership import decode_change
from redraft.raft.messages import ConfState, Entry, EntryKind
from redraft.raft.node import RaftNode
from redraft.raft.ready import Ready
from redraft.shard import entry
from redraft.shard.batch import Batch, Transaction
from redraft.shard.executor import Executor

BATCH_BYTES = 4 * 1024 * 1024
"""A batch that has logged this much is closed, so that no entry grows past one write beyond it."""

FULL_BYTES = 32 * 1024
"""While an entry is on its way, what comes in gathers until it is this much (as Nagle's algorithm sends segments): an
entry costs each replica a frame, a log write and an fsync whatever is in it."""
MOST_IN_FLIGHT = 4
"""So many entries may be on their way at once."""
FEW_WRITES = 4
"""After an entry of no more writes than this nobody waits for others."""

UNKNOWN_OUTCOME = (
    "UNKNOWN the leader was lost before the outcome of the write was known: it may or may not have been applied"
)

NOT_PROPOSED = "CLUSTERDOWN the write was refused: this node leads no more"


class AppliedPoint(msgspec.Struct, frozen=True, array_like=True):
    """A point of the log as the state machine knows it."""

    index: Index = Index(0)
    term: Term = Term(0)
    time_ms: int = 0
    conf: ConfState = ConfState()
    """The group's members; none where nothing was ever said of them, and the node is alone."""
    table_version: int = 0
    """The config table by which its leader changed them last. A later leader whose table is older changes nothing."""


class FlushPoint(msgspec.Struct, frozen=True, array_like=True):
    """What an image is of: written into its meta record."""

    applied: AppliedPoint
    keyspace: KeyspaceMeta


class Outcome(NamedTuple):
    """A batch that was executed, or whose outcome will never be known here."""

    batch: Batch
    replies: list[list[Reply]]
    """Of each item of the batch, those of its run."""


class Shard:
    """One replica of one shard.

    `seeds` gives the seed of each entry's randomness while this replica leads; it need not be the same anywhere else.
    """

    def __init__(
        self,
        group: GroupId,
        raft: RaftNode,
        keyspace: Keyspace,
        applied: AppliedPoint,
        table: CommandTable,
        monotonic_ns: Callable[[], int],
        seeds: Random,
    ) -> None:
        self.group = group
        self.raft = raft
        if not applied.conf.members():
            applied = structs.replace(applied, conf=raft.applied_conf)
        self.applied = applied
        self.executor = Executor(keyspace, table, monotonic_ns, Random(seeds.getrandbits(64)))
        self.present = self.executor.present
        self.present.set_state(applied.time_ms)
        self.batch = Batch()
        """The open batch: what arrives now is put into it."""
        self._closed: deque[Batch] = deque()
        self._in_flight: deque[Batch] = deque()
        self._answered = 0
        """Writes of the last batch that was executed: so many clients, or pipelines, may be about to send the next."""
        self._seeds = seeds
        self._time_ms = applied.time_ms
        self.flush: Flush | None = None
        self.logged_bytes_since_flush = 0
        self.flushed = applied.index
        """The log index of the image on disk."""

    @property
    def keyspace(self) -> Keyspace:
        """The replicated state."""
        return self.executor.keyspace

    # Commands in.

    def add_write(self, owner: Any, command: Command, argv: list[bytes], database: int) -> Batch:
        """Put a write into the open batch; the batch it is in."""
        batch = self.batch
        batch.add_write(owner, command, argv, database)
        if batch.logged_bytes >= BATCH_BYTES:
            self._close_batch()
        return batch

    def add_writes(self, owner: Any, command: Command, argvs: list[list[bytes]], database: int, packed: bytes) -> Batch:
        """Put a run of writes into the open batch, with their bytes in RESP; the batch they are in."""
        batch = self.batch
        batch.add_writes(owner, command, argvs, database, packed)
        if batch.logged_bytes >= BATCH_BYTES:
            self._close_batch()
        return batch

    def add_transaction(self, owner: Any, transaction: Transaction, argv: list[bytes], database: int) -> Batch:
        """Put a transaction with writes into the open batch; the batch it is in."""
        batch = self.batch
        batch.add_transaction(owner, transaction, argv, database)
        if batch.logged_bytes >= BATCH_BYTES:
            self._close_batch()
        return batch

    def add_blocking(
        self, owner: Any, named: tuple[Command, list[bytes]], command: Command, argv: list[bytes], database: int
    ) -> Batch:
        """Put a write that may wait into the open batch, right behind the REDRAFT WAITER that names it."""
        batch = self.batch
        batch.add_write(None, *named, database)
        return self.add_write(owner, command, argv, database)

    def read_blocking(self, token: int, owner: Any, command: Command, argv: list[bytes], database: int) -> Reply:
        """Execute a read that may wait."""
        self.executor.read_context.waiter_token = token
        return self.executor.read(owner, command, [argv], database)[0]

    def add_unlogged(self, owner: Any, command: Command | Transaction, argv: list[bytes], database: int) -> Batch:
        """Have something executed behind all writes that were added so far; the batch it is in."""
        batch = self.last_batch()
        batch.add_unlogged(owner, command, argv, database)
        return batch

    def last_batch(self) -> Batch:
        """The last batch that holds a write and is not applied, or else the open one."""
        if self.batch.items:
            return self.batch
        if self._closed:
            return self._closed[-1]
        return self._in_flight[-1] if self._in_flight else self.batch

    def read(self, owner: Any, command: Command, argvs: list[list[bytes]], database: int) -> list[Reply]:
        """Execute a run of reads now."""
        return self.executor.read(owner, command, argvs, database)

    def is_idle_without(self, command: Command, argvs: list[list[bytes]], database: int) -> bool:
        """Whether no write is under way, and none of the keys that commands name is there."""
        if self.batch.items or self._in_flight or self._closed:
            return False
        db = self.keyspace.maybe_database(database)
        if db is None:
            return False
        peek = db.peek
        return all(peek(argv[position]) is None for argv in argvs for position in command.key_positions(argv))

    def unapplied(self) -> list[Batch]:
        """The batches whose effect is still to come, in order."""
        return [*self._in_flight, *self._closed, self.batch]

    @property
    def congested(self) -> bool:
        """Whether Raft refused the last proposal for now: no more writes should be taken."""
        return bool(self._closed)

    # Raft.

    def may_propose(self) -> bool:
        """Whether `propose` would make an entry of the open batch: it holds something, and no other is under way, or
        few are and it is full."""
        if not self._in_flight:
            return bool(self.batch.items)
        return len(self._in_flight) < MOST_IN_FLIGHT and self.batch.logged_bytes >= FULL_BYTES

    def expects_more(self) -> bool:
        """Whether the open batch should wait a moment, since those who were answered last have not all sent more; only
        where an entry goes to other replicas."""
        return self._answered > max(FEW_WRITES, self.batch.writes) and not self._in_flight and not self.raft.is_alone

    def is_busy(self) -> bool:
        """Whether another entry will follow within a moment: something was gathered for it, or the clients of those
        under way are many."""
        return bool(self.batch.items) or any(batch.writes > FEW_WRITES for batch in self._in_flight)

    def propose(self, now_ms: int, *, everything: bool = False) -> list[Outcome]:
        """Make entries of the batches that hold writes: of the open one if it may be, or `everything`. Returns what
        could be answered at once: batches without writes, and batches that Raft refused (with the error as every
        reply)."""
        outcomes: list[Outcome] = []
        if self.may_propose() or (everything and self.batch.items):
            self._close_batch()
        while self._closed:
            batch = self._closed.popleft()
            if not batch.writes:
                outcomes.append(self._execute(batch, entry.EntryHeader(self.applied.time_ms, 0)))
                continue
            self._time_ms = max(self._time_ms, now_ms)
            data = entry.encode(self._time_ms, self._seeds.getrandbits(64), batch.fragments, batch.logged)
            batch.term = self.raft.term
            try:
                batch.index = self.raft.propose(data)
            except (UncommittedFullError, TransferInProgressError):
                self._closed.appendleft(batch)
                break
            except NotLeaderError as error:
                outcomes.append(_refused(batch, CommandError(f"CLUSTERDOWN the write was refused: {error}")))
                continue
            except EntryTooBigError as error:
                outcomes.append(_refused(batch, CommandError(f"ERR the write is too large to be replicated: {error}")))
                continue
            batch.fragments.clear()
            self.logged_bytes_since_flush += len(data)
            self._in_flight.append(batch)
        return outcomes

    def apply_committed(self, ready: Ready) -> list[Outcome]:
        """Execute the committed entries of a Ready, in log order; the batches that were waiting for them."""
        outcomes: list[Outcome] = []
        conf, time_ms, table_version = self.applied.conf, self.applied.time_ms, self.applied.table_version
        for committed in ready.committed:
            while self._in_flight and self._lost(self._in_flight[0], committed):
                outcomes.append(self._unknown(self._in_flight.popleft()))
            if committed.kind is EntryKind.NORMAL and committed.data:
                header = entry.header(committed.data)
                if header.time_ms < time_ms:
                    header = header._replace(time_ms=time_ms)
                time_ms = header.time_ms
                if self._in_flight and self._in_flight[0].index == committed.index:
                    outcomes.append(self._execute(self._in_flight.popleft(), header))
                else:
                    self.logged_bytes_since_flush += len(committed.data)
                    self.executor.apply_logged(header, list(entry.runs(committed.data)))
                self._time_ms = max(self._time_ms, time_ms)
            elif committed.kind is EntryKind.CHANGE:
                conf = self.raft.apply_change(committed)
                table_version = int(decode_change(committed.data).context or table_version)
            self.applied = AppliedPoint(committed.index, committed.term, time_ms, conf, table_version)
        if ready.committed:
            self.raft.applied_to(self.applied.index)
        return outcomes

    def fail_in_flight(self) -> list[Outcome]:
        """Give up on every batch under way (this replica leads no more, or the node stops): of those that were
        proposed the outcome is not known, the others have none."""
        outcomes = [self._unknown(batch) for batch in self._in_flight]
        if self.batch.items:
            self._close_batch()
        outcomes += [_refused(batch, CommandError(NOT_PROPOSED)) for batch in self._closed]
        self._in_flight.clear()
        self._closed.clear()
        return outcomes

    def _close_batch(self) -> None:
        self._closed.append(self.batch)
        self.batch = Batch()

    def _execute(self, batch: Batch, header: entry.EntryHeader) -> Outcome:
        self._answered = batch.writes
        replies = self.executor.apply_batch(batch, header)
        batch.applied = True
        return Outcome(batch, replies)

    @staticmethod
    def _lost(batch: Batch, committed: Entry) -> bool:
        assert batch.index is not None
        return batch.index < committed.index or (batch.index == committed.index and batch.term != committed.term)

    @staticmethod
    def _unknown(batch: Batch) -> Outcome:
        return _refused(batch, CommandError(UNKNOWN_OUTCOME))

    # The image.

    def begin_flush(self, writer: RecordWriter) -> FlushPoint:
        """Start writing the keyspace as of now to `writer`; `flush.step` does the work. Returns what it will be of."""
        assert self.flush is None, "one flush at a time"
        point = FlushPoint(self.applied, self.keyspace.meta())
        self.flush = self.keyspace.begin_flush(writer)
        self.logged_bytes_since_flush = 0
        return point

    def break_off_flush(self) -> None:
        """The flush under way is not wanted any more, and the next one writes everything: its image is a new one."""
        if self.flush is not None:
            self.keyspace.end_flush()
            self.flush = None
        for database in self.keyspace.databases:
            database.dirty_all()

    def end_flush(self, point: FlushPoint) -> None:
        """The image of `point` is durable."""
        self.flush = None
        self.flushed = point.applied.index

    def install(self, keyspace: Keyspace, applied: AppliedPoint) -> None:
        """A snapshot takes the place of everything that is here; what is under way in the old state is over."""
        old = self.keyspace
        if self.flush is not None:
            old.end_flush()
            self.flush = None
        self.executor.install_keyspace(keyspace)
        keyspace.inherit_dead(old)
        self.applied = applied
        self._time_ms = max(self._time_ms, applied.time_ms)
        self.present.set_state(applied.time_ms)
        self.flushed = applied.index
        self.logged_bytes_since_flush = 0

    # Looking in.

    def statistics(self) -> dict[str, int]:
        """Counts for INFO."""
        return {
            "group": self.group,
            "applied_index": self.applied.index,
            "flushed_index": self.flushed,
            "batches_in_flight": len(self._in_flight) + len(self._closed),
            "logged_bytes_since_flush": self.logged_bytes_since_flush,
            **self.keyspace.statistics(),
        }

    def check(self) -> None:
        """Assert the invariants."""
        indexes = [batch.index for batch in self._in_flight]
        assert all(index is not None and index > self.applied.index for index in indexes)
        assert indexes == sorted(indexes, key=lambda index: index or 0)
        assert self.flushed <= self.applied.index
        self.keyspace.check()


def _refused(batch: Batch, error: CommandError) -> Outcome:
    batch.applied = True
    return Outcome(batch, [[error] * len(run.argvs) for run in batch.items])
