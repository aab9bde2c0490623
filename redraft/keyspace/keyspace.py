"""A shard's whole keyspace: its numbered databases and what the image must know about them.

Theory: FLUSHDB, FLUSHALL and SWAPDB must not walk millions of keys, neither in memory nor on disk. A database is an
object with a *generation*, and the image's keys begin with that generation (four bytes). Emptying a database makes a
new object with the next generation; the image's meta record names the generation of each number, and records of any
other generation are garbage that is dropped later. The old object is freed a slice a tick. (The design has the
database's number as the first byte; the generation makes the two commands O(1).)

Invariants: generations are unique and only grow; every replica gives the same ones, since they come from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import msgspec

from redraft.errors import DamagedDataError
from redraft.keyspace.database import Database
from redraft.keyspace.flush import Flush, RecordWriter
from redraft.keyspace.graveyard import Graveyard
from redraft.keyspace.waiters import Waiter, Waiters
from redraft.values import codec, thresholds
from redraft.values.thresholds import Thresholds
from redraft.values.value import AnyValue

FIRST_LIMIT = 16
"""Databases of a keyspace to which no log entry has been applied; part of what every replica must agree on."""


class KeyspaceMeta(msgspec.Struct, frozen=True, array_like=True):
    """What the image records about the keyspace beside its keys."""

    generations: list[int]
    """The generation of each database, by number."""
    next_generation: int
    limit: int
    """Databases that commands may name."""
    waiters: list[Waiter] = []
    """The blocked commands, in order of arrival."""
    thresholds: Thresholds = thresholds.DEFAULT


class Keyspace:
    """The databases of one shard.

    `limit` is how many of them commands may name. It belongs to the replicated state and is changed through the log
    (`set_limit`), because MOVE must end the same way when the log is replayed under another configuration.
    """

    __slots__ = (
        "_abandoned", "_next_generation", "_on_change", "_watcher", "changes", "databases", "graveyard", "limit",
        "thresholds", "waiters",
    )  # fmt: skip

    def __init__(self, database_count: int = FIRST_LIMIT) -> None:
        self.graveyard = Graveyard()
        """Large things that nothing refers to any more, to be freed by `bury`."""
        self._abandoned: list[Database] = []
        """Databases to be freed once their flush has written them."""
        self.databases = [Database(generation, self.graveyard) for generation in range(database_count)]
        self.limit = database_count
        self.thresholds = thresholds.DEFAULT
        """Where the larger encodings of collections begin, as the log says."""
        self._next_generation = database_count
        self.changes = 0
        """Write commands applied since the last flush began (INFO's rdb_changes_since_last_save)."""
        self.waiters = Waiters()
        self._watcher: Callable[[Database, bytes], None] | None = None
        self._on_change: Callable[[Database, bytes], None] | None = None
        """What every database calls just before each change: `_watcher`, and `waiters` while there are any."""

    # Who is told of changes.

    @property
    def is_watched(self) -> bool:
        """Whether `watch_changes` is in force."""
        return self._watcher is not None

    def watch_changes(self, callback: Callable[[Database, bytes], None] | None) -> None:
        """Have `callback(database, key)` called just before each change, or no longer."""
        self._watcher = callback
        self._follow_changes()

    def add_waiter(self, waiter: Waiter) -> None:
        """Have a blocked command wait behind all others."""
        self.waiters.add(waiter)
        if len(self.waiters) == 1:
            self._follow_changes()

    def remove_waiter(self, token: int) -> Waiter | None:
        """End a wait; None when it has ended already."""
        waiter = self.waiters.remove(token)
        if not self.waiters:
            self._follow_changes()
        return waiter

    def adopt_waiters(self, waiters: Waiters) -> None:
        """Have these wait, and no others (the keyspace was read anew from disk)."""
        self.waiters = waiters
        self._follow_changes()

    def _follow_changes(self) -> None:
        watcher = self._watcher
        if not self.waiters:
            self._on_change = watcher
        elif watcher is None:
            self._on_change = self._touch
        else:
            self._on_change = self._touch_and_tell
        for database in self.databases:
            database.on_change = self._on_change

    def _touch(self, database: Database, key: bytes) -> None:
        number = next(number for number, each in enumerate(self.databases) if each is database)
        self.waiters.touch(number, key)

    def _touch_and_tell(self, database: Database, key: bytes) -> None:
        self._touch(database, key)
        if self._watcher is not None:
            self._watcher(database, key)

    # Whole databases.

    def maybe_database(self, number: int) -> Database | None:
        """The database of that number; None where the log has made none, which a node's settings may not know."""
        return self.databases[number] if 0 <= number < len(self.databases) else None

    def set_limit(self, limit: int) -> None:
        """Let commands name `limit` databases. Those beyond keep what they hold, for the day when they may be named."""
        while len(self.databases) < limit:
            database = Database(self._next_generation, self.graveyard)
            database.on_change = self._on_change
            self._next_generation += 1
            self.databases.append(database)
        self.limit = limit

    def flush_database(self, number: int) -> None:
        """Empty a database (FLUSHDB); O(1). One that holds nothing keeps its generation, whatever of its past this
        replica has still to write: a generation may depend on the log only."""
        old = self.databases[number]
        if not old.size:
            return
        self._tell_all_keys(number)
        fresh = Database(self._next_generation, self.graveyard)
        fresh.on_change = self._on_change
        fresh.expired = old.expired
        self._next_generation += 1
        self.databases[number] = fresh
        if old.flushing is None:
            old.abandon()
        else:
            self._abandoned.append(old)

    def flush_all(self) -> None:
        """Empty every database (FLUSHALL)."""
        for number in range(len(self.databases)):
            self.flush_database(number)

    def swap(self, first: int, second: int) -> None:
        """Exchange two databases (SWAPDB); O(1) but for watched keys."""
        databases = self.databases
        self._tell_all_keys(first)
        self._tell_all_keys(second)
        databases[first], databases[second] = databases[second], databases[first]

    def _tell_all_keys(self, number: int) -> None:
        if self._watcher is not None:
            database = self.databases[number]
            for key in list(database.keys_from(b"")):
                self._watcher(database, key)
        self.waiters.touch_database(number)

    # Memory to image, and back.

    def begin_flush(self, writer: RecordWriter) -> Flush:
        """Start a flush of the keyspace as it is now; the meta to record with it is `meta()` of the same moment."""
        self.changes = 0
        return Flush(self.databases, writer)

    def dirty_keys(self) -> int:
        """Keys changed since the last flush began."""
        return sum(len(database.dirty) + len(database.dirty_strings) for database in self.databases)

    def meta(self) -> KeyspaceMeta:
        """What the image must record beside the keys."""
        generations = [database.generation for database in self.databases]
        waiters = self.waiters.replicated()
        return KeyspaceMeta(generations, self._next_generation, self.limit, waiters, self.thresholds)

    @classmethod
    def load(
        cls,
        meta: KeyspaceMeta,
        records: Iterable[tuple[bytes, bytes]],
        progress: Callable[[int], None] | None = None,
        progress_keys: int = 100_000,
        on_garbage: Callable[[int], None] | None = None,
    ) -> Keyspace:
        """The keyspace of an image's records, which come in the order of their keys.

        `progress(keys so far)` is called every `progress_keys` keys. Records of generations that `meta` does not name
        are passed by, and `on_garbage` is told each such generation. Raises DamagedDataError.
        """
        keyspace = cls(len(meta.generations))
        keyspace._next_generation = meta.next_generation
        keyspace.limit = meta.limit
        keyspace.thresholds = meta.thresholds
        by_prefix: dict[bytes, Database] = {}
        for number, generation in enumerate(meta.generations):
            database = keyspace.databases[number] = Database(generation, keyspace.graveyard)
            by_prefix[generation.to_bytes(4, "big")] = database
        if len(by_prefix) != len(meta.generations):
            raise DamagedDataError("two databases of the image have one generation")
        for waiter in meta.waiters:
            keyspace.waiters.add(waiter)
        loaded = 0

        def decoded(records: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, AnyValue, int | None]]:
            nonlocal loaded
            decode = codec.decode
            for image_key, record in records:
                if record[:1] == b"\x00":  # a string without a deadline
                    yield image_key[4:], record[1:], None
                else:
                    yield image_key[4:], *decode(record)
                loaded += 1
                if progress is not None and loaded % progress_keys == 0:
                    progress(loaded)

        for prefix, group in groupby(records, key=lambda record: record[0][:4]):
            if prefix in by_prefix:
                by_prefix[prefix].load(decoded(group))
            elif on_garbage is not None:
                on_garbage(int.from_bytes(prefix, "big"))
        keyspace._follow_changes()
        return keyspace

    # Freeing.

    def end_flush(self) -> None:
        """The flush under way is not wanted any more."""
        for database in (*self.databases, *self._abandoned):
            database.flushing = None

    def inherit_dead(self, old: Keyspace) -> None:
        """Free the keyspace that this one has replaced, in slices."""
        for database in (*old.databases, *old._abandoned):
            database.abandon()
        self.graveyard.inherit(old.graveyard)

    def bury(self, members: int) -> None:
        """Free about `members` members of what nobody needs any more."""
        if self._abandoned:
            for database in self._abandoned:
                if database.flushing is None:
                    database.abandon()
            self._abandoned = [database for database in self._abandoned if database.flushing is not None]
        self.graveyard.bury(members)

    # Order.

    def has_unsettled(self) -> bool:
        """Whether there are keys whose place in the order is still to be found (see `keyspace.key_order`)."""
        for database in self.databases:  # noqa: SIM110 - asked twice a tick; a generator would cost twice as much
            if database.order.runs:
                return True
        return False

    def settle(self, keys: int) -> None:
        """Find the places of about so many keys."""
        for database in self.databases:
            if database.order.runs:
                database.order.settle(keys)
                return

    def statistics(self) -> dict[str, int]:
        """Counts for INFO."""
        return {
            "keys": sum(len(database) for database in self.databases),
            "expires": sum(len(database.deadlines) for database in self.databases),
            "expired": sum(database.expired for database in self.databases),
            "dirty_keys": self.dirty_keys(),
            "graveyard": len(self.graveyard),
        }

    def check(self) -> None:
        """Assert the invariants of every database."""
        generations = [database.generation for database in self.databases]
        assert len(set(generations)) == len(generations)
        assert max(generations) < self._next_generation
        for database in self.databases:
            database.check()
        self.waiters.check()
