"""Execution of commands on a keyspace: one at a time, timed, and never letting a bug take the node down.

Theory (design section 7). A handler is deterministic, so an exception that it did not mean is the same on every replica
of the same version: it is logged with its traceback, answered `-ERR internal error`, and the node goes on. What depends
on the machine (no memory, the operating system, the disk) is not: it is let through, and stops the node.

Writes and reads have a context each. Both see the same keyspace; but a read draws its randomness apart from the
entry's, since reads are executed on one replica only and must leave no trace in what later writes draw.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random

from redraft.commands.context import Context
from redraft.commands.table import Command, CommandTable, Kind, Reply
from redraft.errors import CommandError, StorageError
from redraft.keyspace.cursors import Cursors
from redraft.keyspace.keyspace import Keyspace
from redraft.shard.batch import Batch, Transaction
from redraft.shard.entry import EntryHeader, LoggedCommand

log = logging.getLogger("redraft.shard")

SlowCallback = Callable[[object, Command, list[bytes], int], None]
"""(owner, command, argv, duration in ns), called for a command that took at least `slow_ns`."""

INTERNAL_ERROR = "ERR internal error: the command failed unexpectedly and was logged; nothing else is affected"


class Executor:
    """Runs commands on one keyspace.

    `monotonic_ns` only measures (SLOWLOG, INFO commandstats): no result depends on it.
    """

    __slots__ = ("_monotonic_ns", "_table", "errors", "keyspace", "on_slow", "read_context", "slow_ns", "write_context")

    def __init__(
        self,
        keyspace: Keyspace,
        table: CommandTable,
        monotonic_ns: Callable[[], int],
        read_random: Random,
    ) -> None:
        self.keyspace = keyspace
        self._table = table
        self._monotonic_ns = monotonic_ns
        cursors = Cursors()
        self.write_context = Context(keyspace, cursors)
        self.read_context = Context(keyspace, cursors)
        self.read_context.begin_reads(read_random)
        self.slow_ns = 1 << 62
        self.on_slow: SlowCallback | None = None
        self.errors: dict[str, int] = {}
        """Errors that commands ended with, by their first word."""

    def replace_keyspace(self, keyspace: Keyspace) -> None:
        """Execute on another keyspace from now on (it was read anew from disk)."""
        self.keyspace = keyspace
        self.write_context.keyspace = keyspace
        self.read_context.keyspace = keyspace

    def read(self, owner: object, command: Command, argv: list[bytes], database: int) -> Reply:
        """Execute a read now; an error is returned as its reply."""
        context = self.read_context
        context.database = database
        context.db = self.keyspace.databases[database]
        started = self._monotonic_ns()
        try:
            reply = command.handler(context, argv)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            reply = self._failed(command, argv, error)
        took = self._monotonic_ns() - started
        command.calls += 1
        command.nanoseconds += took
        if took >= self.slow_ns and self.on_slow is not None:
            self.on_slow(owner, command, argv, took)
        return reply

    def write(self, owner: object, command: Command, argv: list[bytes], database: int) -> Reply:
        """Execute a write of the present entry; an error is returned as its reply."""
        context = self.write_context
        context.database = database
        context.db = self.keyspace.databases[database]
        started = self._monotonic_ns()
        try:
            reply = command.handler(context, argv)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            reply = self._failed(command, argv, error)
        took = self._monotonic_ns() - started
        command.calls += 1
        command.nanoseconds += took
        if took >= self.slow_ns and self.on_slow is not None:
            self.on_slow(owner, command, argv, took)
        return reply

    def apply_batch(self, batch: Batch, header: EntryHeader) -> list[Reply]:
        """Execute a batch under its entry's header; the replies, item by item."""
        context = self.write_context
        context.begin(header.time_ms, header.seed)
        if self.read_context.now_ms < header.time_ms:
            self.read_context.now_ms = header.time_ms
        databases = self.keyspace.databases
        monotonic_ns = self._monotonic_ns
        slow_ns = self.slow_ns
        write = Kind.DATA_WRITE
        replies: list[Reply] = []
        add = replies.append
        started = monotonic_ns()
        for owner, command, argv, database in batch.items:
            if type(command) is Transaction:
                add(self.transaction(owner, command))
                started = monotonic_ns()
                continue
            if command.kind is not write:  # type: ignore[union-attr]
                add(self.read(owner, command, argv, database))  # type: ignore[arg-type]
                started = monotonic_ns()
                continue
            context.database = database
            context.db = databases[database]
            try:
                add(command.handler(context, argv))  # type: ignore[union-attr,misc]
            except Exception as error:  # noqa: BLE001 - see the module's docstring
                add(self._failed(command, argv, error))  # type: ignore[arg-type]
            ended = monotonic_ns()
            command.calls += 1  # type: ignore[union-attr]
            command.nanoseconds += ended - started  # type: ignore[union-attr]
            if ended - started >= slow_ns and self.on_slow is not None:
                self.on_slow(owner, command, argv, ended - started)  # type: ignore[arg-type]
            started = ended
        self.keyspace.changes += batch.writes
        return replies

    def transaction(self, owner: object, transaction: Transaction) -> list[Reply]:
        """Execute the steps of an EXEC; its reply."""
        replies: list[Reply] = []
        for command, argv, database, reply in transaction.steps:
            if command is None:
                replies.append(reply)
            elif command.kind is Kind.DATA_WRITE:
                replies.append(self.write(owner, command, argv, database))
            else:
                replies.append(self.read(owner, command, argv, database))
        return replies

    def apply_logged(self, header: EntryHeader, commands: list[LoggedCommand]) -> None:
        """Execute the writes of an entry for which nobody waits here (a follower, a restart)."""
        self.write_context.begin(header.time_ms, header.seed)
        if self.read_context.now_ms < header.time_ms:
            self.read_context.now_ms = header.time_ms
        for database, argv in commands:
            try:
                command = self._table.lookup(argv)
            except CommandError as error:
                raise StorageError(
                    f"the log holds a command that this version does not know ({error.text}): it was written by a newer"
                    " version; start that one"
                ) from error
            self.write(None, command, argv, database)
        self.keyspace.changes += len(commands)

    def _failed(self, command: Command, argv: list[bytes], error: Exception) -> CommandError:
        command.failed_calls += 1
        if isinstance(error, CommandError):
            code = error.text.split(" ", 1)[0]
            self.errors[code] = self.errors.get(code, 0) + 1
            return error
        if isinstance(error, (MemoryError, OSError, StorageError)):
            raise error
        log.error("the command %s with %d arguments failed", command.name, len(argv) - 1, exc_info=error)
        return CommandError(INTERNAL_ERROR)
