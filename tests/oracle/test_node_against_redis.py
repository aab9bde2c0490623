"""Random commands about the node to redraft and to a real redis-server; and the categories of all commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import (
    Allowances,
    Typed,
    TypedConnection,
    agree,
    same_examples,
    unordered_deeply,
    unordered_pairs,
)
from oracle.node_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server


def numbers_apart(reply: Typed) -> Typed:
    """Numbers that tell of uses and times: only that they are numbers."""
    return "number" if isinstance(reply, int) else reply


def slow_ones_apart(reply: Typed) -> Typed:
    """What was slow is chance."""
    return "entries" if isinstance(reply, tuple) and isinstance(reply[1], list) else reply


ALLOWANCES: Allowances = {
    b"object": numbers_apart,
    b"slowlog": slow_ones_apart,
    b"config": unordered_pairs,
    b"command": unordered_deeply,
    b"hello": lambda reply: reply if isinstance(reply, Exception) else reply[0],
}


@given(protocol=st.sampled_from([2, 3]), commands=sequence(40))
@same_examples
def test_a_node_answers_about_itself_as_redis_does(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, ALLOWANCES)


def test_the_commands_of_a_category_are_those_of_redis(server: Server, redis_server: RedisServer) -> None:
    ours, theirs = TypedConnection(server.port), TypedConnection(redis_server.port)
    known = set(ours("COMMAND", "LIST")[1])
    redis_knows = set(theirs("COMMAND", "LIST")[1])
    for category in theirs("ACL", "CAT")[1]:
        mine, real = set(ours("ACL", "CAT", category)[1]), set(theirs("ACL", "CAT", category)[1])
        assert mine & redis_knows == real & known, category
        assert mine == set(ours("COMMAND", "LIST", "FILTERBY", "ACLCAT", category)[1])
    ours.close()
    theirs.close()
