"""PFADD, PFCOUNT, PFMERGE, PFDEBUG: what Redis answers, and the bytes that are left."""

from __future__ import annotations

import pytest

from redraft.resp.reply import Status
from redraft.values import hyperloglog
from support.shell import AnyShell, Shell

OK = Status(b"OK")
EMPTY = b"HYLL\x01" + bytes(10) + b"\x80\x7f\xff"
NOT_ONE = "WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPTED = "INVALIDOBJ Corrupted HLL object detected"


def pfadd(shell: AnyShell, key: str, start: int, end: int) -> int:
    reply = shell("PFADD", key, *range(start, end))
    assert isinstance(reply, int)
    return reply


def test_an_added_element_is_counted_once(either: AnyShell) -> None:
    assert either.run("PFADD k a b c") == 1
    assert either.run("PFCOUNT k") == 3
    assert either.run("PFADD k a c") == 0
    assert either.run("PFADD k d") == 1
    assert either.run("PFCOUNT k") == 4
    assert either.run("PFCOUNT none") == 0
    assert either.run("EXISTS none") == 0


def test_a_key_is_made_by_adding_nothing(either: AnyShell) -> None:
    assert either.run("PFADD k") == 1
    assert either.run("GET k") == EMPTY
    assert either.run("PFADD k") == 0
    assert either.run("PFCOUNT k") == 0
    assert either.run("TYPE k") == Status(b"string")


def test_the_count_is_kept_until_a_register_changes(either: AnyShell) -> None:
    either.run("PFADD k a b c")
    assert either("GET", "k")[8:16] == bytes(7) + b"\x80"
    either.run("PFCOUNT k")
    assert either("GET", "k")[8:16] == b"\x03" + bytes(7)
    either.run("PFADD k a")
    assert either("GET", "k")[8:16] == b"\x03" + bytes(7)
    either.run("PFADD k d")
    assert either("GET", "k")[8:16] == b"\x03" + bytes(6) + b"\x80"
    either.run("PFCOUNT k none")
    assert either("GET", "k")[8:16] == b"\x03" + bytes(6) + b"\x80"


def test_the_time_to_live_stays(either: AnyShell) -> None:
    either.run("PFADD k a")
    either.run("EXPIRE k 100")
    either.run("PFADD k b")
    either.run("PFCOUNT k")
    either.run("PFMERGE k other")
    assert either.run("TTL k") == 100


def test_several_are_counted_together_without_being_changed(either: AnyShell) -> None:
    pfadd(either, "a", 0, 100)
    pfadd(either, "b", 50, 150)
    before = either("GET", "a"), either("GET", "b")
    together = either.run("PFCOUNT a none b")
    assert abs(together - 150) <= 3
    assert (either("GET", "a"), either("GET", "b")) == before
    assert either.run("PFMERGE to a none b") == OK
    assert either.run("PFCOUNT to") == together
    assert either.run("PFMERGE a b") == OK
    assert either.run("PFCOUNT a") == together
    assert either.run("PFMERGE new") == OK
    assert either.run("GET new") == EMPTY


def test_a_value_becomes_dense_when_it_would_grow_too_long(either: AnyShell) -> None:
    assert either.run("PFADD k x") == 1
    count = 0
    while either.run("PFDEBUG ENCODING k") == Status(b"sparse"):
        pfadd(either, "k", count, count + 100)
        count += 100
    assert len(either("GET", "k")) == hyperloglog.DENSE_BYTES
    assert 1000 < count < 2500
    assert abs(either.run("PFCOUNT k") - count) < count * 0.03
    assert either.run("PFMERGE to k") == OK
    assert either.run("PFDEBUG ENCODING to") == Status(b"dense")


def test_what_pfdebug_shows(either: AnyShell) -> None:
    either.run("PFADD k a b c d")
    assert either.run("PFDEBUG DECODE k") == b"Z:7292 v:1,1 Z:1143 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603"
    assert either.run("PFDEBUG ENCODING k") == Status(b"sparse")
    ranks = either.run("PFDEBUG GETREG k")
    assert len(ranks) == 16384
    assert {place: rank for place, rank in enumerate(ranks) if rank} == {7292: 1, 8436: 1, 12711: 2, 15780: 1}
    assert either.run("PFDEBUG ENCODING k") == Status(b"dense")
    assert either.run("PFDEBUG TODENSE k") == 0
    assert either.run("PFCOUNT k") == 4
    assert either.error("PFDEBUG", "DECODE", "k") == "ERR HLL encoding is not sparse"
    assert either.error("PFDEBUG", "what", "k") == "ERR Unknown PFDEBUG subcommand 'what'"
    assert either.error("PFDEBUG", "what", "none") == "ERR The specified key does not exist"
    either.run("PFADD new x")
    assert either.run("PFDEBUG TODENSE new") == 1


@pytest.mark.parametrize(
    "value",
    [
        b"", b"12", b"text", EMPTY[:15], b"HYLM" + EMPTY[4:], b"HYLL\x02" + EMPTY[5:], b"HYLL\x00" + EMPTY[5:],
        b"HYLL\x00" + EMPTY[5:16] + bytes(12287),
    ],
)  # fmt: skip
def test_a_string_that_is_none_is_refused(either: AnyShell, value: bytes) -> None:
    either("SET", "k", value)
    for line in ("PFADD k a", "PFADD k", "PFCOUNT k", "PFCOUNT none k", "PFMERGE k", "PFMERGE to k"):
        assert either.error(*line.split()) == NOT_ONE, line
    assert either.run("GET k") == value
    assert either.run("EXISTS to") == 0


@pytest.mark.parametrize("registers", [b"\x7f\xfe", b"\x7f\xff\x00", b"\x80" * 16, b"", b"\x3f" * 300, b"\x3f" * 255])
def test_a_value_for_another_number_of_registers_is_corrupted(either: AnyShell, registers: bytes) -> None:
    either("SET", "k", EMPTY[:16] + registers)
    for line in ("PFCOUNT k", "PFCOUNT none k", "PFMERGE k", "PFMERGE to k", "PFDEBUG TODENSE k", "PFDEBUG GETREG k"):
        assert either.error(*line.split()) == CORRUPTED, line
    assert either("GET", "k") == EMPTY[:16] + registers


def test_an_element_of_a_register_that_is_not_there_is_refused(either: AnyShell) -> None:
    either("SET", "k", EMPTY[:16] + b"\x3f")
    assert either.error("PFADD", "k", "a") == CORRUPTED
    assert either("GET", "k") == EMPTY[:16] + b"\x3f"


def test_other_types_are_refused(either: AnyShell) -> None:
    either.put_collection(b"c")
    wrong = "WRONGTYPE Operation against a key holding the wrong kind of value"
    for line in ("PFADD c a", "PFCOUNT c", "PFCOUNT none c", "PFMERGE c", "PFMERGE to c", "PFDEBUG GETREG c"):
        assert either.error(*line.split()) == wrong, line


def test_a_dense_value_is_changed_in_place(shell: Shell) -> None:
    pfadd(shell, "k", 0, 5000)
    held = shell.context.db.peek(b"k")
    assert pfadd(shell, "k", 5000, 5100) == 1
    assert shell("PFCOUNT", "k") > 4500
    assert shell.context.db.peek(b"k") is held
