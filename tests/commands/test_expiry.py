"""Times to live: which deadline each command sets, and what a deadline hides."""

from __future__ import annotations

import pytest

from redraft.resp.reply import OK
from support.shell import NOW_MS, AnyShell, Shell, words

FAR_MS = 33_000_000_000_000
FAR_S = FAR_MS // 1000
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NX_CLASH = "ERR NX and XX, GT or LT options at the same time are not compatible"
GT_LT_CLASH = "ERR GT and LT options at the same time are not compatible"
SETTERS = ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"]


def arity(name: str) -> str:
    return f"ERR wrong number of arguments for '{name}' command"


def invalid(name: str) -> str:
    return f"ERR invalid expire time in '{name}' command"


# Setting.


@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize("collection", [False, True])
def test_a_key_is_there_until_its_deadline(shell: Shell, setter: str, collection: bool) -> None:
    if collection:
        shell.put_collection(b"k")
    else:
        shell("SET", "k", "v")
    number = {"EXPIRE": 7, "PEXPIRE": 7000, "EXPIREAT": NOW_MS // 1000 + 7, "PEXPIREAT": NOW_MS + 7000}[setter]
    assert shell(setter, "k", number) == 1
    shell.now_ms += 6999
    assert shell("EXISTS", "k") == 1
    assert shell("PTTL", "k") == 1
    shell.now_ms += 1
    assert shell("EXISTS", "k") == 0
    assert shell("PTTL", "k") == -2


@pytest.mark.parametrize("setter", SETTERS)
@pytest.mark.parametrize("number", ["0", "-1", "-9223372036854775"])
def test_a_deadline_that_is_past_deletes_the_key(either: AnyShell, setter: str, number: str) -> None:
    either("SET", "k", "v")
    assert either(setter, "k", number) == 1
    assert either("EXISTS", "k") == 0
    assert either("DBSIZE") == 0, "it is not even hidden"
    assert either(setter, "k", number) == 0


def test_the_present_is_past(shell: Shell) -> None:
    shell("SET", "k", "v")
    assert shell("PEXPIREAT", "k", shell.now_ms) == 1
    assert shell.in_memory() == []


@pytest.mark.parametrize(
    ("setter", "least", "most"),
    [
        ("EXPIRE", -9223372036854775, (2**63 - 1 - NOW_MS) // 1000),
        ("EXPIREAT", -9223372036854775, (2**63 - 1) // 1000),
        ("PEXPIRE", -(2**63), 2**63 - 1 - NOW_MS),
        ("PEXPIREAT", -(2**63), 2**63 - 1),
    ],
)
def test_a_deadline_is_a_number_of_64_bits(shell: Shell, setter: str, least: int, most: int) -> None:
    shell("SET", "k", "v")
    assert shell(setter, "k", most) == 1
    assert shell("PEXPIRETIME", "k") > 2**63 - 2000
    for beyond in (least - 1, most + 1):
        fits = -(2**63) <= beyond < 2**63
        assert shell.error(setter, "k", beyond) == (invalid(setter.lower()) if fits else NOT_AN_INTEGER)
    assert shell(setter, "k", least) == 1
    assert shell("EXISTS", "k") == 0


@pytest.mark.parametrize(
    ("before_ms", "flags", "deadline_ms", "set_"),
    [
        (None, "NX", FAR_MS, True),
        (FAR_MS, "NX", FAR_MS + 1, False),
        (None, "XX", FAR_MS, False),
        (FAR_MS, "XX", FAR_MS - 1, True),
        (None, "GT", FAR_MS, False),
        (FAR_MS, "GT", FAR_MS - 1, False),
        (FAR_MS, "GT", FAR_MS, False),
        (FAR_MS, "GT", FAR_MS + 1, True),
        (None, "LT", FAR_MS, True),
        (FAR_MS, "LT", FAR_MS + 1, False),
        (FAR_MS, "LT", FAR_MS, False),
        (FAR_MS, "LT", FAR_MS - 1, True),
        (None, "XX GT", FAR_MS, False),
        (FAR_MS, "XX GT", FAR_MS + 1, True),
        (None, "XX LT", FAR_MS, False),
        (None, "lt xx", FAR_MS, False),
        (FAR_MS, "XX LT", FAR_MS - 1, True),
        (FAR_MS, "xx Xx XX", FAR_MS - 1, True),
        (None, "GT GT", FAR_MS, False),
    ],
)
def test_a_condition_looks_at_the_present_deadline(
    either: AnyShell, before_ms: int | None, flags: str, deadline_ms: int, set_: bool
) -> None:
    either("SET", "k", "v", *(["PXAT", before_ms] if before_ms else []))
    assert either("PEXPIREAT", "k", deadline_ms, *flags.split()) == int(set_)
    assert either("PEXPIRETIME", "k") == (deadline_ms if set_ else before_ms or -1)


@pytest.mark.parametrize("flags", ["LT", "XX", "XX LT"])
def test_a_deadline_that_is_past_deletes_only_where_the_condition_holds(either: AnyShell, flags: str) -> None:
    either("SET", "k", "v", "PXAT", FAR_MS)
    assert either("PEXPIREAT", "k", 1, "GT") == 0
    assert either("PEXPIREAT", "k", 1, "NX") == 0
    assert either("EXISTS", "k") == 1
    assert either("PEXPIREAT", "k", 1, *flags.split()) == 1
    assert either("EXISTS", "k") == 0


@pytest.mark.parametrize("setter", SETTERS)
def test_a_key_that_is_due_gets_no_new_life(shell: Shell, setter: str) -> None:
    shell("SET", "k", "v", "PX", 10)
    shell.now_ms += 10
    assert shell(setter, "k", FAR_MS) == 0
    assert shell.in_memory() == [], "a write removes it"
    assert shell("PERSIST", "k") == 0
    assert shell("EXISTS", "k") == 0


def test_persist_takes_the_deadline_away(either: AnyShell) -> None:
    either("SET", "k", "v", "PXAT", FAR_MS)
    either("SET", "due", "v", "PXAT", 1)
    assert either("PERSIST", "k") == 1
    assert either("PTTL", "k") == -1
    assert either("PERSIST", "k") == 0
    assert either("PERSIST", "none") == 0
    assert either("PERSIST", "due") == 0
    assert either("EXISTS", "due") == 0


# Asking.


@pytest.mark.parametrize(
    ("left_ms", "seconds"), [(1, 0), (499, 0), (500, 1), (1000, 1), (1499, 1), (1500, 2), (100_000, 100)]
)
def test_ttl_is_rounded_to_the_nearest_second(shell: Shell, left_ms: int, seconds: int) -> None:
    shell("SET", "k", "v", "PX", left_ms)
    assert shell("PTTL", "k") == left_ms
    assert shell("TTL", "k") == seconds


@pytest.mark.parametrize(
    ("deadline_ms", "deadline_s"), [(FAR_MS, FAR_S), (FAR_MS + 499, FAR_S), (FAR_MS + 500, FAR_S + 1)]
)
def test_expiretime_is_the_deadline_rounded_to_the_nearest_second(
    either: AnyShell, deadline_ms: int, deadline_s: int
) -> None:
    either("SET", "k", "v", "PXAT", deadline_ms)
    assert either("PEXPIRETIME", "k") == deadline_ms
    assert either("EXPIRETIME", "k") == deadline_s


@pytest.mark.parametrize("question", ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"])
def test_what_has_no_deadline_and_what_is_no_key_have_answers_of_their_own(either: AnyShell, question: str) -> None:
    either("SET", "k", "v")
    either("SET", "due", "v", "PXAT", 1)
    assert [either(question, key) for key in ("k", "none", "due")] == [-1, -2, -2]


def test_times_to_live_count_down(either: AnyShell) -> None:
    either("SET", "k", "v", "EX", 1000)
    assert 999_000 <= either("PTTL", "k") <= 1_000_000
    assert 999 <= either("TTL", "k") <= 1000


@pytest.mark.parametrize(
    ("line", "text"),
    [
        *((setter, arity(setter.lower())) for setter in SETTERS),
        *((f"{setter} k", arity(setter.lower())) for setter in SETTERS),
        *((f"{setter} k x", NOT_AN_INTEGER) for setter in SETTERS),
        *((f"{setter} k 1.5", NOT_AN_INTEGER) for setter in SETTERS),
        *((f"{setter} none x", NOT_AN_INTEGER) for setter in SETTERS),
        *((f"{setter} k 1 NX XX", NX_CLASH) for setter in SETTERS),
        ("EXPIRE k 9223372036854775807", invalid("expire")),
        ("expire k -9223372036854775807", invalid("expire")),
        ("EXPIRE k -9223372036854776", invalid("expire")),
        ("EXPIRE none 9223372036854775", invalid("expire")),
        ("EXPIREAT k 9223372036854776", invalid("expireat")),
        ("PEXPIRE k 9223372036854775807", invalid("pexpire")),
        ("EXPIRE k 1 NX GT", NX_CLASH),
        ("EXPIRE k 1 LT NX", NX_CLASH),
        ("EXPIRE k 1 GT LT", GT_LT_CLASH),
        ("EXPIRE k 1 XX GT LT", GT_LT_CLASH),
        ("EXPIRE k 1 GT LT NX", NX_CLASH),
        ("EXPIRE k 1 What", "ERR Unsupported option What"),
        ("EXPIRE k x What", "ERR Unsupported option What"),
        ("EXPIRE k x NX XX", NX_CLASH),
        ("EXPIRE k 1 NX XX What", "ERR Unsupported option What"),
        ('EXPIRE k 1 ""', "ERR Unsupported option "),
        ("PERSIST", arity("persist")),
        ("PERSIST k k", arity("persist")),
        *((f"{question} k k", arity(question.lower())) for question in ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_redis(either: AnyShell, line: str, text: str) -> None:
    either("SET", "k", "v")
    assert either.error(*words(line)) == text
    assert either("PTTL", "k") == -1


# What a deadline hides, until somebody removes it.


def test_reads_hide_what_is_due_and_leave_it_and_writes_remove_it(shell: Shell) -> None:
    shell("SET", "due", "v", "PX", 1)
    shell("SET", "k", "v")
    shell.now_ms += 1
    for line in (
        "GET due",
        "EXISTS due",
        "TYPE due",
        "KEYS *",
        "SCAN 0",
        "OBJECT ENCODING due",
        "TTL due",
        "STRLEN due",
    ):
        reply = shell.run(line)
        assert b"due" not in (reply if isinstance(reply, list) else [reply])
    assert shell("DBSIZE") == 2, "as in Redis: it is counted until it is removed"
    assert shell.context.db.expired == 0
    assert shell("DEL", "due") == 0
    assert shell("DBSIZE") == 1


def test_reaping_removes_what_is_due_the_earliest_first(shell: Shell) -> None:
    for number in (3, 1, 2, 50):
        shell("SET", f"k{number}", "v", "PX", number)
    shell("SET", "k", "v")
    shell.now_ms += 10
    assert shell("REDRAFT", "REAP", 2) == 2
    assert shell.in_memory() == [b"k", b"k3", b"k50"]
    assert shell("REDRAFT", "REAP", 100) == 1
    assert shell("REDRAFT", "REAP", 100) == 0
    assert shell("REDRAFT", "REAP", 0) == 0
    assert shell.in_memory() == [b"k", b"k50"]
    assert shell.context.db.expired == 3


def test_reaping_is_of_the_selected_database(shell: Shell) -> None:
    for database in (0, 1):
        shell.select(database)
        shell("SET", "k", "v", "PX", 1)
    shell.now_ms += 1
    assert shell("REDRAFT", "REAP", 10) == 1
    shell.select(0)
    assert shell.in_memory() == [b"k"]


def test_reaping_takes_a_number_of_keys(shell: Shell) -> None:
    assert shell.error("REDRAFT", "REAP", "x") == NOT_AN_INTEGER
    assert shell.error("REDRAFT", "REAP", -1) == "ERR value is out of range, must be positive"
    assert shell.error("REDRAFT", "REAP") == arity("redraft|reap")


def test_time_that_goes_back_shows_a_key_again_that_nobody_removed(shell: Shell) -> None:
    """Entries never do that; a read on a leader whose clock was put back must still not fail."""
    assert shell("SET", "k", "v", "PX", 10) == OK
    shell.now_ms += 10
    assert shell("GET", "k") is None
    shell.now_ms -= 1
    assert shell("GET", "k") == b"v"
