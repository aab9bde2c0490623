"""A batch: what a shard executes with one log entry, in order.

Theory: the tick is the unit of group commit (design section 2), and a batch is a tick's work for one shard. It holds
writes, which become the entry, and on the leader also *what stands behind a write in a client's pipeline*: a read after
a write on one connection must see that write and nothing later, so it is executed where it stands, when the entry is
applied, without being logged. A pipeline of alternating writes and reads thus costs one fsync.

Neighbours that call the same command make one run, whoever sent them: fifty clients that each send a SET are executed
in one loop, and logged as one MSET.

Invariants: `items` is in execution order; `fragments` packs exactly the writes among them in the same order, or one
MSET for several SETs; a batch with `index` was proposed under `term` and takes no further writes, but may still take
unlogged items until it is applied.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from redraft.commands.table import Command, Kind, Reply
from redraft.ids import Index, Term
from redraft.shard import entry


class TransactionStep(NamedTuple):
    """One command of an EXEC: either to be executed, or (`command` None) answered already when it was routed."""

    command: Command | None
    argv: list[bytes]
    database: int
    reply: Reply = None


class Transaction(NamedTuple):
    """What EXEC executes; it stands in an item where a plain command has its `Command`."""

    steps: list[TransactionStep]


Takers = list[tuple[Any, int]]
"""Who gets the replies of a run, in order: (owner, how many). The owner is the node's; None when nobody waits."""


class Run(NamedTuple):
    """One command again and again, with different arguments, for one client or for several; or one transaction."""

    command: Command | Transaction
    argvs: list[list[bytes]]
    database: int
    takers: Takers


class Batch:
    """Work to be executed together."""

    __slots__ = (
        "applied",
        "database",
        "fragments",
        "index",
        "items",
        "logged",
        "logged_bytes",
        "owners",
        "sets",
        "sets_end",
        "sets_start",
        "term",
        "writes",
    )

    def __init__(self) -> None:
        self.items: list[Run] = []
        self.fragments: list[bytes] = []
        self.logged_bytes = 0
        self.logged = 0
        """Commands and marks in the fragments."""
        self.writes = 0
        """Write commands among the items, each command of a transaction counted."""
        self.database = 0
        """The database that the fragments so far have selected."""
        self.sets = self.sets_start = self.sets_end = 0
        """How many SETs the last run of them has that is logged together, and its fragments: more can join it as long
        as it is last."""
        self.index: Index | None = None
        self.term: Term | None = None
        self.applied = False
        self.owners: list[Any] = []
        """For the node: the distinct owners of the items, in order of arrival."""

    def add_write(self, owner: Any, command: Command, argv: list[bytes], database: int) -> None:
        """Put a write last: it will be logged."""
        self._add(owner, command, [argv], database)
        self._log(argv, database)

    def add_writes(self, owner: Any, command: Command, argvs: list[list[bytes]], database: int, packed: bytes) -> None:
        """Put a run of writes last; `packed` is all of them as `entry.pack` would pack them."""
        self._add(owner, command, argvs, database)
        if database != self.database:
            self._select(database)
        self.writes += len(argvs)
        self.logged_bytes += len(packed)
        pairs = entry.set_pairs(argvs, packed)
        if pairs is not None:
            self._log_sets(pairs, len(argvs))
            return
        self.fragments.append(packed)
        self.logged += len(argvs)

    def add_unlogged(self, owner: Any, command: Command | Transaction, argv: list[bytes], database: int) -> None:
        """Put a read, or a transaction without writes, last: it is executed in its turn and not logged."""
        self._add(owner, command, [argv], database)

    def _add(self, owner: Any, command: Command | Transaction, argvs: list[list[bytes]], database: int) -> None:
        if self.items:
            last = self.items[-1]
            if last.command is command and last.database == database:
                last.argvs.extend(argvs)
                last.takers.append((owner, len(argvs)))
                return
        self.items.append(Run(command, argvs, database, [(owner, len(argvs))]))

    def add_transaction(self, owner: Any, transaction: Transaction, argv: list[bytes], database: int) -> None:
        """Put a transaction last; its writes are logged between MULTI and EXEC."""
        self._add(owner, transaction, [argv], database)
        writes = [s for s in transaction.steps if s.command is not None and s.command.kind is Kind.DATA_WRITE]
        if not writes:
            return
        self.fragments.append(entry.MULTI)
        for step in writes:
            self._log(step.argv, step.database)
        self.fragments.append(entry.EXEC)
        self.logged += 2

    def _log_sets(self, pairs: bytes, count: int) -> None:
        fragments = self.fragments
        if self.sets_end and self.sets_end == len(fragments):
            self.sets += count
            fragments[self.sets_start] = entry.begin_sets(self.sets)
        else:
            self.sets = count
            self.sets_start = len(fragments)
            fragments.append(entry.begin_sets(count))
            self.logged += 1
        fragments.append(pairs)
        self.sets_end = len(fragments)

    def _log(self, argv: list[bytes], database: int) -> None:
        if database != self.database:
            self._select(database)
        fragment = entry.pack(tuple(argv))
        self.fragments.append(fragment)
        self.logged_bytes += len(fragment)
        self.logged += 1
        self.writes += 1

    def _select(self, database: int) -> None:
        self.database = database
        self.fragments.append(entry.select(database))
        self.logged += 1
