"""What the comparisons with a real redis-server share: connections that keep a reply's wire types, and what may differ.

A reply is compared whole: the same types on the wire (a set is not an array, a map is not a flat one), the same bytes.
What Redis leaves open is taken out first, by a function for each command name (`Allowances`): the order of a set, what
is drawn at random, a cursor.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import hiredis
from hypothesis import HealthCheck, settings

from oracle.commands import Command
from support.processes import START_SECONDS, ReplyError, as_bytes

same_examples = settings(
    max_examples=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

Typed = Any
"""A reply: `bytes` for a bulk string, `int`, None for a null, ReplyError, and otherwise (sign, text) or
(sign, elements), a map's elements being flat. A null array of RESP2 is ("*", b"-1")."""
Allowances = dict[bytes, Callable[[Typed], Typed]]
"""By a command's lower-case name: a function that takes what may differ out of its reply."""


class TypedConnection:
    """A connection that reads replies with their types."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS)
        self._replies = self._socket.makefile("rb")

    def pipeline(self, commands: Sequence[Sequence[bytes]]) -> list[Typed]:
        """Send commands at once and read all their replies."""
        self._socket.sendall(b"".join(hiredis.pack_command(tuple(command)) for command in commands))
        return [read_typed(self._replies) for _ in commands]

    def __call__(self, *words: bytes | str | int) -> Typed:
        return self.pipeline([tuple(map(as_bytes, words))])[0]

    def close(self) -> None:
        """Hang up."""
        self._replies.close()
        self._socket.close()


def read_typed(stream: BinaryIO) -> Typed:
    """The next reply of a stream, in RESP2 or RESP3."""
    line = stream.readline()
    assert line.endswith(b"\r\n"), "the connection was closed"
    sign, rest = line[:1].decode(), line[1:-2]
    if sign == "-":
        return ReplyError(rest.decode("latin-1"))
    if sign == ":":
        return int(rest)
    if sign == "_" or line == b"$-1\r\n":
        return None
    if line == b"*-1\r\n":
        return sign, rest
    if sign == "$":
        return stream.read(int(rest) + 2)[:-2]
    if sign == "=":
        return sign, stream.read(int(rest) + 2)[:-2]
    if sign in "*~>":
        return sign, [read_typed(stream) for _ in range(int(rest))]
    if sign == "%":
        return sign, [read_typed(stream) for _ in range(2 * int(rest))]
    assert sign in "+,#(", line
    return sign, rest


def connect(port: int, protocol: int) -> TypedConnection:
    """A connection of that protocol to a server that was emptied."""
    connection = TypedConnection(port)
    assert connection("FLUSHALL") == ("+", b"OK")
    connection("HELLO", protocol)
    return connection


# What may differ.


def _is_aggregate(reply: Typed) -> bool:
    return isinstance(reply, tuple) and isinstance(reply[1], list)


def unordered(reply: Typed) -> Typed:
    """Elements in any order."""
    return (reply[0], sorted(reply[1], key=repr)) if _is_aggregate(reply) else reply


def unordered_pairs(reply: Typed) -> Typed:
    """A flat row of pairs (or a map), in any order."""
    if not _is_aggregate(reply):
        return reply
    return reply[0], sorted(zip(reply[1][::2], reply[1][1::2], strict=True))


def unordered_deeply(reply: Typed) -> Typed:
    """Elements in any order, and those of elements too."""
    return unordered((reply[0], list(map(unordered_deeply, reply[1])))) if _is_aggregate(reply) else reply


def only_shape(reply: Typed) -> Typed:
    """Drawn at random: how many, and of what type."""
    if _is_aggregate(reply):
        return reply[0], [only_shape(element) for element in reply[1]]
    return b"drawn" if isinstance(reply, bytes) else reply


def signless(reply: Typed) -> Typed:
    """Without the sign of zeros: a large sorted set of Redis keeps it, a small one and redraft's do not."""
    if reply == b"-0":
        return b"0"
    if isinstance(reply, tuple):
        return reply[0], signless(reply[1])
    return [signless(element) for element in reply] if isinstance(reply, list) else reply


def scanned(elements: Callable[[Typed], Typed]) -> Callable[[Typed], Typed]:
    """A scan's reply: its elements as `elements` has them if it is the whole; else that it is not.

    Ten elements end one call by default; it is by luck whether Redis finds more in that call, or says it was the last.
    """

    def allow(reply: Typed) -> Typed:
        if not _is_aggregate(reply):
            return reply
        sign, (cursor, found) = reply
        whole = cursor == b"0" and (not _is_aggregate(found) or len(found[1]) < 10)
        return (sign, cursor, elements(found)) if whole else (sign, "goes on")

    return allow


def compare(
    ours: TypedConnection, theirs: TypedConnection, commands: Sequence[Command], allowances: Allowances
) -> None:
    """Assert that both servers answer the commands alike, also those that EXEC executes."""
    mine, real = ours.pipeline(commands), theirs.pipeline(commands)
    queued: list[Command] = []
    for position, command in enumerate(commands):
        name = command[0].lower()
        if real[position] == QUEUED:
            queued.append(command)
        elif name in (b"multi", b"exec", b"discard", b"reset") and not _is_refused(name, real[position]):
            taken, queued = queued, []
        if name == b"exec" and _is_aggregate(real[position]) and _is_aggregate(mine[position]):
            for one, *replies in zip(taken, mine[position][1], real[position][1], strict=True):
                assert_alike(f"command {position}, EXEC of {one!r}", one, *replies, allowances)
        else:
            assert_alike(f"command {position}, {command!r}", command, mine[position], real[position], allowances)


QUEUED: Typed = ("+", b"QUEUED")


def _is_refused(name: bytes, reply: Typed) -> bool:
    """Whether a transaction goes on: MULTI in MULTI does not begin another, a malformed EXEC does not end it."""
    return isinstance(reply, ReplyError) and not (name == b"exec" and reply.args[0].startswith("EXECABORT"))


def assert_alike(what: str, command: Command, mine: Typed, real: Typed, allowances: Allowances) -> None:
    """Assert that two replies to a command are the same, less what may differ."""
    allow = allowances.get(command[0].lower(), lambda reply: reply)
    assert allow(mine) == allow(real), f"{what}: redraft answers {mine!r}, Redis {real!r}"


CONTENTS: dict[bytes, tuple[tuple[bytes, ...], Callable[[Typed], Typed]]] = {
    b"string": ((b"GET",), lambda reply: reply),
    b"hash": ((b"HGETALL",), unordered_pairs),
    b"set": ((b"SMEMBERS",), unordered),
    b"stream": ((b"XRANGE", b"-", b"+"), lambda reply: reply),
    b"list": ((b"LRANGE", b"0", b"-1"), lambda reply: reply),
    b"zset": ((b"ZRANGE", b"0", b"-1", b"WITHSCORES"), signless),
}
"""By type: how to read a whole value, and what may differ in it."""


def state(connection: TypedConnection) -> list[Any]:
    """Everything in the selected database."""
    found: list[Any] = []
    for key in sorted(connection("KEYS", "*")[1]):
        kind = connection("TYPE", key)[1]
        if kind == b"none":  # its time is over by now
            continue
        words, allow = CONTENTS[kind]
        content = allow(connection(words[0], key, *words[1:]))
        encoding = connection("OBJECT", "ENCODING", key)
        if kind == b"string":
            encoding = None  # compared elsewhere; a number made by INCRBYFLOAT differs on purpose
        found.append((key, kind, content, encoding, connection("PTTL", key) > 0))
    return found


def agree(
    ours_port: int,
    theirs_port: int,
    protocol: int,
    commands: Sequence[Command],
    allowances: Allowances,
    databases: int = 1,
) -> None:
    """Assert that both servers, emptied first, answer the commands alike and end with the same keys in as many
    databases."""
    ours, theirs = connect(ours_port, protocol), connect(theirs_port, protocol)
    try:
        compare(ours, theirs, commands, allowances)
        for connection in (ours, theirs):
            connection("RESET")
            connection("HELLO", protocol)
        for number in range(databases):
            for connection in (ours, theirs):
                connection("SELECT", number)
            assert state(ours) == state(theirs), f"the keys of database {number} differ"
    finally:
        ours.close()
        theirs.close()
