"""Execution: what becomes of errors, of time, of randomness; what is counted."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redraft.commands.all import TABLE
from redraft.commands.context import Context
from redraft.commands.table import Command, CommandTable
from redraft.errors import CommandError, DamagedDataError, DiskFullError, StorageError
from redraft.keyspace.flush import Flush, RecordWriter
from redraft.keyspace.keyspace import Keyspace
from redraft.resp.reply import OK
from redraft.shard.batch import Batch, Transaction, TransactionStep
from redraft.shard.entry import EntryHeader, LoggedRun
from redraft.shard.executor import INTERNAL_ERROR, Executor

HEADER = EntryHeader(1_700_000_000_000, 7)


class Bench:
    """An executor with a table to which a test adds commands, and a clock that only commands move."""

    def __init__(self) -> None:
        self.ns = 1000
        self.table = CommandTable(TABLE)
        self.keyspace = Keyspace()
        self.executor = Executor(self.keyspace, self.table, lambda: self.ns, Random(5))
        self.slow: list[tuple[object, str, list[bytes], int]] = []
        self.executor.on_slow = lambda owner, command, argv, ns: self.slow.append((owner, command.name, argv, ns))
        self.define("fail", lambda context, argv: 1 // 0)
        self.define("draw", lambda context, argv: context.random.getrandbits(32))
        self.define("look", lambda context, argv: context.random.getrandbits(32), "readonly")
        self.define("now", lambda context, argv: context.now_ms)
        self.define("see", lambda context, argv: context.now_ms, "readonly")
        self.define("take", self._take)
        self.define("dwell", self._take, "readonly")

    def _take(self, context: Context, argv: list[bytes]) -> None:
        self.ns += int(argv[1])

    def define(self, name: str, handler: Any, flags: str = "write") -> None:
        self.table.add(Command(name, handler, -1, frozenset(flags.split()), "test", "1.0.0", "Test"))

    def command(self, line: str) -> tuple[Command, list[bytes]]:
        argv = [word.encode() for word in line.split()]
        return self.table.lookup(argv), argv

    def batch(self, *lines: str, owner: object = "x") -> Batch:
        batch = Batch()
        for line in lines:
            command, argv = self.command(line)
            add = batch.add_write if "write" in command.flags else batch.add_unlogged
            add(owner, command, argv, 0)
        return batch

    def transaction(self, *lines: str) -> Transaction:
        return Transaction([TransactionStep(*self.command(line), 0) for line in lines])

    def apply(self, *lines: str, header: EntryHeader = HEADER) -> list[Any]:
        return [reply for run in self.executor.apply_batch(self.batch(*lines), header) for reply in run]


@pytest.fixture
def bench() -> Bench:
    return Bench()


# Errors.


def test_an_error_that_a_command_means_is_its_reply_and_the_next_is_executed(bench: Bench) -> None:
    replies = bench.apply("SET a x", "INCR a", "INCR b")
    assert isinstance(replies[1], CommandError)
    assert replies[1].text == "ERR value is not an integer or out of range"
    assert [replies[0], replies[2]] == [OK, 1]
    assert bench.executor.errors == {"ERR": 1}


def test_errors_are_counted_by_their_first_word(bench: Bench) -> None:
    bench.define("wrong", _raise(CommandError("WRONGTYPE of value")))
    bench.apply("wrong", "wrong", "SET a x", "INCR a")
    assert bench.executor.errors == {"WRONGTYPE": 2, "ERR": 1}
    wrong = bench.table.find(b"wrong")
    assert wrong is not None
    assert (wrong.calls, wrong.failed_calls) == (2, 2)


def test_an_unexpected_exception_is_answered_as_an_internal_error_and_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    replies = bench.apply("SET a 1", "fail x y", "SET a 2", "GET a")
    assert isinstance(replies[1], CommandError)
    assert replies[1].text == INTERNAL_ERROR
    assert INTERNAL_ERROR.startswith("ERR internal error")
    assert replies[2:] == [OK, b"2"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "the command fail with 2 arguments failed"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError, "with its traceback"
    command = bench.table.find(b"fail")
    assert command is not None
    assert (command.calls, command.failed_calls) == (1, 1)


def _raise(error: BaseException) -> Any:
    def handler(context: Context, argv: list[bytes]) -> Any:
        raise error

    return handler


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(28, "No space left on device"),
        PermissionError(1, "no"),
        StorageError("the disk"),
        DamagedDataError("a bad checksum"),
        DiskFullError("full"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("flags", ["write", "readonly"])
def test_what_depends_on_the_machine_is_let_through(bench: Bench, error: BaseException, flags: str) -> None:
    bench.define("break", _raise(error), flags)
    with pytest.raises(type(error)) as caught:
        bench.apply("break")
    assert caught.value is error
    with pytest.raises(type(error)):
        bench.executor.transaction("x", bench.transaction("break"))
    if flags == "write":
        with pytest.raises(type(error)):
            bench.executor.apply_logged(HEADER, [LoggedRun(0, [[b"break"]])])


# Time and randomness.


def test_every_command_of_an_entry_sees_the_entry_s_time(bench: Bench) -> None:
    assert bench.apply("now", "see", "now", header=EntryHeader(55, 0)) == [55, 55, 55]


def test_reads_see_the_last_entry_s_time_and_a_present_that_is_no_earlier(bench: Bench) -> None:
    context = bench.executor.read_context
    context.clock_ms = 100
    assert bench.apply("now", "see", header=EntryHeader(55, 0)) == [55, 55]
    assert context.clock_ms == 100
    assert bench.apply("see", header=EntryHeader(155, 0)) == [155]
    assert bench.executor.read("x", *_run(bench, "see"), 0) == [155]
    assert context.clock_ms == 155


def _run(bench: Bench, line: str) -> tuple[Command, list[list[bytes]]]:
    command, argv = bench.command(line)
    return command, [argv]


def test_writes_draw_from_the_entry_s_seed_in_order_whatever_is_read_between(bench: Bench) -> None:
    plain = bench.apply("draw", "draw", "draw")
    assert len(set(plain)) == 3
    mixed = bench.apply("look", "draw", "look", "draw", "look", "draw")
    assert mixed[1::2] == plain
    assert bench.apply("draw", header=EntryHeader(1, 8)) != plain[:1]
    executor = bench.executor
    logged = [LoggedRun(0, [[b"draw"]])] * 3
    drawn: list[int] = []
    bench.table.find(b"draw").handler = lambda context, argv: drawn.append(context.random.getrandbits(32))  # type: ignore[union-attr]
    executor.apply_logged(HEADER, logged)
    assert drawn == plain, "and so does a replica on which nobody waits"


# Transactions.


def test_a_transaction_s_reply_has_one_for_each_step(bench: Bench) -> None:
    bench.apply("SET a x")
    transaction = bench.transaction("INCR n", "INCR a", "GET n", "fail", "INCR n")
    transaction.steps.insert(1, TransactionStep(None, [b"PING"], 0, b"PONG"))
    batch = Batch()
    batch.add_transaction("x", transaction, [b"EXEC"], 0)
    ((reply,),) = bench.executor.apply_batch(batch, HEADER)
    texts = [element.text if isinstance(element, CommandError) else element for element in reply]
    not_an_integer = "ERR value is not an integer or out of range"
    assert texts == [1, b"PONG", not_an_integer, b"1", INTERNAL_ERROR, 2]


def test_the_steps_of_a_transaction_work_on_their_own_databases(bench: Bench) -> None:
    steps = [TransactionStep(*bench.command("INCR n"), database) for database in (0, 3, 0)]
    assert bench.executor.transaction("x", Transaction(steps)) == [1, 1, 2]


# A replica on which nobody waits.


def test_a_logged_command_that_is_not_known_stops_the_node(bench: Bench) -> None:
    for argv in ([b"TOMORROW", b"x"], [b"SET", b"too few"]):
        with pytest.raises(StorageError, match="written by a newer version; start that one"):
            bench.executor.apply_logged(HEADER, [LoggedRun(0, [argv])])


def test_a_logged_write_to_a_database_that_is_not_there_does_nothing_and_is_answered_with_an_error(
    bench: Bench,
) -> None:
    for number in (16, 1 << 20):
        batch = Batch()
        batch.add_write("x", *bench.command("SET a 1"), number)
        batch.add_unlogged("x", *bench.command("GET a"), number)
        batch.add_transaction("x", bench.transaction("STRLEN a"), [b"EXEC"], number)
        bench.executor.apply_logged(HEADER, [LoggedRun(number, [[b"SET", b"a", b"1"]] * 2)])
        (set_,), (get,), ((length,),) = bench.executor.apply_batch(batch, HEADER)
        assert [str(set_), str(get), length] == ["ERR DB index is out of range"] * 2 + [0]
    assert not any(len(database) for database in bench.keyspace.databases)


def test_a_run_that_fails_unexpectedly_is_answered_as_each_of_its_commands_would_be(bench: Bench) -> None:
    failing = bench.table.find(b"fail")
    assert failing is not None
    failing.run = lambda context, argvs: argvs[5]  # type: ignore[assignment,return-value]
    assert list(map(str, bench.apply("fail", "fail"))) == [INTERNAL_ERROR] * 2


def test_a_wait_s_name_is_that_of_the_next_command_only(bench: Bench) -> None:
    """Whether that one had to wait or not: what comes later is nobody's wait."""

    def apply(*lines: str) -> list[Any]:
        runs = [LoggedRun(0, [[word.encode() for word in line.split()]]) for line in lines]
        bench.executor.apply_logged(HEADER, runs)
        return bench.executor.take_served()

    assert apply("RPUSH q x", "XADD s * f v", "XGROUP CREATE s g 0") == []
    assert apply("REDRAFT WAITER 5", "BLPOP q 0", "MULTI", "BLPOP other 0", "EXEC") == [(5, [b"q", b"x"])]
    assert apply("RPUSH q x", "REDRAFT WAITER 6", "BLPOP q 0", "XREADGROUP GROUP g c STREAMS s >") == [
        (6, [b"q", b"x"])
    ]
    assert apply("REDRAFT WAITER 7", "MULTI", "BLPOP q 0", "EXEC", "BLPOP q 0") == []
    assert apply("REDRAFT WAITER 8", "INCR n", "INCR n", "BLPOP q 0") == []
    assert not bench.keyspace.waiters


# Counting.


def test_calls_and_their_time_are_counted_wherever_they_come_from(bench: Bench) -> None:
    bench.apply("take 5", "take 6", "take 7")
    bench.executor.transaction("x", bench.transaction("take 10", "take 20"))
    bench.executor.apply_logged(HEADER, [LoggedRun(0, [[b"take", b"100"]])])
    take = bench.table.find(b"take")
    assert take is not None
    assert (take.calls, take.nanoseconds, take.failed_calls) == (6, 148, 0)
    original = TABLE.find(b"set")
    assert original is not None
    calls = original.calls
    bench.apply("SET a 1")
    assert original.calls == calls, "the node's table counts, not the declarations"


def test_a_command_that_took_long_is_told_with_the_client_that_sent_it(bench: Bench) -> None:
    bench.executor.slow_ns = 10
    batch = Batch()
    command = bench.command("take 1")[0]
    for owner, tooks in (("x", [b"3", b"10"]), ("y", [b"9"]), (None, [b"11"]), ("z", [b"1", b"12"])):
        for took in tooks:
            batch.add_write(owner, command, [b"take", took], 0)
    bench.executor.apply_batch(batch, HEADER)
    assert bench.slow == [
        ("x", "take", [b"take", b"10"], 10),
        (None, "take", [b"take", b"11"], 11),
        ("z", "take", [b"take", b"12"], 12),
    ]


def test_reads_and_transactions_that_took_long_are_told_too(bench: Bench) -> None:
    bench.executor.slow_ns = 10
    bench.executor.read("x", *_run(bench, "dwell 10"), 0)
    bench.executor.transaction("y", bench.transaction("take 9", "take 20", "dwell 30"))
    assert [(owner, ns) for owner, _, _, ns in bench.slow] == [("x", 10), ("y", 20), ("y", 30)]


def test_without_a_threshold_nothing_is_slow(bench: Bench) -> None:
    bench.apply(f"take {10**15}")
    assert bench.slow == []


def test_changes_count_the_writes_of_leaders_and_followers_alike(bench: Bench) -> None:
    bench.apply("SET a 1", "GET a", "SET b 1")
    assert bench.keyspace.changes == 2
    batch = Batch()
    batch.add_transaction("x", bench.transaction("SET a 1", "GET a", "SET b 1"), [b"EXEC"], 0)
    bench.executor.apply_batch(batch, HEADER)
    assert bench.keyspace.changes == 4
    bench.executor.apply_logged(HEADER, [LoggedRun(0, [[b"SET", b"a", b"1"]])] * 2)
    assert bench.keyspace.changes == 6


def test_sets_and_the_mset_that_is_logged_for_them_do_the_same_to_who_waits_and_to_counts() -> None:
    leader, follower = Bench(), Bench()
    sets = ["SET x 1", "SET s2 1", "SET s1 2", "SET s2 3"]
    for bench in (leader, follower):
        for stream in ("s1", "s2"):
            bench.executor.apply_batch(bench.batch(f"XGROUP CREATE {stream} g $ MKSTREAM"), HEADER)
        for token, streams in enumerate(("s1 s2 > >", "s2 >", "s1 >")):
            bench.executor._begin(HEADER)
            bench.executor.write_context.waiter_token = token
            command, argv = bench.command(f"XREADGROUP GROUP g c BLOCK 0 STREAMS {streams}")
            bench.executor.write(None, command, [argv], 0)
        assert len(bench.keyspace.waiters) == 3
        bench.keyspace.changes = 0
    leader.executor.apply_batch(leader.batch(*sets), HEADER)
    pairs = [word.encode() for line in sets for word in line.split()[1:]]
    follower.executor.apply_logged(HEADER, [LoggedRun(0, [[b"MSET", *pairs]])])
    told = [[(token, str(reply)) for token, reply in bench.executor.take_served()] for bench in (leader, follower)]
    assert told[0] == told[1]
    assert [token for token, _ in told[0]] == [0, 1, 2]
    assert leader.keyspace.meta() == follower.keyspace.meta()
    assert leader.keyspace.changes == follower.keyspace.changes == len(sets)
    assert not leader.keyspace.waiters


def test_another_keyspace_takes_the_place_of_the_first(bench: Bench) -> None:
    bench.apply("SET a old")
    fresh = Keyspace()
    bench.executor.replace_keyspace(fresh)
    assert bench.apply("GET a", "SET a new", "GET a") == [None, OK, b"new"]
    assert fresh.databases[0].get(b"a", 0) == b"new"
    assert bench.keyspace.databases[0].get(b"a", 0) == b"old"


NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "41",
        "-0",
        "007",
        "x",
        "9223372036854775806",
        "9223372036854775807",
        "-9223372036854775808",
        "1e3",
    ]
)
COUNTING = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["INCR", "DECR"]), st.sampled_from("abcdef")),
    st.builds("{} {} {}".format, st.sampled_from(["INCRBY", "DECRBY"]), st.sampled_from("abcdef"), NUMBERS),
)


class Records(RecordWriter):
    """What a flush writes, in a dict."""

    def __init__(self, records: dict[bytes, bytes]) -> None:
        self._records = records

    def put(self, key: bytes, value: bytes) -> None:
        self._records[key] = value

    def delete(self, key: bytes) -> None:
        self._records[key] = b""


@given(st.lists(NUMBERS, min_size=2, max_size=2), st.lists(COUNTING, min_size=1, max_size=12), st.booleans())
def test_counters_in_a_row_do_what_each_would(values: list[str], commands: list[str], flushing: bool) -> None:
    """With keys that have no number, a deadline that has come or not, a string that was changed in place, another type;
    before or while a flush runs; whoever watches is told of the same keys."""
    found = []
    for slow_ns in (0, 1 << 62):
        bench = Bench()
        bench.executor.slow_ns = slow_ns
        bench.apply(f"SET a {values[0]}", f"SET b {values[1]}", "SETRANGE c 0 1", "LPUSH d x", "SET e 5", "SET f 6")
        database = bench.keyspace.databases[0]
        database.set_deadline(b"e", HEADER.time_ms)
        database.set_deadline(b"f", HEADER.time_ms + 1000)
        changed: list[bytes] = []
        database.on_change = lambda _, key, changed=changed: changed.append(key)
        records: dict[bytes, bytes] = {}
        flush = Flush([database], Records(records)) if flushing else None
        replies = [
            str(reply) if isinstance(reply, CommandError) else reply
            for replies in bench.executor.apply_batch(bench.batch(*commands), HEADER)
            for reply in replies
        ]
        while flush is not None and not flush.step(1 << 20):
            pass
        left = {key: database.peek(key) for key in database.keys_from(b"") if key != b"d"}
        dirty = {*database.dirty, *database.dirty_strings}
        found.append((replies, left, dict(database.deadlines), {*changed}, records, dirty, database.expired))
        database.check()
    assert found[0] == found[1]


@pytest.mark.parametrize("slow_ns", [0, 1 << 62])
def test_sets_in_a_row_do_what_each_would(slow_ns: int) -> None:
    bench = Bench()
    bench.executor.slow_ns = slow_ns
    changed: list[bytes] = []
    database = bench.keyspace.databases[0]
    database.put(b"due", b"")
    database.set_deadline(b"due", HEADER.time_ms + 1)
    database.on_change = lambda _, key: changed.append(key)
    batch = bench.batch("SET a 1", "SET due x", "SET a 2", "SET b 3 EX 10")
    [*together, with_options] = bench.executor.apply_batch(batch, HEADER)
    run = [OK, OK, OK, OK]
    assert [reply for replies in (*together, with_options) for reply in replies] == run
    assert bench.executor.apply_batch(bench.batch("SET a 4", "SET c 5"), HEADER) == [[OK, OK]]
    assert [database.get(key, HEADER.time_ms) for key in (b"a", b"b", b"c", b"due")] == [b"4", b"3", b"5", b"x"]
    assert database.deadline(b"due") is None
    assert changed[-2:] == [b"a", b"c"]
    assert bench.table.lookup([b"SET", b"a", b"1"]).calls == 6
    assert len(bench.slow) == (0 if slow_ns else 6)
    database.check()
