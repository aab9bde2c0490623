"""Every command that both servers have, with too few words, too many, and words that mean nothing: the same errors."""

from __future__ import annotations

import pytest

from oracle.commands import Command
from oracle.comparing import Typed, TypedConnection, connect
from support.processes import RedisServer, ReplyError, Server

pytestmark = pytest.mark.redis_server

ENDS = {"quit", "shutdown", "monitor", "save", "bgsave", "bgrewriteaof", "client|reply", "client|pause", "client|kill"}
"""What ends a connection or a server, stops its replies, or is refused while another goes on."""
OTHERWISE = {"asking", "readonly", "readwrite", "cluster", "debug"}
"""What a server that is no cluster refuses, or that has other insides: see docs/compatibility.md."""
ARGUMENTS: list[Command] = [
    *((b"x",) * count for count in range(8)),
    *((word,) * count for count in (1, 2, 3, 5) for word in (b"1", b"-1", b"")),
    (b"k", b"nan"), (b"k", b"1", b"nan"), (b"k", b"9223372036854775808"), (b"k", b"1", b"x"), (b"k", b"x", b"1"),
    (b"2", b"k"), (b"k", b"1", b"2", b"3", b"x"), (b"k", b"k", b"LIMIT"), (b"k", b"\xff\x00", b"1e400"),
    (b"HELP", b"x"),
]  # fmt: skip


def names(connection: TypedConnection) -> set[str]:
    """The full names of a server's commands."""
    return {name.decode() for name in connection("COMMAND", "LIST")[1]}


def only_error(reply: Typed) -> Typed:
    """An error as it is; of anything else only that it is none."""
    return reply if isinstance(reply, ReplyError) else "no error"


def test_words_that_mean_nothing_are_refused_in_the_same_words(server: Server, redis_server: RedisServer) -> None:
    """In transactions, so that nothing blocks: what is not queued is refused at once."""
    ours, theirs = connect(server.port, 2), connect(redis_server.port, 2)
    both = names(ours) & names(theirs)
    assert len(both) > 250
    differences = []
    for name in sorted(both - ENDS):
        if name.split("|")[0] in OTHERWISE:
            continue
        head = tuple(name.encode().split(b"|"))
        commands: list[Command] = [(b"FLUSHALL",)]
        for arguments in ARGUMENTS:
            commands += [(b"MULTI",), head + arguments, (b"EXEC",), (b"DISCARD",), (b"RESET",)]
        mine, real = ours.pipeline(commands), theirs.pipeline(commands)
        for command, *replies in zip(commands, mine, real, strict=True):
            left, right = map(only_error, replies)
            if command == (b"EXEC",) and "no error" == left == right:
                left, right = ([only_error(each) for each in reply[1]] for reply in replies)
            if left != right:
                differences.append(f"{command!r}: redraft answers {left!r}, Redis {right!r}")
    ours.close()
    theirs.close()
    assert not differences, "\n".join(differences)
