"""Shells for data commands: redraft's handlers on a keyspace in memory, and a real redis-server, behind one interface.

A test that takes a shell of either kind states what Redis answers, and redraft's answer is held to the same words.

What redraft's shell checks at every command, whatever the test is about:

* the keyspace's invariants;
* a reply is made of types that the encoder knows, and nothing in it can change afterwards;
* a read changes nothing, and neither does a command that answers an error (due keys may go).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

from redraft.commands.all import TABLE
from redraft.commands.context import Context
from redraft.commands.table import Kind
from redraft.errors import CommandError
from redraft.keyspace.keyspace import Keyspace
from redraft.resp.reply import NIL_ARRAY, DoubleText, Status
from redraft.values import codec

NOW_MS = 1_700_000_000_000
BEFORE_ALL_MS = -1
"""At this time no key is due."""
SMALL_KEYS = 200
"""Keyspaces with more keys than this are not compared before and after."""

Contents = list[dict[bytes, tuple[bytes, int | None]]]


class FrozenCrowd:
    """A crowd as of one instant."""

    def __init__(self, members: list[bytes]) -> None:
        self._members = members

    def pieces(self) -> Iterator[bytes]:
        for member in self._members:
            yield member + b"\n"


class Crowd:
    """A collection that no command of the families under test knows: it stands for lists, hashes and the rest."""

    type_name = b"list"
    tag = 0x1D

    def __init__(self, members: list[bytes]) -> None:
        self.members = members

    def __len__(self) -> int:
        return len(self.members)

    def freeze(self) -> FrozenCrowd:
        return FrozenCrowd(self.members.copy())

    def copy(self) -> Crowd:
        return Crowd(self.members.copy())

    @classmethod
    def decode(cls, payload: bytes) -> Crowd:
        return cls(payload.splitlines())

    def encoding(self) -> bytes:
        return b"quicklist"

    def memory_bytes(self) -> int:
        return 100 + sum(map(len, self.members))

    def check(self) -> None:
        """Nothing can be wrong."""


class AnyShell(Protocol):
    """Runs one command after the other, each by itself.

    A reply is a value of `redraft.resp.reply`; an error reply is returned, not raised, so that its text can be told.
    """

    def __call__(self, *words: Any) -> Any:
        """Run the command that these words are; anything but bytes is written as its `str`."""

    def run(self, line: str) -> Any:
        """Run the command that `line` is (see `words`)."""

    def error(self, *words: Any) -> str:
        """The text of the error that the command answers; an assertion fails when it answers anything else."""

    def select(self, database: int) -> None:
        """Make `database` the one of the commands that follow."""

    def put_collection(self, key: bytes) -> None:
        """Set a key to something that is no string."""


class _Shell:
    def run(self, line: str) -> Any:
        return self(*words(line))

    def error(self, *words: Any) -> str:
        reply = self(*words)
        assert isinstance(reply, CommandError), reply
        return reply.text

    def __call__(self, *words: Any) -> Any:
        raise NotImplementedError


class Shell(_Shell):
    """Redraft's handlers, with time that the test moves."""

    def __init__(self) -> None:
        self.keyspace = Keyspace()
        self.context = Context(self.keyspace)
        self.now_ms = NOW_MS
        self.entries = 0

    def __call__(self, *words: Any) -> Any:
        argv = [as_bytes(word) for word in words]
        self.entries += 1
        self.context.begin(self.now_ms, seed=self.entries)
        self.context.select(self.context.database)
        before = self.maybe_contents()
        writes = True
        try:
            command = TABLE.lookup_logged(argv)
            assert command.handler is not None
            writes = command.kind is Kind.DATA_WRITE
            reply = command.handler(self.context, argv)
        except CommandError as error:
            reply = error
        self.keyspace.check()
        assert_immutable(reply)
        if before is not None and (not writes or isinstance(reply, CommandError)):
            after = self.maybe_contents()
            if writes:
                before, after = self._without_due(before), self._without_due(after or [])
            assert after == before, f"{argv} changed something"
        return reply

    def select(self, database: int) -> None:
        self.context.select(database)

    def put_collection(self, key: bytes) -> None:
        self.context.db.replace(key, Crowd([b"a", b"b", b"c"]))

    def in_memory(self) -> list[bytes]:
        """The keys that the selected database holds in memory, due ones included."""
        return list(self.context.db.keys_from(b""))

    def maybe_contents(self) -> Contents | None:
        """Everything in all databases, due keys included, as it would be on disk; None when that is much."""
        databases = self.keyspace.databases
        if sum(map(len, databases)) > SMALL_KEYS:
            return None
        return [
            {
                key: (codec.encode(value, None), database.deadline(key))
                for key in database.keys_from(b"")
                if (value := database.get(key, BEFORE_ALL_MS)) is not None
            }
            for database in databases
        ]

    def _without_due(self, contents: Contents) -> Contents:
        return [
            {key: (record, deadline) for key, (record, deadline) in one.items() if (deadline or 1 << 63) > self.now_ms}
            for one in contents
        ]


class RealShell(_Shell):
    """A real redis-server, emptied first. Its time is the machine's."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._replies = self._socket.makefile("rb")
        assert self("FLUSHALL") == Status(b"OK")

    def __call__(self, *words: Any) -> Any:
        argv = [as_bytes(word) for word in words]
        parts = [b"*%d\r\n" % len(argv), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in argv)]
        self._socket.sendall(b"".join(parts))
        return read_reply(self._replies)

    def select(self, database: int) -> None:
        assert self("SELECT", database) == Status(b"OK")

    def put_collection(self, key: bytes) -> None:
        self("DEL", key)
        self("RPUSH", key, b"a", b"b", b"c")

    def close(self) -> None:
        """Hang up."""
        self._replies.close()
        self._socket.close()


def words(line: str) -> list[str]:
    """A command's words, cut at its spaces; `""` stands for the empty string."""
    return ["" if word == '""' else word for word in line.split()]


def as_bytes(word: Any) -> bytes:
    """A word of a command."""
    return word if isinstance(word, bytes) else str(word).encode()


def read_reply(stream: BinaryIO) -> Any:
    """The next reply in RESP2, as the value that a handler would return. (hiredis does not tell `+a` from `$1 a`.)"""
    line = stream.readline()
    assert line.endswith(b"\r\n"), "the connection was closed"
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return Status(rest)
    if kind == b"-":
        return CommandError(rest.decode("latin-1"))
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == b"-1" else stream.read(int(rest) + 2)[:-2]
    assert kind == b"*", line
    return NIL_ARRAY if rest == b"-1" else [read_reply(stream) for _ in range(int(rest))]


def assert_immutable(reply: Any) -> None:
    """A reply is encoded later: nothing in it may be a live value, nor anything that the encoder does not expect."""
    if isinstance(reply, (list, tuple)):
        for element in reply:
            assert_immutable(element)
    else:
        scalars = (bytes, int, float, Status, CommandError, DoubleText)
        assert reply is None or reply is NIL_ARRAY or type(reply) in scalars, f"{reply!r} in a reply"
