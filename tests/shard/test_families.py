"""Commands of every data type, in batches, transactions and waits, with a flush among them: a follower that reads the
log, and a replica that starts from the image and the rest of it, end with the same bytes and the same waiters, and
answer the same to DUMP.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.families import FAMILIES, WAITS
from redraft.commands.all import TABLE
from redraft.commands.dump_contents import content_of
from redraft.commands.table import Kind
from redraft.errors import CommandError
from redraft.keyspace.flush import RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.rdb import payload
from redraft.shard.shard import FlushPoint, Outcome
from support.member import Member, state

IN_ITS_PLACE = (b"EXISTS", b"none")
"""Stands for a command that gets no further than the router: to filter it out would cost whole examples."""


def is_data(argv: tuple[bytes, ...]) -> bool:
    """Whether the command gets as far as a shard."""
    try:
        command = TABLE.lookup(list(argv))
    except CommandError:
        return False
    return command.kind is not Kind.SESSION and command.handler is not None


def steps_of(family: st.SearchStrategy[tuple[bytes, ...]]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    command = family.map(lambda argv: argv if is_data(argv) else IN_ITS_PLACE)
    database = st.sampled_from([0] * 8 + [1])
    step = st.one_of(
        st.tuples(st.just("command"), database, command),
        st.tuples(st.just("command"), database, command),
        st.tuples(st.just("exec"), database, st.lists(command, min_size=1, max_size=4)),
        st.tuples(st.just("wait"), database, WAITS, st.integers(1, 9)),
        st.tuples(st.just("end"), st.integers(1, 9)),
        st.tuples(st.sampled_from(["settle", "settle", "flush", "flush", "flush"])),
    )
    return st.lists(step, min_size=20, max_size=60)


class Image(RecordWriter):
    """What a flush writes."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        self.records[key] = value

    def delete(self, key: bytes) -> None:
        self.records.pop(key, None)


class Driver:
    """A leader that is led through steps."""

    def __init__(self) -> None:
        self.member = Member(seed=5, max_uncommitted_bytes=400).lead()
        self.image = Image()
        self.point: FlushPoint | None = None

    def take(self, step: tuple[Any, ...]) -> list[Outcome]:
        """One step. The first flush begins one, and those that follow do a unit of its work."""
        member = self.member
        member.now_ms += 7
        match step:
            case ("command", number, argv):
                member.add(*argv, database=number)
            case ("exec", number, argvs):
                member.add_exec(member.transaction(*argvs, database=number), database=number)
            case ("wait", number, argv, token):
                member.add("REDRAFT", "WAITER", str(token), database=number)
                member.add(*argv, database=number)
            case ("end", token):
                member.add("REDRAFT", "UNBLOCK", str(token), "TIMEOUT")
            case ("flush",) if self.point is None:
                self.point = member.shard.begin_flush(self.image)
            case ("flush",) if member.shard.flush is not None:
                member.shard.flush.step(1)
            case _:
                return list(member.settle())
        return []


def everything(keyspace: Keyspace) -> Any:
    """All keys as they are stored and as DUMP tells them, and who waits."""
    keyspace.check()
    dumps = [
        [
            payload.dump(content_of(value))
            for key in database.keys_from(b"")
            if (value := database.peek(key)) is not None
        ]
        for database in keyspace.databases
    ]
    return state(keyspace), dumps, keyspace.waiters.replicated()


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@settings(
    max_examples=20,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
def test_leader_follower_and_restart_agree(family: str, data: st.DataObject) -> None:
    driver = Driver()
    for step in (*data.draw(steps_of(FAMILIES[family])), ("settle",)):
        driver.take(step)
    leader = driver.member
    expected = everything(leader.keyspace)
    follower = Member(leader.log, seed=99, max_committed_bytes_per_ready=50).lead()
    assert everything(follower.keyspace) == expected
    if driver.point is not None:
        while leader.shard.flush is not None and not leader.shard.flush.step(100):
            pass
        image = Keyspace.load(driver.point.keyspace, sorted(driver.image.records.items()))
        restarted = Member(leader.log, seed=98, keyspace=image, applied=driver.point.applied).lead()
        assert everything(restarted.keyspace) == expected
