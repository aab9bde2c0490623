"""Random HyperLogLog commands to redraft and to a real redis-server: the same replies, and the same bytes in the end.

A value that turns out to be damaged in the middle of a PFADD is left as it was here, and with some elements in Redis;
what is forged here is damaged for nearly all elements or for nearly none.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import agree, same_examples
from oracle.hyperloglog_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server


@given(protocol=st.sampled_from([2, 3]), commands=sequence(30))
@same_examples
def test_hyperloglogs_answer_as_those_of_redis(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, {})


@pytest.mark.parametrize("end", [b"\x7f", b"?", b"\x41", b"\x80"])
@pytest.mark.parametrize("opcodes", [250, 254, 255, 256])
def test_a_value_that_ends_within_an_opcode_is_changed_as_in_redis(
    server: Server, redis_server: RedisServer, opcodes: int, end: bytes
) -> None:
    forged = b"HYLL\x01" + bytes(10) + b"\x80" + b"?" * opcodes + end
    commands: list[Command] = [(b"SET", b"h", forged), (b"PFADD", b"h", b"x"), (b"GET", b"h"), (b"STRLEN", b"h")]
    agree(server.port, redis_server.port, 2, commands, {})
