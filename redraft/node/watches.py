"""WATCH: which sessions watch which keys, and what makes their EXEC fail.

Theory. EXEC must fail if a watched key was changed between WATCH and EXEC's own place in the log. What was applied
before EXEC is proposed is known exactly: the keyspace calls `changed` just before each change. What was proposed
earlier and is not applied yet is not known, so a write *aimed* at a watched key makes its watchers suspicious of that
batch, and EXEC is refused while the batch is unapplied. Refusing without need is allowed (the client tries again); it
happens only to truly concurrent writes. No versions are stored, and a node without watchers pays nothing.

To a watcher a key that is due does not exist. So the removal of a key that was due from the start changes nothing,
and neither do FLUSHDB and SWAPDB where there was no key; that there *is* one at EXEC is a change.

Invariants: `watchers` and each session's `watched` mirror each other; the keyspace calls back exactly while anyone
watches.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redraft.commands import errors
from redraft.commands.table import Command, CommandTable, Kind
from redraft.errors import CommandError
from redraft.keyspace.database import Database
from redraft.shard.batch import Batch, Transaction

if TYPE_CHECKING:
    from redraft.keyspace.keyspace import Keyspace
    from redraft.keyspace.waiters import Place
    from redraft.node.session import Session


class Key(enum.Enum):
    """What a watched key is to its watcher."""

    PLAIN = "plain"
    DUE = "due"
    """Its time was over when it began to be watched."""
    GONE = "gone"
    """It was due, and has been touched since: removed, or set anew."""


@dataclass(slots=True)
class Watch:
    """One session's watch of one key."""

    generation: int
    """Of the database that its number named when it began."""
    key: Key


class Watches:
    """The watched keys of one shard."""

    def __init__(self, keyspace: Keyspace, table: CommandTable) -> None:
        self._keyspace = keyspace
        self._table = table
        self.watchers: dict[tuple[int, bytes], dict[Session, Watch]] = {}
        """(database, key) → its watchers."""

    def follow(self, keyspace: Keyspace) -> None:
        """The keyspace was read anew: go on with the new object."""
        self._keyspace = keyspace
        keyspace.watch_changes(self._changed if self.watchers else None)

    def watch(self, session: Session, database: int, key: bytes, now_ms: int, unapplied: Iterable[Batch]) -> None:
        """Begin to watch a key; `unapplied` are the shard's batches whose effect is still to come."""
        place = (database, key)
        if place in session.watched:
            return
        db = self._keyspace.maybe_database(database)
        if db is None:
            raise CommandError(errors.DB_INDEX_OUT_OF_RANGE)
        state = Key.DUE if db.peek(key) is not None and not db.exists(key, now_ms) else Key.PLAIN
        if not self.watchers:
            self._keyspace.watch_changes(self._changed)
        session.watched.add(place)
        self.watchers.setdefault(place, {})[session] = Watch(db.generation, state)
        for batch in unapplied:
            # A write that was proposed before and is not applied yet may change the key after the client has read it.
            if _aims_at(batch, place):
                session.watch_suspect = batch

    def unwatch(self, session: Session) -> None:
        """Watch nothing any more, and forget what happened."""
        for place in session.watched:
            sessions = self.watchers[place]
            del sessions[session]
            if not sessions:
                del self.watchers[place]
        if session.watched and not self.watchers:
            self._keyspace.watch_changes(None)
        session.watched.clear()
        session.watches_remotely = False
        session.watch_dirty = False
        session.watch_suspect = None

    def leadership_lost(self) -> None:
        """What is written from now on is not seen here: every transaction that relies on it fails."""
        for sessions in self.watchers.values():
            for session in sessions:
                session.watch_dirty = True

    def aimed(self, command: Command, argv: list[bytes], database: int, batch: Batch) -> None:
        """A write was put into a batch. Called only while somebody watches."""
        try:
            positions = command.key_positions(argv)
        except CommandError:
            return
        if not positions:
            for sessions in self.watchers.values():
                for session in sessions:
                    session.watch_suspect = batch
            return
        places = {(database, argv[position]): None for position in positions}
        for place in self._reached(places) if self._keyspace.waiters else places:
            for session in self.watchers.get(place, ()):
                session.watch_suspect = batch

    def _reached(self, places: Iterable[Place]) -> list[Place]:
        """The keys that blocked commands may change in turn when these change (a BLMOVE's destination)."""
        waiters = self._keyspace.waiters
        reached = dict.fromkeys(places)
        queue = list(reached)
        while queue:
            for waiter in waiters.at(queue.pop()):
                command = self._table.lookup_logged(waiter.argv)
                for position in command.key_positions(waiter.argv):
                    place = (waiter.database, waiter.argv[position])
                    if place not in reached:
                        reached[place] = None
                        queue.append(place)
        return list(reached)

    def spoiled(self, session: Session, now_ms: int) -> bool:
        """Whether the session's EXEC must be refused."""
        if session.watch_dirty:
            return True
        if session.watch_suspect is not None and not session.watch_suspect.applied:
            return True
        for database, key in session.watched:
            db = self._keyspace.databases[database]
            if db.peek(key) is None:
                continue
            watch = self.watchers[database, key][session]
            alive = db.exists(key, now_ms)
            if alive and (watch.key is not Key.PLAIN or watch.generation != db.generation):
                return True
            if not alive and watch.key is Key.PLAIN:
                return True
        return False

    def _changed(self, database: Database, key: bytes) -> None:
        number = next(n for n, each in enumerate(self._keyspace.databases) if each is database)
        for session, watch in self.watchers.get((number, key), {}).items():
            if watch.key is Key.DUE:
                watch.key = Key.GONE
            else:
                session.watch_dirty = True

    def check(self) -> None:
        """Assert the invariants."""
        for place, sessions in self.watchers.items():
            assert sessions
            assert all(place in session.watched for session in sessions)
        assert self._keyspace.is_watched == bool(self.watchers)


def _aims_at(batch: Batch, place: tuple[int, bytes]) -> bool:
    for command, argvs, database, _ in batch.items:
        if isinstance(command, Transaction):
            steps = [(s.command, s.argv, s.database) for s in command.steps if s.command is not None]
        else:
            steps = [(command, argv, database) for argv in argvs]
        for step, words, number in steps:
            if step.kind is not Kind.DATA_WRITE:
                continue
            try:
                positions = step.key_positions(words)
            except CommandError:
                continue
            if not positions or (number == place[0] and any(words[p] == place[1] for p in positions)):
                return True
    return False
