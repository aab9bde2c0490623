"""Whatever commands a leader takes, every replica ends with the same bytes, and every reply is what order and time say.

Random commands of the string, key and expiry families, in random batches, with reads and transactions among them, a
clock that jumps forward and back, and a flush somewhere. Then:

* another replica that was only handed the log, entry by entry (`apply_logged`), has the same keyspace, byte for byte;
* so has one that starts from the image and the rest of the log;
* the leader's replies are those of a single list of commands, executed one after the other.

Hypothesis prints a failing run, and a blob that repeats it.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.commands import generic, key, strings, value, words
from redraft.commands.all import TABLE
from redraft.commands.context import Context
from redraft.commands.table import Command, CommandTable, Kind
from redraft.errors import CommandError
from redraft.ids import Index
from redraft.keyspace.flush import RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.shard import entry
from redraft.shard.batch import Transaction
from redraft.shard.shard import FlushPoint, Outcome
from support.member import Member, state

short_ms = st.sampled_from([b"1", b"50", b"120", b"1000"])
short_lived = st.one_of(
    words("SET", key, value, "PX", short_ms), words("PSETEX", key, short_ms, value), words("PEXPIRE", key, short_ms),
)  # fmt: skip
data_command = st.one_of(
    short_lived,
    st.one_of(strings),
    st.one_of(strings),
    st.one_of(generic),
    words("SCAN", st.just(b"0"), st.just(b"COUNT"), st.just(b"2")),
    words("REDRAFT", st.just(b"REAP"), st.sampled_from([b"1", b"100"])),
).map(lambda argv: argv if is_data(list(argv)) else IN_ITS_PLACE)
IN_ITS_PLACE = (b"EXISTS", b"none")
"""Stands for a command that gets no further than the router: to filter it out would cost whole examples."""


def is_data(argv: list[bytes]) -> bool:
    """Whether the command gets as far as a shard: it is one, and has the right number of arguments."""
    try:
        command = TABLE.lookup_logged(argv)
    except CommandError:
        return False
    return command.kind is not Kind.SESSION and command.handler is not None


database = st.sampled_from([0] * 8 + [1, 2])
one = st.tuples(st.just("command"), database, data_command)
exec_ = st.tuples(st.just("exec"), database, st.lists(data_command, min_size=1, max_size=4))
run = st.tuples(st.just("run"), database, data_command, st.integers(1, 3))
time = st.tuples(st.just("time"), st.sampled_from([1, 49, 100, 1000, 1000, -500]))
tick = st.tuples(st.sampled_from(["propose", "persist", "settle", "settle", "settle keys", "flush", "flush"]))
step = st.one_of(one, one, one, exec_, run, time, tick, tick)
steps = st.lists(step, min_size=15, max_size=50)

examples = settings(
    max_examples=60,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


class Image(RecordWriter):
    """What a flush writes."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        self.records[key] = value

    def delete(self, key: bytes) -> None:
        self.records.pop(key, None)


class Sequence:
    """The same commands, executed one after the other on a keyspace of its own."""

    def __init__(self) -> None:
        self.context = Context(Keyspace())
        self.entry_ms = 0
        self.clock_ms = 0

    def begin(self, time_ms: int) -> None:
        """What follows is of an entry of this time."""
        self.entry_ms = time_ms
        self.clock_ms = max(self.clock_ms, time_ms)

    def execute(self, number: int, command: Command, argv: list[bytes]) -> Any:
        """The command's reply; an error is one."""
        self.context.begin(self.entry_ms, 0)
        if command.kind is Kind.DATA_READ:
            self.context.clock_ms = self.clock_ms
        self.context.select(number)
        assert command.handler is not None
        try:
            return command.handler(self.context, argv)
        except CommandError as error:
            return error


def comparable(reply: Any) -> Any:
    """A reply as something that has an equal: errors by their text, cursors by whether the walk goes on."""
    if isinstance(reply, CommandError):
        return "error", reply.text
    if isinstance(reply, list) and len(reply) == 2 and isinstance(reply[1], list):
        return reply[0] == b"0", reply[1]
    return [comparable(element) for element in reply] if isinstance(reply, list) else reply


class Driver:
    """A leader that is led through steps, and a sequence that answers the same commands."""

    def __init__(self) -> None:
        self.member = Member(seed=7, max_uncommitted_bytes=150).lead()
        self.sequence = Sequence()
        self.image = Image()
        self.point: FlushPoint | None = None
        self.owners = 0

    def take(self, step: tuple[Any, ...]) -> None:
        """One step. The first flush begins one, and those that follow do a unit of its work."""
        member = self.member
        self.owners += 1
        match step:
            case ("command", number, argv):
                member.add(*argv, database=number, owner=self.owners % 3)
            case ("exec", number, argvs):
                member.add_exec(member.transaction(*argvs, database=number), database=number)
            case ("run", number, argv, count):
                command, words = member.lookup(argv)
                if command.kind is Kind.DATA_WRITE:
                    packed = entry.pack(tuple(words)) * count
                    argvs = [words.copy() for _ in range(count)]
                    member.shard.add_writes(self.owners % 3, command, argvs, number, packed)
            case ("time", ms):
                member.now_ms += ms
                member.shard.present.set_clock(member.now_ms)
                self.sequence.clock_ms = max(self.sequence.entry_ms, member.now_ms)
            case ("propose",):
                self.check(member.propose())
            case ("persist",):
                self.check(member.persist())
            case ("settle keys",):
                member.keyspace.settle(3)
            case ("flush",) if self.point is None:
                self.point = member.shard.begin_flush(self.image)
            case ("flush",) if member.shard.flush is not None:
                member.shard.flush.step(1)
            case _:
                self.check(member.settle())

    def check(self, outcomes: list[Outcome]) -> None:
        """What batches answer is what the sequence answers at the times that stand in their entries."""
        for batch, replies in outcomes:
            if batch.index is not None:
                (logged,) = self.member.log.entries(batch.index, Index(batch.index + 1), 0)
                self.sequence.begin(entry.header(logged.data).time_ms)
            for run, answers in zip(batch.items, replies, strict=True):
                assert sum(count for _, count in run.takers) == len(answers)
                for argv, answer in zip(run.argvs, answers, strict=True):
                    if isinstance(run.command, Transaction):
                        expected = [self.sequence.execute(s.database, s.command, s.argv) for s in run.command.steps]
                    else:
                        expected = self.sequence.execute(run.database, run.command, argv)
                    assert comparable(answer) == comparable(expected), (run.database, argv)


@given(steps=steps)
@examples
def test_leader_follower_and_restart_end_with_the_same_bytes(steps: list[tuple[Any, ...]]) -> None:
    driver = Driver()
    for each in (*steps, ("settle",)):
        driver.take(each)
    leader = driver.member
    times = [entry.header(each.data).time_ms for each in leader.entries()]
    assert times == sorted(times), "time never goes back"
    expected = state(leader.keyspace)
    assert state(driver.sequence.context.keyspace) == expected

    follower = Member(leader.log, seed=99, max_committed_bytes_per_ready=50).lead()
    assert state(follower.keyspace) == expected
    assert follower.keyspace.changes == leader.keyspace.changes or driver.point is not None
    assert follower.shard.applied.time_ms == leader.shard.applied.time_ms

    if driver.point is not None:
        while leader.shard.flush is not None and not leader.shard.flush.step(100):
            pass
        image = Keyspace.load(driver.point.keyspace, sorted(driver.image.records.items()))
        restarted = Member(leader.log, seed=98, keyspace=image, applied=driver.point.applied).lead()
        assert state(restarted.keyspace) == expected


# Randomness.


def _draw(context: Context, argv: list[bytes]) -> bytes:
    value = b"%d" % context.random.getrandbits(64)
    context.db.put(argv[1], value)
    return value


def _look(context: Context, argv: list[bytes]) -> bytes:
    return b"%d" % context.random.getrandbits(64)


@pytest.fixture
def table() -> CommandTable:
    """The commands, with a write that draws a random number and a read that does."""
    table = CommandTable(TABLE)
    for name, handler, arity, flags in (("draw", _draw, 2, "write"), ("look", _look, 1, "readonly")):
        table.add(Command(name, handler, arity, frozenset({flags}), "test", "1.0.0", "Test"))
    return table


@pytest.mark.parametrize("seed", range(5))
def test_what_a_write_draws_is_the_same_on_every_replica(table: CommandTable, seed: int) -> None:
    rng = random.Random(seed)
    leader = Member(seed=seed, table=table).lead()
    drawn = []
    for number in range(60):
        if rng.random() < 0.5:
            leader.add("DRAW", f"k{number}")
        else:
            leader.add("LOOK")
        if rng.random() < 0.3:
            drawn += leader.replies()
    drawn += leader.replies()
    assert len(set(drawn)) == 60, "each draw is another number, over entries and reads alike"
    follower = Member(leader.log, seed=seed + 100, table=table).lead()
    assert state(follower.keyspace) == state(leader.keyspace)
