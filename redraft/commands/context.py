"""What a data command's handler may see: the keyspace, the entry's time and randomness, and nothing else.

Theory: a handler runs on every replica at its own moment and must do the same everywhere. So it cannot reach a clock
or a random source: `now_ms` is the time that the leader stamped into the log entry, `random` is seeded from the entry
(design section 5). A read gets the leader's present time instead.

Rules for handlers:

* `argv[0]` is the command's name; the arity was checked; keys are not yet;
* raise CommandError (texts in `commands.errors`) *before* changing anything;
* look keys up by `string`, `get`, `mutable`…, which hide or remove due keys and raise WRONGTYPE;
* return a reply value (see `resp.reply`); never encode.
"""

from __future__ import annotations

from random import Random
from typing import Any, TypeVar

from redraft.commands import errors
from redraft.errors import CommandError
from redraft.keyspace.cursors import Cursors
from redraft.keyspace.database import Database
from redraft.keyspace.keyspace import Keyspace
from redraft.keyspace.waiters import Waiter
from redraft.resp.reply import NIL_ARRAY
from redraft.values.value import AnyValue, StringValue, Value

V = TypeVar("V", bound=Value)

STILL_WAITING: Any = object()
"""What a blocking command returns that was tried again and found nothing."""


class Context:
    """The world of one data command."""

    __slots__ = (
        "_random",
        "clock_ms",
        "cursors",
        "database",
        "db",
        "in_transaction",
        "keyspace",
        "now_ms",
        "seed",
        "served",
        "serving",
        "waiter_token",
        "writes",
    )

    def __init__(self, keyspace: Keyspace, cursors: Cursors | None = None, *, writes: bool = True) -> None:
        self.keyspace = keyspace
        self.writes = writes
        """Whether this is the context of writes, which every replica executes."""
        self.cursors = cursors or Cursors()
        self.db: Database = keyspace.databases[0]
        """The selected database."""
        self.database = 0
        """Its number."""
        self.now_ms = 0
        """The state's time, by which keys are there or gone: the entry's, or for a read the last one's."""
        self.clock_ms = 0
        """The present, for what only tells of time: how long something has lasted, or will."""
        self.seed = 0
        self._random: Random | None = None
        self.in_transaction = False
        """Whether nothing may block now: a blocking command answers as if its time were over."""
        self.waiter_token: int | None = None
        """The token of the next command, if it blocks."""
        self.serving: bytes | None = None
        """The key that a blocked command is being tried again for: it may look at no other."""
        self.served: list[tuple[int, Any]] = []
        """Waits that have ended: their tokens and replies, for whoever looks after the clients."""

    def begin(self, now_ms: int, seed: int) -> None:
        """Start a log entry, or a read: its time and the seed of its randomness."""
        self.now_ms = self.clock_ms = now_ms
        self.seed = seed
        self._random = None
        self.waiter_token = None

    def begin_reads(self, random: Random) -> None:
        """Make this the context of reads: their randomness is the node's own, since no replica repeats a read."""
        self._random = random

    def select(self, database: int) -> None:
        """Make `database` the one that the next commands work on."""
        self.database = database
        self.db = self.keyspace.databases[database]

    @property
    def random(self) -> Random:
        """Randomness that is the same on every replica: seeded by the entry, drawn in log order."""
        if self._random is None:
            self._random = Random(self.seed)
        return self._random

    # Looking keys up.

    def get(self, key: bytes) -> AnyValue | None:
        """The key's value of whatever type, for reading only; None when it does not exist."""
        return self.db.get(key, self.now_ms)

    def exists(self, key: bytes) -> bool:
        """Whether the key exists."""
        return self.db.exists(key, self.now_ms)

    def string(self, key: bytes) -> StringValue | None:
        """The string at `key`, for reading only; None when there is no key. Raises WRONGTYPE."""
        value = self.db.get(key, self.now_ms)
        if value is None or type(value) is bytes or isinstance(value, (bytes, bytearray)):
            return value
        raise CommandError(errors.WRONG_TYPE)

    def owned_string(self, key: bytes) -> StringValue | None:
        """The string at `key` for a command that is about to write it: a key that is due is removed first, so that
        its deadline does not outlive it. Raises WRONGTYPE."""
        db = self.db
        if db.deadlines:
            db.drop_if_due(key, self.now_ms)
        value = db.peek(key)
        if value is None or isinstance(value, (bytes, bytearray)):
            return value
        raise CommandError(errors.WRONG_TYPE)

    def collection(self, key: bytes, cls: type[V]) -> V | None:
        """The collection at `key`, for reading only; None when there is no key. Raises WRONGTYPE."""
        value = self.db.get(key, self.now_ms)
        if value is None or isinstance(value, cls):
            return value
        raise CommandError(errors.WRONG_TYPE)

    def mutable(self, key: bytes, cls: type[V]) -> V | None:
        """The collection at `key`, to be changed in place by this command (its type is checked first); None when
        there is no key. Raises WRONGTYPE. Delete the key when the collection ends up empty."""
        if self.collection(key, cls) is None:
            self.db.drop_if_due(key, self.now_ms)
            return None
        return self.db.mutable(key, self.now_ms)  # type: ignore[return-value]

    # Blocking.

    def wait(
        self,
        keys: list[bytes],
        argv: list[bytes],
        type_name: bytes,
        timeout_ms: int,
        *,
        needs_key: bool = False,
        instead: Any = NIL_ARRAY,
    ) -> Any:
        """Have the present command wait until one of `keys` holds a value of `type_name`: return what this returns.

        The command will be tried again as `argv`, with `serving` naming the key. Where nothing may block the answer is
        `instead`.
        """
        if self.serving is not None:
            return STILL_WAITING
        token, self.waiter_token = self.waiter_token, None
        if token is None or self.in_transaction or token in self.keyspace.waiters.by_token:
            return instead
        waiter = Waiter(token, self.database, keys, argv, type_name, timeout_ms, needs_key, local=not self.writes)
        self.keyspace.add_waiter(waiter)
        return waiter

    def delete(self, key: bytes) -> bool:
        """Remove a key; whether it existed. A key that was due is removed too but did not exist."""
        existed = self.db.exists(key, self.now_ms)
        self.db.delete(key)
        return existed
