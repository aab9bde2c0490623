"""Random SORT and LCS commands to redraft and to a real redis-server: the same replies, the same keys in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.commands import Command
from oracle.comparing import Allowances, agree, same_examples, unordered
from oracle.sort_commands import sequence
from support.processes import RedisServer, Server

pytestmark = pytest.mark.redis_server

ALLOWANCES: Allowances = {b"sort": unordered, b"sort_ro": unordered}
"""Sets that are not sorted, and equal weights, come in any order."""


@given(protocol=st.sampled_from([2, 3]), commands=sequence(40))
@same_examples
def test_sort_and_lcs_answer_as_those_of_redis(
    server: Server, redis_server: RedisServer, protocol: int, commands: list[Command]
) -> None:
    agree(server.port, redis_server.port, protocol, commands, ALLOWANCES)
