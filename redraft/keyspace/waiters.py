"""Waiters: blocking commands that found nothing and wait for their keys, in order of arrival.

Theory (design section 5). Who gets the element that a push brings must be the same on every replica, so waiters are
part of the replicated state: the entry that holds a BLPOP registers its waiter, the entry that holds the push serves
it, and an entry ends it (a timeout, CLIENT UNBLOCK, a client that went away). The leader draws the token that names a
waiter before it is registered, so that it can end a wait whose beginning is still on its way.

A *local* waiter is a blocked XREAD. It takes nothing from anybody, so it need not be in the log: it waits on its own
node only, in the same order as the others.

While there are waiters, the keyspace reports each key that is about to change (`touch`); what that command left there
is then offered to the waiters of the key. Without waiters nothing is paid.

Invariants (`check`): `by_place` names exactly the keys of the waiters in `by_token`, in order of arrival.

What this leaves out: what a waiter is served with (`shard.executor`), its client (`node.blocking`).
"""

from __future__ import annotations

import msgspec

Place = tuple[int, bytes]
"""(database, key)"""


class Waiter(msgspec.Struct, array_like=True):
    """One blocked command."""

    token: int
    database: int
    keys: list[bytes]
    """What it waits for; any of them will do."""
    argv: list[bytes]
    """The command to try again, with what it said about the state of its time (XREAD's `$`) made definite."""
    type_name: bytes
    """The type that a key must have to be looked at (`list`, `zset`, `stream`)."""
    timeout_ms: int
    """How long its client waits; 0: for ever."""
    needs_key: bool = False
    """Whether the wait is over when a key is gone (XREADGROUP)."""
    local: bool = False


class Waiters:
    """The waiters of one shard."""

    __slots__ = ("_touched", "by_place", "by_token")

    def __init__(self) -> None:
        self.by_token: dict[int, Waiter] = {}
        self.by_place: dict[Place, dict[int, Waiter]] = {}
        self._touched: dict[Place, None] = {}

    def __len__(self) -> int:
        return len(self.by_token)

    def add(self, waiter: Waiter) -> None:
        """Wait behind all others. The token must be new."""
        self.by_token[waiter.token] = waiter
        for key in waiter.keys:
            self.by_place.setdefault((waiter.database, key), {})[waiter.token] = waiter

    def remove(self, token: int) -> Waiter | None:
        """Wait no more; the waiter, or None when there is none of that token."""
        waiter = self.by_token.pop(token, None)
        if waiter is None:
            return None
        for key in dict.fromkeys(waiter.keys):
            place = (waiter.database, key)
            others = self.by_place[place]
            del others[token]
            if not others:
                del self.by_place[place]
        return waiter

    def at(self, place: Place) -> list[Waiter]:
        """Those that wait for a key, in order of arrival."""
        return list(self.by_place.get(place, {}).values())

    def touch(self, database: int, key: bytes) -> None:
        """A key is about to change."""
        place = (database, key)
        if place in self.by_place:
            self._touched[place] = None

    def touch_database(self, database: int) -> None:
        """All keys of a database are about to change. They are in the order of those who wait, so that it does not
        depend on who waited once; local waiters come last, since other replicas know nothing of them."""
        for waiter in sorted(self.by_token.values(), key=lambda waiter: waiter.local):
            if waiter.database == database:
                self._touched.update(dict.fromkeys((database, key) for key in waiter.keys))

    def take_touched(self) -> list[Place]:
        """The keys that were touched since the last call and are waited for, in order."""
        touched = list(self._touched)
        self._touched.clear()
        return touched

    def replicated(self) -> list[Waiter]:
        """Those that belong to the state of every replica."""
        return [waiter for waiter in self.by_token.values() if not waiter.local]

    def check(self) -> None:
        """Assert the invariants."""
        places: dict[Place, dict[int, Waiter]] = {}
        for waiter in self.by_token.values():
            for key in waiter.keys:
                places.setdefault((waiter.database, key), {})[waiter.token] = waiter
        assert places == self.by_place
        assert [list(each) for each in places.values()] == [list(self.by_place[place]) for place in places]
