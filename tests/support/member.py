"""A shard with its Raft member on a log in memory: what a node drives, without the node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from redraft.commands.all import TABLE
from redraft.commands.table import Command, CommandTable, Kind
from redraft.ids import FIRST_SHARD_GROUP, Index, NodeId
from redraft.keyspace.keyspace import Keyspace
from redraft.raft.config import RaftConfig
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.messages import Entry, EntryKind
from redraft.raft.node import RaftNode
from redraft.shard.batch import Batch, Transaction, TransactionStep
from redraft.shard.shard import AppliedPoint, Outcome, Shard
from redraft.values import codec

NOW_MS = 1_700_000_000_000
MOST_ROUNDS = 1000


class Member:
    """One replica that leads: commands in, replies out, and a log that another can be started on.

    `seed` stands for all that differs between replicas: the seeds of its entries and of its reads.
    """

    def __init__(
        self,
        log: MemoryStorage | None = None,
        *,
        seed: int = 1,
        table: CommandTable | None = None,
        keyspace: Keyspace | None = None,
        applied: AppliedPoint | None = None,
        **limits: int,
    ) -> None:
        self.log = log or MemoryStorage()
        self.table = table or CommandTable(TABLE)
        self.clock_ns = 0
        applied = applied or AppliedPoint()
        self.raft = RaftNode(RaftConfig(NodeId(1), **limits), self.log, applied.index)
        self.shard = Shard(
            FIRST_SHARD_GROUP,
            self.raft,
            keyspace or Keyspace(),
            applied,
            self.table,
            lambda: self.clock_ns,
            Random(seed),
        )
        self.now_ms = NOW_MS

    def lead(self) -> Member:
        """Win the election, which takes in all that the log holds."""
        self.raft.campaign()
        self.settle()
        return self

    # Commands in.

    def lookup(self, words: Sequence[Any]) -> tuple[Command, list[bytes]]:
        argv = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        return self.table.lookup_logged(argv), argv

    def add(self, *words: Any, database: int = 0, owner: Any = "client") -> Batch:
        """Take a command as a node does whose client has something pending: writes are logged, reads stand behind."""
        command, argv = self.lookup(words)
        if command.kind is Kind.DATA_WRITE:
            return self.shard.add_write(owner, command, argv, database)
        return self.shard.add_unlogged(owner, command, argv, database)

    def transaction(self, *lines: str | Sequence[Any], database: int = 0) -> Transaction:
        """What EXEC would execute; a line may be a string, cut at its spaces."""
        steps = []
        for line in lines:
            command, argv = self.lookup(line.split() if isinstance(line, str) else line)
            steps.append(TransactionStep(command, argv, database))
        return Transaction(steps)

    def add_exec(self, transaction: Transaction, *, database: int = 0, owner: Any = "client") -> Batch:
        """Take a transaction: logged when it has a write."""
        kinds = {step.command.kind for step in transaction.steps if step.command is not None}
        add = self.shard.add_transaction if Kind.DATA_WRITE in kinds else self.shard.add_unlogged
        return add(owner, transaction, [b"EXEC"], database)

    def read(self, *words: Any, database: int = 0) -> Any:
        """Execute one read now."""
        command, argv = self.lookup(words)
        assert command.kind is Kind.DATA_READ
        return self.shard.read("client", command, [argv], database)[0]

    # Ticks.

    def propose(self) -> list[Outcome]:
        """Make entries of what was added."""
        return self.shard.propose(self.now_ms)

    def persist(self) -> list[Outcome]:
        """One round: write what is to be written, apply what is committed."""
        ready = self.raft.ready()
        self.log.write(ready.hard_state, ready.entries)
        outcomes = self.shard.apply_committed(ready)
        self.raft.advance(ready)
        self.raft.check()
        self.shard.check()
        return outcomes

    def settle(self) -> list[Outcome]:
        """Propose, write and apply until there is nothing left to do."""
        outcomes = self.propose()
        for _ in range(MOST_ROUNDS):
            if not self.raft.has_ready() and not self.shard.congested:
                return outcomes
            outcomes += self.persist()
            outcomes += self.propose()
        raise AssertionError("the member does not come to rest")

    def replies(self) -> list[Any]:
        """Settle; the replies of all commands, in order."""
        return [reply for outcome in self.settle() for replies in outcome.replies for reply in replies]

    def __call__(self, *words: Any, database: int = 0) -> Any:
        """Add one command, settle, and give its reply."""
        self.add(*words, database=database)
        return self.replies()[-1]

    # Looking in.

    @property
    def keyspace(self) -> Keyspace:
        return self.shard.keyspace

    def entries(self) -> list[Entry]:
        """The entries of the log that hold commands."""
        first, last = self.log.first_index(), self.log.last_index()
        if last < first:
            return []
        every = self.log.entries(first, Index(last + 1), 1 << 60)
        return [entry for entry in every if entry.kind is EntryKind.NORMAL and entry.data]


def state(keyspace: Keyspace) -> Any:
    """All of a keyspace that is replicated, as bytes: every key of every database, due ones too, in order; and what the
    image tells beside them."""
    return keyspace.meta(), [list(_records(keyspace, number)) for number in range(len(keyspace.databases))]


def _records(keyspace: Keyspace, number: int) -> Iterator[tuple[bytes, bytes]]:
    database = keyspace.databases[number]
    for key in database.keys_from(b""):
        value = database.get(key, -(1 << 63) - 1)
        assert value is not None
        yield key, codec.encode(value, database.deadline(key))
