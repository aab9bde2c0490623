"""Whatever a replica has lived through, it is the same as the others at each entry, and answers the same.

Random commands of all families, in several databases, in transactions and waits, with whole databases emptied,
exchanged and added, go as entries to replicas that flush, start again, take each other's snapshots, put keys in order
and have clients of their own, each at other moments (see `support.replicas`). REDRAFT_REPLICA_ROUNDS says how many
sequences of each family are tried; a failing one is shrunk, and printed with a blob that repeats it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.commands import Command, words
from oracle.families import FAMILIES, PLAIN, WAITS
from redraft.commands.all import TABLE
from redraft.commands.table import Kind
from support.replicas import Item, Replicas, is_data

ROUNDS = int(os.environ.get("REDRAFT_REPLICA_ROUNDS", "6"))
TOKENS = 12
"""One of so many waits that began last is ended early."""

number = st.sampled_from([b"0", b"0", b"1", b"2", b"15"])
WHOLE: st.SearchStrategy[Command] = st.one_of(
    words("SWAPDB", number, number), words("SWAPDB", st.just(b"0"), st.just(b"1")), words("FLUSHDB"),
    words("FLUSHALL"), words("REDRAFT", st.just(b"REAP"), st.sampled_from([b"1", b"100"])),
    words("REDRAFT", st.just(b"DATABASES"), st.sampled_from([b"16", b"17", b"20", b"2"])),
    words("REDRAFT", st.just(b"THRESHOLDS"), *[st.sampled_from([b"0", b"2", b"8", b"512"])] * 5),
    words("REDRAFT", st.just(b"UNBLOCK"), st.integers(1, TOKENS).map(lambda token: b"%d" % token), st.just(b"CHANGE")),
    words("REDRAFT", st.just(b"UNBLOCK"), st.just(b"ALL"), st.just(b"7")),
)  # fmt: skip
"""What is of whole databases, of the keyspace, and of who waits."""
database = st.sampled_from([0] * 6 + [1, 1, 2])


def known(argv: Command) -> list[bytes]:
    """A command that gets as far as a shard."""
    words_ = list(argv)
    return words_ if is_data(TABLE, words_) and not TABLE.lookup_logged(words_).blocks(words_) else [b"EXISTS", b"none"]


def items(family: st.SearchStrategy[Command]) -> st.SearchStrategy[Any]:
    """A part of an entry; a wait has a token later."""
    command = st.one_of(family, family, family, PLAIN).map(known)
    placed = st.tuples(database, command)
    waits = st.tuples(database, WAITS.map(list))
    return st.one_of(
        placed.map(lambda each: Item([each])),
        placed.map(lambda each: Item([each])),
        st.lists(placed, min_size=2, max_size=3).map(Item),
        st.lists(placed, min_size=2, max_size=4).map(lambda several: Item(_plain(several), transaction=True)),
        waits.map(lambda each: Item([each], token=1)),
        st.tuples(database, WHOLE.map(list)).map(lambda each: Item([each])),
    )


def _plain(commands: list[tuple[int, list[bytes]]]) -> list[tuple[int, list[bytes]]]:
    """Without the log's own words, which stand in no transaction."""
    return [each for each in commands if not TABLE.lookup_logged(each[1]).internal] or [(0, [b"FLUSHDB"])]


def _meant(argv: list[bytes], token: int) -> list[bytes]:
    """An UNBLOCK is of a wait that began lately."""
    if argv[0].lower() == b"redraft" and argv[1] == b"UNBLOCK" and argv[2].isdigit():
        return [*argv[:2], b"%d" % (token - int(argv[2])), *argv[3:]]
    return argv


def entries(family: st.SearchStrategy[Command]) -> st.SearchStrategy[list[list[Item]]]:
    return st.lists(st.lists(items(family), min_size=1, max_size=4), min_size=12, max_size=30)


def tried(rounds: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=rounds,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@tried(ROUNDS)
def test_replicas_of_any_history_are_alike(family: str, data: st.DataObject) -> None:
    replicas = Replicas(data.draw(st.integers(0, 1 << 32)), size=3)
    token = TOKENS
    for entry in data.draw(entries(FAMILIES[family])):
        named = []
        for item in entry:
            token += bool(item.token)
            commands = [(where, _meant(argv, token)) for where, argv in item.commands]
            named.append(item._replace(commands=commands, token=token if item.token else 0))
        replicas.apply(named)
        for item in entry:
            for where, argv in item.commands:
                if TABLE.lookup_logged(argv).kind is Kind.DATA_READ:
                    replicas.read(argv, where)
