"""Execution of commands on a keyspace: one at a time, timed, and never letting a bug take the node down.

Theory (design section 7). A handler is deterministic, so an exception that it did not mean is the same on every replica
of the same version: it is logged with its traceback, answered `-ERR internal error`, and the node goes on. What depends
on the machine (no memory, the operating system, the disk) is not: it is let through, and stops the node.

Nothing that a client sends, by way of whatever node with whatever settings, stops a replica that finds it in the log:
what cannot be executed is answered with an error, by what the log says alone. A command that this version does not know
is no client's, since its leader knew it: a replica that passed it by would differ from the others, so it stops.

Writes and reads have a context each. Both see the same keyspace; but a read draws its randomness apart from the
entry's, since reads are executed on one replica only and must leave no trace in what later writes draw.

Blocked commands (`keyspace.waiters`) are served right behind the command that made their key ready, or behind its
whole transaction, so that nobody comes between: for each key that was touched, in order, its waiters in order of
arrival are tried again, and so for what they touch in turn. All of it follows from the log.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from random import Random

from redraft.commands import errors
from redraft.commands.context import STILL_WAITING, Context
from redraft.commands.table import Command, CommandTable, Kind, Reply
from redraft.errors import CommandError, StorageError
from redraft.keyspace.cursors import Cursors
from redraft.keyspace.keyspace import Keyspace
from redraft.keyspace.waiters import Place, Waiter
from redraft.shard.batch import Batch, Takers, Transaction
from redraft.shard.entry import EntryHeader, LoggedRun
from redraft.shard.present import Present
from redraft.values import codec
from redraft.values.thresholds import IN_FORCE

log = logging.getLogger("redraft.shard")

SlowCallback = Callable[[object, Command, list[bytes], int], None]
"""(owner, command, argv, duration in ns), called for a command that took at least `slow_ns`."""

CURSORS_A_NODE = 1 << 20
"""A node's cursors begin at a random multiple of this, so that another node's are unknown here."""

_MARKS = ([b"MULTI"], [b"EXEC"])
RUN_NS = 1_000_000
"""Commands are timed one by one when one that takes less than this is to be reported as slow."""

NAMES_A_WAIT = "redraft|waiter"
INTERNAL_ERROR = "ERR internal error: the command failed unexpectedly and was logged; nothing else is affected"


class Executor:
    """Runs commands on one keyspace.

    `monotonic_ns` only measures (SLOWLOG, INFO commandstats): no result depends on it.
    """

    __slots__ = (
        "_monotonic_ns",
        "_table",
        "errors",
        "keyspace",
        "on_slow",
        "present",
        "read_context",
        "slow_ns",
        "write_context",
    )

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
        cursors = Cursors(first=1 + read_random.getrandbits(32) * CURSORS_A_NODE)
        self.write_context = Context(keyspace, cursors)
        self.read_context = Context(keyspace, cursors, writes=False)
        self.read_context.begin_reads(read_random)
        self.present = Present(self.read_context)
        self.slow_ns = 1 << 62
        self.on_slow: SlowCallback | None = None
        self.errors: dict[str, int] = {}
        """Errors that commands ended with, by their first word."""

    def replace_keyspace(self, keyspace: Keyspace) -> None:
        """Execute on another keyspace from now on (it was read anew from disk)."""
        keyspace.adopt_waiters(self.keyspace.waiters)
        self.install_keyspace(keyspace)

    def install_keyspace(self, keyspace: Keyspace) -> None:
        """Execute on another keyspace from now on, with those who wait in it (a snapshot was installed)."""
        self.keyspace = keyspace
        self.write_context.keyspace = keyspace
        self.read_context.keyspace = keyspace

    def read(self, owner: object, command: Command, argvs: list[list[bytes]], database: int) -> list[Reply]:
        """Execute a run of reads now; an error is returned as its reply."""
        return self._run(self.read_context, command, argvs, database, [(owner, len(argvs))])

    def write(self, owner: object, command: Command, argvs: list[list[bytes]], database: int) -> list[Reply]:
        """Execute a run of writes of the present entry; an error is returned as its reply."""
        return self._write(command, argvs, database, [(owner, len(argvs))])

    def _write(self, command: Command, argvs: list[list[bytes]], database: int, takers: Takers) -> list[Reply]:
        context = self.write_context
        if not self.keyspace.waiters or context.in_transaction:
            return self._run(context, command, argvs, database, takers)
        replies: list[Reply] = []
        for position, argv in enumerate(argvs):
            replies += self._run(context, command, [argv], database, [(_taker(takers, position), 1)])
            self._serve()
        return replies

    def _run(
        self, context: Context, command: Command, argvs: list[list[bytes]], database: int, takers: Takers
    ) -> list[Reply]:
        if not 0 <= database < len(self.keyspace.databases):
            if not command.internal:
                context.waiter_token = None
                return self._refuse(command, argvs)
            database = 0  # it is of no database; only REAP is, and does no harm
        context.database = database
        context.db = self.keyspace.databases[database]
        handler = command.handler
        assert handler is not None
        monotonic_ns = self._monotonic_ns
        slow_ns = self.slow_ns
        replies: list[Reply] = []
        add = replies.append
        first = started = monotonic_ns()
        if command.run is not None and len(argvs) > 1 and slow_ns >= RUN_NS:
            try:
                together = command.run(context, argvs)
            except Exception as error:  # noqa: BLE001 - see the module's docstring
                together = [self._failed(command, argvs[0], error)] * len(argvs)
            if together is not None:
                command.calls += len(argvs)
                command.nanoseconds += monotonic_ns() - first
                context.waiter_token = None
                return together
        for argv in argvs:
            try:
                add(handler(context, argv))
            except Exception as error:  # noqa: BLE001 - see the module's docstring
                add(self._failed(command, argv, error))
            ended = monotonic_ns()
            if ended - started >= slow_ns and self.on_slow is not None:
                self.on_slow(_taker(takers, len(replies) - 1), command, argv, ended - started)
            started = ended
        if context.waiter_token is not None and command.name != NAMES_A_WAIT:
            context.waiter_token = None  # it was for this command, whether that had to wait or not
        command.calls += len(argvs)
        command.nanoseconds += started - first
        return replies

    def _refuse(self, command: Command, argvs: list[list[bytes]]) -> list[Reply]:
        """The replies of commands for a database that the log has not made: one of a node with other settings."""
        error = CommandError(errors.DB_INDEX_OUT_OF_RANGE)
        return [self._failed(command, argv, error) for argv in argvs]

    def apply_batch(self, batch: Batch, header: EntryHeader) -> list[list[Reply]]:
        """Execute a batch under its entry's header; the replies of each run."""
        self._begin(header)
        replies: list[list[Reply]] = []
        for command, argvs, database, takers in batch.items:
            if isinstance(command, Transaction):
                replies.append([self.transaction(takers[0][0], command)])
            elif command.kind is Kind.DATA_WRITE:
                replies.append(self._write(command, argvs, database, takers))
            else:
                replies.append(self._run(self.read_context, command, argvs, database, takers))
        self.keyspace.changes += batch.writes
        return replies

    def transaction(self, owner: object, transaction: Transaction) -> list[Reply]:
        """Execute the steps of an EXEC; its reply."""
        replies: list[Reply] = []
        self._enter_transaction(inside=True)
        for command, argv, database, reply in transaction.steps:
            if command is None:
                replies.append(reply)
            elif command.kind is Kind.DATA_WRITE:
                replies += self.write(owner, command, [argv], database)
            else:
                replies += self.read(owner, command, [argv], database)
        self._enter_transaction(inside=False)
        return replies

    def _enter_transaction(self, *, inside: bool) -> None:
        self.write_context.in_transaction = self.read_context.in_transaction = inside
        self.write_context.waiter_token = None
        if not inside and self.keyspace.waiters:
            self._serve()

    def apply_logged(self, header: EntryHeader, runs: list[LoggedRun]) -> None:
        """Execute the writes of an entry for which nobody waits here (a follower, a restart)."""
        self._begin(header)
        for database, argvs in runs:
            if argvs[0] in _MARKS:
                self._enter_transaction(inside=argvs[0] == _MARKS[0])
                continue
            command = self._logged(argvs[0])
            if "|" not in command.name and all(map(command.accepts, set(map(len, argvs)))):
                token = self.write_context.waiter_token
                replies = self.write(None, command, argvs, database)
                if token is not None and command.blocking and not isinstance(replies[0], Waiter):
                    # Its client may be at this node, and have lost the one that it asked.
                    self.write_context.served.append((token, replies[0]))
            else:
                for argv in argvs:
                    self.write(None, self._logged(argv), [argv], database)
            self.keyspace.changes += len(argvs)

    def _logged(self, argv: list[bytes]) -> Command:
        try:
            return self._table.lookup_logged(argv)
        except CommandError as error:
            raise StorageError(
                f"the log holds a command that this version does not know ({error.text}): it was written by a newer"
                " version; start that one"
            ) from error

    def _begin(self, header: EntryHeader) -> None:
        if IN_FORCE.adopted is not self.keyspace.thresholds:
            IN_FORCE.adopt(self.keyspace.thresholds)
        self.write_context.begin(header.time_ms, header.seed)
        self.present.set_state(header.time_ms)

    # Blocked commands.

    def take_served(self) -> list[tuple[int, Reply]]:
        """The waits that have ended since the last call: tokens and replies."""
        served = self.write_context.served
        self.write_context.served = []
        return served

    def _serve(self) -> None:
        """Offer what was touched to those that wait for it."""
        waiters = self.keyspace.waiters
        places = deque(waiters.take_touched())
        while places:
            place = places.popleft()
            for waiter in waiters.at(place):
                reply = self._try_again(waiter, place)
                touched = waiters.take_touched()
                if reply is not STILL_WAITING:
                    self.keyspace.remove_waiter(waiter.token)
                    self.write_context.served.append((waiter.token, reply))
                    places += touched

    def _try_again(self, waiter: Waiter, place: Place) -> Reply:
        context = self.write_context
        context.select(place[0])
        key = place[1]
        value = context.get(key)
        if value is None or codec.type_name(value) != waiter.type_name:
            return CommandError(errors.STREAM_GONE) if waiter.needs_key else STILL_WAITING
        command = self._table.lookup_logged(waiter.argv)
        assert command.handler is not None
        context.serving = key
        try:
            return command.handler(context, waiter.argv)
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            return self._failed(command, waiter.argv, error)
        finally:
            context.serving = None

    def _failed(self, command: Command, argv: list[bytes], error: Exception) -> CommandError:
        command.failed_calls += 1
        if isinstance(error, CommandError):
            code = error.text.split(" ", 1)[0]
            self.errors[code] = self.errors.get(code, 0) + 1
            return error
        if depends_on_machine(error):
            raise error
        log.error("the command %s with %d arguments failed", command.name, len(argv) - 1, exc_info=error)
        return CommandError(INTERNAL_ERROR)


def depends_on_machine(error: Exception) -> bool:
    """Whether an error stops the node: another one may not have it."""
    return isinstance(error, (MemoryError, OSError, StorageError))


def _taker(takers: Takers, position: int) -> object:
    """Who gets the reply at a position of a run."""
    for owner, count in takers:
        if position < count:
            return owner
        position -= count
    return None
