"""Random commands as Redis documents them, to redraft and to a real redis-server: on keys of every type, in and out of
transactions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import test_hashes_against_redis as hashes
from oracle import test_sets_against_redis as sets
from oracle import test_sorted_sets_against_redis as sorted_sets
from oracle import test_streams_against_redis as streams
from oracle import test_strings_against_redis as strings
from oracle.commands import Command
from oracle.comparing import Allowances, Typed, TypedConnection, agree, only_shape, same_examples
from oracle.documented_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server

DATABASES = 2


def objects(reply: Typed) -> Typed:
    """Encodings are the same; how often and when a key was used is not."""
    return "number" if isinstance(reply, int) else strings.encoding(reply)


def walk(reply: Typed) -> Typed:
    """With so many keys it is by luck what one step finds."""
    return reply[0] if isinstance(reply, tuple) else reply


ALLOWANCES: Allowances = {
    **strings.ALLOWANCES,
    **hashes.ALLOWANCES,
    **sets.ALLOWANCES,
    **sorted_sets.ALLOWANCES,
    **streams.ALLOWANCES,
    b"object": objects,
    b"dump": only_shape,
    b"scan": walk,
}


@given(protocol=st.sampled_from([2, 3]), commands=sequence(40))
@same_examples
def test_every_command_with_every_option_answers_as_redis_does(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, ALLOWANCES, DATABASES)


def payloads(connection: TypedConnection) -> list[tuple[int, bytes, Typed, Typed]]:
    """Every key of the databases that are used, as DUMP has it, and whether it is to go."""
    found = []
    connection("RESET")
    for number in range(DATABASES):
        connection("SELECT", number)
        for key in connection("KEYS", "*")[1]:
            found.append((number, key, connection("DUMP", key), connection("PEXPIRETIME", key)))
    return found


def test_every_type_is_the_same_after_a_kill(start: Callable[..., Server], tmp_path: Path) -> None:
    """Several lives of one data directory, with a flush every few keys: a kill changes no payload of any key."""
    options = ("--flush-dirty-keys", "3", "--appendfsync", "always")
    lives = [start(*options, directory=tmp_path / "data")]

    @given(commands=sequence(60))
    @settings(same_examples, max_examples=4)
    def run(commands: list[Command]) -> None:
        one = TypedConnection(lives[-1].port)
        one.pipeline(commands)
        before = payloads(one)
        lives[-1].kill()
        lives.append(start(*options, directory=tmp_path / "data"))
        assert payloads(TypedConnection(lives[-1].port)) == before

    run()
