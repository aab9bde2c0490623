"""Routing: what becomes of each command that a client sends.

Theory (design section 2). A session's commands take effect in its order. A read with nothing of the session's pending
is executed at once. A write is put into its shard's open batch and its reply waits in a segment. A read behind such a
write is put into the same batch, unlogged, and is executed in its turn. A session command is executed at once; its
reply is queued behind the others. A command that changes how *earlier* replies are encoded or sent (HELLO, RESET,
CLIENT REPLY), and any that blocks, waits until the session owes nothing: the commands from it on are put into the
backlog.

`route` is the hot path and flat on purpose: a plain session (no MULTI, authenticated, …) on a plain node (no monitor,
not paused, not loading) pays one table look-up and one arity check before its handler. All else is in `dispatch`.

The two roads must answer alike, so they stand in one file, which is longer than most.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from redraft.commands import errors
from redraft.commands.table import Command, Kind
from redraft.errors import CommandError
from redraft.node.context import NO_REPLY, SessionContext
from redraft.node.permission import Permission
from redraft.node.redaction import redacted
from redraft.node.session import ReplyMode, Session
from redraft.node.split import Queued, Split, goes_to_leader
from redraft.node.turns import FIRST_READS
from redraft.resp.encoder import encode, encode_all
from redraft.resp.reply import NIL_ARRAY, QUEUED
from redraft.shard.batch import Batch, Transaction, TransactionStep
from redraft.shard.entry import pack
from redraft.shard.executor import INTERNAL_ERROR, depends_on_machine

if TYPE_CHECKING:
    from redraft.node.node import Node

log = logging.getLogger("redraft.node")

BARRIERS = frozenset(
    {
        "hello", "reset", "client|reply", "monitor", "save", "shutdown", "client|pause", "watch", "wait", "waitaof",
        "cluster|countkeysinslot", "cluster|getkeysinslot", "client|unblock",
    }
)  # fmt: skip
"""Session commands that wait until all earlier replies of their session have been encoded (all of DEBUG's do too)."""

IMMEDIATE_IN_MULTI = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})
"""Commands that MULTI does not queue (server.c, processCommand)."""

NEED_KEYS = frozenset({"lpop", "rpop", "spop", "zpopmin", "zpopmax", "del", "unlink", "getdel", "hdel", "srem", "zrem"})
"""Writes that change nothing where their keys are not there: then they are reads, and need no entry. (Who takes work
from a queue finds it empty most of the time.)"""

HTTP = (b"post", b"host:")
"""The first words of lines that only a client of HTTP sends."""
HTTP_TOLD_MS = 60_000

GREETINGS = frozenset({"redraft|peer", "redraft|proof"})
"""What another node says to come in."""

READS_PER_LOOK = 64
"""How many replies are made between two looks at how much a client is owed."""


class Router:
    """Takes commands from sessions to the shard or to their session handlers."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._context = SessionContext(node)
        self._http_told_ms = -HTTP_TOLD_MS

    def route(
        self, session: Session, commands: list[list[bytes]], packed: bytes | None, permission: Permission | None
    ) -> None:
        """Look at commands that the session sent, in order; what cannot be looked at yet goes to its backlog.

        `packed` is what `entry.pack` would make of all of them, where that is known already. `permission` was made
        after they were read; without one, what needs data is the leader's to execute.
        """
        if session.backlog or session.blocked is not None:
            session.backlog.extend(commands)
            return
        node = self._node
        if permission is None:
            node.away.route(session, commands, packed)
            return
        if session.plain and node.plain and self._route_run(session, commands, packed):
            return
        shard = node.shard
        turns = node.turns
        by_name = node.table.by_name
        read = Kind.DATA_READ
        write = Kind.DATA_WRITE
        position = 0
        for argv in commands:
            if position and turns.is_over():
                session.backlog.extend(commands[position:])
                turns.rest(session)
                return
            position += 1
            if position % READS_PER_LOOK == 0:
                self._close_if_owed_too_much(session)
            command = by_name.get(argv[0])
            if command is not None and session.plain and node.plain and not (command.subcommands or command.blocking):
                arity = command.arity
                if arity == len(argv) or 0 > arity >= -len(argv):
                    kind = command.kind
                    if kind is read:
                        due = shard.present.finds_due(command, [argv], session.database)
                        if due or session.segments:
                            batch = self._batch_for_reads(session.database, due=due)
                            shard.add_unlogged(session.segment_for(batch), command, argv, session.database)
                        else:
                            replies = shard.read(session, command, [argv], session.database)
                            session.out.append(encode(replies[0], session.protocol))
                        continue
                    if kind is write and not (command.denies_oom and node.out_of_memory):
                        batch = shard.batch
                        shard.add_write(session.segment_for(batch), command, argv, session.database)
                        turns.charge(command)
                        if node.watches.watchers:
                            node.watches.aimed(command, argv, session.database, batch)
                        continue
            if not self.dispatch(session, argv, permission):
                session.backlog.extend(commands[position - 1 :])
                return
            if session.is_blocked():
                session.backlog.extend(commands[position:])
                return
        if commands and command is not None and not command.subcommands:
            session.last_command = command

    def _route_run(self, session: Session, commands: list[list[bytes]], packed: bytes | None) -> bool:
        """Take a chunk that is one command again and again, if it is: a pipeline, or a single command. Whether it was.

        A run of writes whose bytes are canonical is logged as those bytes.
        """
        if not commands:
            return True
        node = self._node
        command = node.table.lookup_run(commands)
        if command is None or command.kind is Kind.SESSION or command.blocking:
            return False
        size = len(commands)
        shard = node.shard
        database = session.database
        if command.kind is Kind.DATA_READ:
            if session.segments or shard.present.finds_due(command, commands, database):
                return False
            if size == 1 or size <= node.turns.next_look(command):
                session.out.append(encode_all(shard.read(session, command, commands, database), session.protocol))
            else:
                self._read_run(session, command, commands)
        elif command.name in NEED_KEYS and not session.segments and shard.is_idle_without(command, commands, database):
            session.out.append(encode_all(shard.read(session, command, commands, database), session.protocol))
        else:
            if packed is None or node.watches.watchers or (command.denies_oom and node.out_of_memory):
                return False
            most = node.turns.most(command) if size > 1 else 1
            if size > most:
                session.backlog.extend(commands[most:])
                node.turns.rest(session)
                commands = commands[:most]
                packed = b"".join([pack(tuple(argv)) for argv in commands])
            shard.add_writes(session.segment_for(shard.batch), command, commands, database, packed)
        session.last_command = command
        return True

    def _read_run(self, session: Session, command: Command, commands: list[list[bytes]]) -> None:
        """Execute a run of reads, as far as the session's turn goes."""
        node, database = self._node, session.database
        position, look = 0, FIRST_READS
        while position < len(commands):
            if position:
                if self._close_if_owed_too_much(session):
                    return
                if node.turns.is_over():
                    session.backlog.extend(commands[position:])
                    node.turns.rest(session)
                    return
            run = commands[position : position + look]
            session.out.append(encode_all(node.shard.read(session, command, run, database), session.protocol))
            position += look
            look = node.turns.next_look(command)

    def _close_if_owed_too_much(self, session: Session) -> bool:
        """Close a session whose replies of this tick alone are over client-output-buffer-limit; whether so."""
        limit = self._node.settings.output_limit_normal.hard_bytes
        size = sum(map(len, session.out)) if limit else 0
        if size <= limit or session.killed:
            return session.killed
        log.warning("client %s is closed: it is owed %d bytes of replies in one tick", session.address, size)
        session.killed = session.close_after_reply = True
        session.out.clear()
        session.refresh_plain()
        return True

    def refuse_moved(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Tell a client where a command belongs; a transaction that it is queued in is spoiled."""
        error = self._node.redirect.maybe_moved(session, command, argv)
        assert error is not None
        self._node.statistics.count_error(error.text)
        self.answer(session, self._refused(session, argv, error))

    def answer_with(self, session: Session, reply: Any) -> None:
        """Answer a session, unless a batch will."""
        if reply is not NO_REPLY:
            self.answer(session, reply)

    def resume(self, session: Session) -> None:
        """Look at the backlog again: what it waited for has happened."""
        turns = self._node.turns
        if session.blocked is not None or session.closed or turns.rests(session):
            return
        turns.begin()
        if session.backlog:
            commands = list(session.backlog)
            session.backlog.clear()
            self.route(session, commands, None, self._node.leadership.permission())
        if session.unread:
            turns.go_on_reading(session)
        if session.parser.error is not None:
            self._node.refuse_protocol(session)

    # The long road.

    def dispatch(self, session: Session, argv: list[bytes], permission: Permission | None) -> bool:
        """Look at one command, without a permission one that needs no data; False when it must wait in the backlog."""
        node = self._node
        if session.close_after_reply or session.closed:
            return True
        try:
            command = node.table.lookup(argv)
            self.admit(session, command, argv)
        except CommandError as error:
            if argv[0].lower() in HTTP:
                self._refuse_http(session)
                return True
            node.statistics.count_error(error.text)
            self.answer(session, self._refused(session, argv, error))
            return True
        if command.handler is None:  # a container named without a sub-command
            self.answer(session, errors.wrong_arity(command.name))
            return True
        if node.pause.puts_off(command, session):
            node.pause.put_off(session)
            return False
        if session.segments and self._must_wait(session, command, argv):
            return False
        session.last_command = command
        if session.multi is not None and command.name not in IMMEDIATE_IN_MULTI:
            session.queue(command, argv)
            self.answer(session, QUEUED)
            return True
        if command.kind is Kind.SESSION:
            self._run_session_command(session, command, argv, permission)
        elif permission is None:
            raise AssertionError(f"{command.name} needs data, which this node does not serve")
        elif command.blocks(argv):
            node.blocking.start(session, command, argv)
        elif command.kind is Kind.DATA_WRITE:
            self._write(session, command, argv)
        else:
            self._read(session, command, argv)
        self.show(session, command, argv)
        return True

    def _refuse_http(self, session: Session) -> None:
        """Cut off who speaks HTTP: most likely a browser that a web page has led here (server.c, processCommand)."""
        node = self._node
        if node.steady_ms - self._http_told_ms >= HTTP_TOLD_MS:
            self._http_told_ms = node.steady_ms
            log.warning(
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands here. This"
                " is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your instance."
                " Connection from %s aborted.",
                session.address,
            )
        session.killed = session.close_after_reply = True
        session.refresh_plain()

    def show(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Show a command to the monitoring sessions, once it was executed or is on its way into the log."""
        if self._node.observer.monitors and "skip_monitor" not in command.flags and "admin" not in command.flags:
            self._node.observer.feed_monitors(session, redacted(command, argv))

    @staticmethod
    def _must_wait(session: Session, command: Command, argv: list[bytes]) -> bool:
        """Whether a command waits until its session owes nothing. EXEC does so while a write aimed at a watched key is
        under way: it may be the session's own, and may turn out to change nothing."""
        if command.name == "exec":
            return session.watch_suspect is not None and not session.watch_suspect.applied
        if command.name in BARRIERS or command.name.startswith("debug"):
            return True
        return session.multi is None and command.blocks(argv)

    def admit(self, session: Session, command: Command, argv: list[bytes]) -> None:
        """Refuse what may not run now. Raises CommandError, in the order of Redis's processCommand."""
        node = self._node
        flags = command.flags
        if session.is_surplus and command.name not in GREETINGS:
            session.close_after_reply = True
            raise CommandError(errors.TOO_MANY_CLIENTS)
        if not session.authenticated and "no_auth" not in flags:
            raise CommandError(errors.NO_AUTH)
        if command.enabled_by and not self._is_enabled(session, command.enabled_by):
            name, _, _ = command.name.partition("|")
            raise CommandError(errors.NOT_ENABLED.format(name=name.upper(), option=command.enabled_by))
        if session.multi is not None and "no_multi" in flags:
            raise CommandError(errors.NOT_IN_MULTI)
        queued = [each for each, _ in session.multi or ()] if command.name == "exec" else []
        if node.out_of_memory and (
            command.denies_oom
            or any(each.denies_oom for each in queued)
            or (session.multi is not None and command.name not in IMMEDIATE_IN_MULTI)
        ):
            raise CommandError(errors.OUT_OF_MEMORY)
        if node.loading and "loading" not in flags:
            raise CommandError(errors.LOADING)
        if node.refuses_writes is not None and any(each.kind is Kind.DATA_WRITE for each in (command, *queued)):
            raise CommandError(node.refuses_writes)

    def _is_enabled(self, session: Session, option: str) -> bool:
        """Whether a session may call commands that an option lets only some call."""
        allowed = getattr(self._node.settings, option.replace("-", "_"))
        return allowed == "yes" or (allowed == "local" and session.is_local())

    def _refused(self, session: Session, argv: list[bytes], error: CommandError) -> CommandError:
        """The answer to a command that may not run; in a transaction it spoils that, or, an EXEC itself, ends it (as in
        Redis even where there is none)."""
        if argv[0].lower() != b"exec":
            session.multi_failed = session.multi is not None
            return error
        self._node.unwatch(session)
        session.multi = None
        session.multi_failed = False
        session.refresh_plain()
        return errors.exec_aborted_by(error)

    def answer(self, session: Session, reply: Any) -> None:
        """Answer the present command of a session, if it wants that."""
        if session.reply_mode is ReplyMode.ON:
            session.answer(reply)
        elif session.reply_mode is ReplyMode.SKIP_NEXT:
            session.reply_mode = ReplyMode.ON
            session.refresh_plain()

    def owner(self, session: Session, unapplied: Any) -> Any:
        """Who gets the reply of an item in a batch: nobody, when the client wants none."""
        if session.reply_mode is ReplyMode.ON:
            return session.segment_for(unapplied)
        if session.reply_mode is ReplyMode.SKIP_NEXT:
            session.reply_mode = ReplyMode.ON
            session.refresh_plain()
        return None

    def _write(self, session: Session, command: Command, argv: list[bytes]) -> None:
        node = self._node
        batch = node.shard.batch
        node.shard.add_write(self.owner(session, batch), command, argv, session.database)
        node.turns.charge(command)
        if node.watches.watchers:
            node.watches.aimed(command, argv, session.database, batch)

    def _read(self, session: Session, command: Command, argv: list[bytes]) -> None:
        shard = self._node.shard
        due = shard.present.finds_due(command, [argv], session.database)
        if due or session.segments:
            batch = self._batch_for_reads(session.database, due=due)
            shard.add_unlogged(self.owner(session, batch), command, argv, session.database)
        else:
            self.answer(session, shard.read(session, command, [argv], session.database)[0])

    def _batch_for_reads(self, database: int, *, due: bool) -> Batch:
        """The batch that reads must stand in: the last one; if they ask for keys that are due, one that is still to
        have its time, which is after their deadlines."""
        shard = self._node.shard
        return self._node.reaper.reap(database) if due and not shard.batch.writes else shard.last_batch()

    def _run_session_command(
        self, session: Session, command: Command, argv: list[bytes], permission: Permission | None
    ) -> None:
        reply = self.session_reply(session, command, argv, permission)
        if reply is not NO_REPLY:
            self.answer(session, reply)

    def session_reply(
        self, session: Session, command: Command, argv: list[bytes], permission: Permission | None
    ) -> Any:
        """Run a session command's handler; its reply, an error included."""
        node = self._node
        context = self._context
        context.session, context.permission = session, permission
        started = node.clock.monotonic_ns()
        try:
            reply = command.handler(context, argv)  # type: ignore[misc]
        except CommandError as error:
            reply = error
        except Exception as error:
            if depends_on_machine(error):
                raise
            log.exception("the command %s with %d arguments failed", command.name, len(argv) - 1)
            reply = CommandError(INTERNAL_ERROR)
        if isinstance(reply, CommandError):
            command.failed_calls += 1
            node.statistics.count_error(reply.text)
        took = node.clock.monotonic_ns() - started
        command.calls += 1
        command.nanoseconds += took
        if took >= node.observer.slow_ns and "skip_slowlog" not in command.flags:
            node.observer.on_slow(session, command, argv, took)
        return reply

    def execute(self, session: Session, permission: Permission | None) -> Any:
        """EXEC: make a transaction of what the session queued; its reply, or NO_REPLY when a batch will bring it."""
        node = self._node
        queued = session.multi
        if queued is None:
            return CommandError(errors.EXEC_WITHOUT_MULTI)
        failed = session.multi_failed
        spoiled = node.watches.spoiled(session, node.state_ms)
        session.multi = None
        session.multi_failed = False
        session.refresh_plain()
        if failed or spoiled:
            node.unwatch(session)
            return CommandError(errors.EXEC_ABORT) if failed else NIL_ARRAY
        needs_data = session.watches_remotely or any(goes_to_leader(command) for command, _ in queued)
        if permission is None and needs_data:
            return self._execute_away(session, queued)
        node.watches.unwatch(session)
        return self._execute_here(session, queued, permission)

    def _execute_away(self, session: Session, queued: Queued) -> Any:
        """Execute a transaction that needs data at a node that does not serve them."""
        node = self._node
        redirect = node.redirect
        watches = session.watches_remotely
        needy = [(command, argv) for command, argv in queued if goes_to_leader(command)]
        reads_here = not watches and session.write_index <= node.shard.applied.index
        if reads_here and all(redirect.may_read_here(session, command, argv) for command, argv in needy):
            node.watches.unwatch(session)
            return node.reads.at_own_time(lambda: self._execute_here(session, queued, Permission.STALE))
        for command, argv in needy:
            if (error := redirect.maybe_moved(session, command, argv)) is not None:
                node.watches.unwatch(session)
                return error
        if watches:
            node.watches.unwatch(session)
        # What it watches here is looked at again when it is executed here.
        for command, argv in queued:
            self.show(session, command, argv)
        split = Split(queued, session.database, node.databases(), session.protocol, node.settings)
        node.forwarding.pass_on_transaction(session, split, watches=watches)
        return NO_REPLY

    def own_replies(self, session: Session, own: Queued) -> list[Any]:
        """Execute what a transaction has that concerns its session and this node; the replies."""
        self._context.in_transaction = True
        replies = [self.session_reply(session, command, argv, None) for command, argv in own]
        self._context.in_transaction = False
        return [None if reply is NO_REPLY else reply for reply in replies]

    def _execute_here(self, session: Session, queued: Queued, permission: Permission | None) -> Any:
        node = self._node
        steps: list[TransactionStep] = []
        self._context.in_transaction = True
        for command, argv in queued:
            if command.kind is Kind.SESSION:
                reply = self.session_reply(session, command, argv, permission)
                steps.append(TransactionStep(None, argv, session.database, None if reply is NO_REPLY else reply))
            else:
                steps.append(TransactionStep(command, argv, session.database))
            self.show(session, command, argv)
        self._context.in_transaction = False
        transaction = Transaction(steps)
        shard = node.shard
        if any(step.command is not None and step.command.kind is Kind.DATA_WRITE for step in steps):
            batch = shard.batch
            shard.add_transaction(self.owner(session, batch), transaction, [b"EXEC"], session.database)
            for step in steps:
                if node.watches.watchers and step.command is not None and step.command.kind is Kind.DATA_WRITE:
                    node.watches.aimed(step.command, step.argv, step.database, batch)
            return NO_REPLY
        due = any(s.command is not None and shard.present.finds_due(s.command, [s.argv], s.database) for s in steps)
        if due or session.segments:
            batch = self._batch_for_reads(session.database, due=due)
            shard.add_unlogged(self.owner(session, batch), transaction, [b"EXEC"], session.database)
            return NO_REPLY
        return shard.executor.transaction(session, transaction)
