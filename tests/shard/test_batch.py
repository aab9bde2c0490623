"""Batches: what is executed in which order, and what of it is logged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redraft.commands.all import TABLE
from redraft.commands.table import Command, Kind
from redraft.shard import entry
from redraft.shard.batch import Batch, Transaction, TransactionStep


def named(name: bytes) -> Command:
    command = TABLE.find(name)
    assert command is not None
    return command


SET, INCR, GET, DBSIZE = (named(name) for name in (b"set", b"incr", b"get", b"dbsize"))
A, B, C = [b"SET", b"a", b"1"], [b"SET", b"b", b"2"], [b"INCR", b"c"]

MARKS = ([b"MULTI"], [b"EXEC"])


def steps(*argvs: list[bytes], database: int = 0) -> Transaction:
    return Transaction([TransactionStep(named(argv[0].lower()), argv, database) for argv in argvs])


def executed(batch: Batch) -> list[tuple[Any, str, list[bytes], int]]:
    """(owner, command, argv, database) of everything in the batch, in the order of its execution."""
    found = []
    for run in batch.items:
        owners = [owner for owner, count in run.takers for _ in range(count)]
        name = "transaction" if isinstance(run.command, Transaction) else run.command.name
        found += [(owner, name, argv, run.database) for owner, argv in zip(owners, run.argvs, strict=True)]
    return found


def logged(batch: Batch) -> list[tuple[int, list[bytes]]]:
    """What the log will hold, the marks of transactions left out."""
    commands = entry.commands(entry.encode(0, 0, batch.fragments, batch.logged))
    return [(database, argv) for database, argv in commands if argv not in MARKS]


def raw(batch: Batch) -> bytes:
    return b"".join(batch.fragments)


def test_neighbours_that_call_one_command_make_one_run_whoever_sent_them() -> None:
    batch = Batch()
    batch.add_write("x", SET, A, 0)
    batch.add_write("x", SET, B, 0)
    batch.add_write("y", SET, A, 0)
    assert len(batch.items) == 1
    assert executed(batch) == [("x", "set", A, 0), ("x", "set", B, 0), ("y", "set", A, 0)]
    assert batch.writes == 3


def test_another_command_or_another_database_begins_a_run() -> None:
    batch = Batch()
    batch.add_write("x", SET, A, 0)
    batch.add_write("x", INCR, C, 0)
    batch.add_write("x", SET, B, 0)
    batch.add_write("x", SET, B, 1)
    batch.add_unlogged("x", GET, [b"GET", b"a"], 1)
    assert [len(run.argvs) for run in batch.items] == [1] * 5
    assert [run.database for run in batch.items] == [0, 0, 0, 1, 1]


def test_reads_stand_where_they_were_put_and_are_not_logged() -> None:
    batch = Batch()
    batch.add_write("x", SET, A, 0)
    batch.add_unlogged("x", GET, [b"GET", b"a"], 0)
    batch.add_unlogged("y", GET, [b"GET", b"b"], 0)
    batch.add_write("y", SET, B, 0)
    assert [name for _, name, _, _ in executed(batch)] == ["set", "get", "get", "set"]
    assert logged(batch) == [(0, A), (0, B)]
    assert batch.writes == 2


def test_a_database_is_selected_once_and_only_for_writes() -> None:
    batch = Batch()
    batch.add_unlogged("x", DBSIZE, [b"DBSIZE"], 5)
    for argv, database in ((A, 0), (A, 3), (B, 3), (C, 0), (A, 0)):
        batch.add_write("x", named(argv[0].lower()), argv, database)
        batch.add_unlogged("x", DBSIZE, [b"DBSIZE"], 5)
    pack = entry.pack
    assert batch.fragments == [
        pack(tuple(A)),
        entry.select(3), pack(tuple(A)), pack(tuple(B)),
        entry.select(0), pack(tuple(C)), pack(tuple(A)),
    ]  # fmt: skip


def test_a_transaction_s_writes_are_logged_between_multi_and_exec() -> None:
    batch = Batch()
    batch.add_write("x", SET, A, 2)
    batch.add_transaction("x", steps(A, [b"GET", b"a"], C), [b"EXEC"], 0)
    batch.add_write("x", SET, B, 0)
    pack = entry.pack
    assert batch.fragments == [
        entry.select(2), pack(tuple(A)),
        entry.MULTI, entry.select(0), pack(tuple(A)), pack(tuple(C)), entry.EXEC,
        pack(tuple(B)),
    ]  # fmt: skip
    assert logged(batch) == [(2, A), (0, A), (0, C), (0, B)]
    assert batch.writes == 4
    assert [name for _, name, _, _ in executed(batch)] == ["set", "transaction", "set"]


def test_the_steps_of_a_transaction_may_be_of_several_databases() -> None:
    batch = Batch()
    every = Transaction([*steps(A, database=1).steps, *steps(B, database=0).steps, *steps(C, database=1).steps])
    batch.add_transaction("x", every, [b"EXEC"], 0)
    assert logged(batch) == [(1, A), (0, B), (1, C)]


def test_a_transaction_without_writes_leaves_no_trace_in_the_log() -> None:
    batch = Batch()
    answered = TransactionStep(None, [b"PING"], 0, b"PONG")
    batch.add_transaction("x", Transaction([*steps([b"GET", b"a"]).steps, answered]), [b"EXEC"], 0)
    batch.add_unlogged("x", steps([b"GET", b"a"]), [b"EXEC"], 0)
    assert batch.fragments == []
    assert batch.writes == 0
    assert len(executed(batch)) == 2


def test_logged_bytes_are_those_of_the_commands() -> None:
    batch = Batch()
    batch.add_write("x", SET, A, 0)
    batch.add_transaction("x", steps(B, C), [b"EXEC"], 0)
    batch.add_unlogged("x", GET, [b"GET", b"a"], 0)
    batch.add_writes("x", SET, [A, B], 0, entry.pack(tuple(A)) + entry.pack(tuple(B)))
    assert batch.logged_bytes == 2 * sum(len(entry.pack(tuple(argv))) for argv in (A, B)) + len(entry.pack(tuple(C)))


SET_BEGINS = b"*3\r\n$3\r\nSET\r\n"
word = st.binary(max_size=6) | st.sampled_from([b"*3", b"SET", SET_BEGINS, b"x" + SET_BEGINS * 2])
run = st.tuples(st.sampled_from([SET, INCR, GET]), st.lists(st.lists(word, max_size=3), min_size=1, max_size=4))
sets = st.tuples(st.just(SET), st.lists(st.lists(word, min_size=2, max_size=2), min_size=1, max_size=4))
turn = st.tuples(st.sampled_from("xyz"), st.sampled_from([0, 0, 0, 1, 15]), run | sets)


@given(turns=st.lists(turn, max_size=12))
@settings(max_examples=200, deadline=None, print_blob=True)
def test_a_run_with_its_bytes_is_logged_as_what_does_the_same_as_its_commands_one_by_one(turns: list[Any]) -> None:
    one_by_one, whole = Batch(), Batch()
    for owner, database, (command, tails) in turns:
        argvs = [[command.name.upper().encode(), *tail] for tail in tails]
        for argv in argvs:
            if command.kind is Kind.DATA_WRITE:
                one_by_one.add_write(owner, command, argv, database)
            else:
                one_by_one.add_unlogged(owner, command, argv, database)
        if command.kind is Kind.DATA_WRITE:
            packed = b"".join(entry.pack(tuple(argv)) for argv in argvs)
            whole.add_writes(owner, command, [argv.copy() for argv in argvs], database, packed)
        else:
            for argv in argvs:
                whole.add_unlogged(owner, command, argv, database)
    assert len(raw(whole)) <= len(raw(one_by_one))
    assert executed(whole) == executed(one_by_one)
    assert (whole.writes, whole.logged_bytes) == (one_by_one.writes, one_by_one.logged_bytes)
    writes = [(database, argv) for _, name, argv, database in executed(whole) if name != "get"]
    assert logged(one_by_one) == writes, "what is logged is what is written, in the same order"
    assert sets_apart(logged(whole)) == writes, "the same, but for SETs that are one MSET"


def sets_apart(commands: list[tuple[int, list[bytes]]]) -> list[tuple[int, list[bytes]]]:
    """Each MSET as so many SETs."""
    found = []
    for database, argv in commands:
        pairs = zip(argv[1::2], argv[2::2], strict=True) if argv[0] == b"MSET" else ()
        found += [(database, [b"SET", *pair]) for pair in pairs] or [(database, argv)]
    return found


def added(batch: Batch, *argvs: list[bytes], database: int = 0) -> None:
    packed = b"".join(entry.pack(tuple(argv)) for argv in argvs)
    batch.add_writes("x", named(argvs[0][0].lower()), list(argvs), database, packed)


def test_sets_in_a_row_are_logged_as_one_mset_whoever_sent_them() -> None:
    batch = Batch()
    added(batch, A)
    added(batch, B, A)
    added(batch, C)
    added(batch, B)
    added(batch, A, database=3)
    added(batch, B, database=3)
    assert logged(batch) == [
        (0, [b"MSET", *A[1:], *B[1:], *A[1:]]), (0, C), (0, B), (3, [b"MSET", *A[1:], *B[1:]]),
    ]  # fmt: skip
    assert batch.writes == 7


@pytest.mark.parametrize(
    "argvs",
    [
        [[b"SET", b"a", b"1", b"EX", b"10"]],
        [[b"set", b"a", b"1"], [b"set", b"b", b"2"]],
        [A, [b"SET", b"a", b"1", b"NX"]],
        [A, [b"SET", b"*3", b"SET"]],
        [A, [b"SET", b"a", SET_BEGINS]],
        [[b"SET", b"a", SET_BEGINS], [b"SET", b"a", b"1", b"NX"]],
    ],
)
def test_other_sets_are_logged_as_they_came(argvs: list[list[bytes]]) -> None:
    batch = Batch()
    added(batch, *argvs)
    assert logged(batch) == [(0, argv) for argv in argvs]


@pytest.mark.parametrize("database", [0, 9])
def test_no_fragment_is_left_over_from_one_batch_to_the_next(database: int) -> None:
    for _ in range(2):
        batch = Batch()
        batch.add_write("x", SET, A, database)
        assert logged(batch) == [(database, A)]
