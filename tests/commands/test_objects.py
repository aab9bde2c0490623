"""Looking into values: OBJECT and MEMORY USAGE."""

from __future__ import annotations

import pytest

from redraft.resp.reply import Status
from support.shell import AnyShell, Shell, words

SYNTAX = "ERR syntax error"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NO_LFU = (
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between"
    " policies at runtime LRU and LFU data will take some time to adjust."
)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("", b"embstr"),
        ("v", b"embstr"),
        ("x" * 44, b"embstr"),
        ("x" * 45, b"raw"),
        ("0", b"int"),
        ("-1", b"int"),
        ("9223372036854775807", b"int"),
        ("-9223372036854775808", b"int"),
        ("9223372036854775808", b"embstr"),
        ("01", b"embstr"),
        ("+1", b"embstr"),
        ("1.5", b"embstr"),
        ("1" * 45, b"raw"),
    ],
)
def test_a_string_that_was_set_is_encoded_by_what_it_is(either: AnyShell, value: str, encoding: bytes) -> None:
    either("SET", "k", value)
    assert either("OBJECT", "ENCODING", "k") == encoding


@pytest.mark.parametrize(
    ("lines", "encoding"),
    [
        (["APPEND k 10"], b"int"),
        (["APPEND k 1", "APPEND k 0"], b"raw"),
        (["SET k v", 'APPEND k ""'], b"raw"),
        (["SETRANGE k 0 v"], b"raw"),
        (["SET k v", 'SETRANGE k 0 ""'], b"embstr"),
        (["APPEND k 1", "APPEND k 0", "INCR k"], b"int"),
        (["APPEND k 1", "APPEND k 0", "SET k v"], b"embstr"),
        (["APPEND k 1", "APPEND k 0", "RENAME k l", "RENAME l k"], b"raw"),
        (["SET k 5", "GETSET k 10"], b"int"),
        (["MSET k 5"], b"int"),
        (["INCRBYFLOAT k 1.5"], b"embstr"),
    ],
)
def test_a_string_is_raw_once_it_was_changed_in_place(either: AnyShell, lines: list[str], encoding: bytes) -> None:
    for line in lines:
        either.run(line)
    assert either("OBJECT", "ENCODING", "k") == encoding


def test_a_collection_tells_its_own_encoding(shell: Shell) -> None:
    shell.put_collection(b"c")
    assert shell("OBJECT", "ENCODING", "c") == b"quicklist"


@pytest.mark.parametrize(
    ("value", "count"),
    [("0", 2**31 - 1), ("9999", 2**31 - 1), ("10000", 1), ("-1", 1), ("007", 1), ("v", 1), ("x" * 100, 1)],
)
def test_small_integers_are_shared(either: AnyShell, value: str, count: int) -> None:
    either("SET", "k", value)
    assert either("OBJECT", "REFCOUNT", "k") == count


@pytest.mark.parametrize("question", ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ", "encoding"])
def test_there_is_nothing_to_tell_about_no_key(either: AnyShell, question: str) -> None:
    either("SET", "due", "v", "PXAT", 1)
    assert either("OBJECT", question, "none") is None
    assert either("OBJECT", question, "due") is None


def test_idle_time_is_not_kept(either: AnyShell) -> None:
    either("SET", "k", "v")
    assert either("OBJECT", "IDLETIME", "k") == 0


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("OBJECT FREQ k", NO_LFU),
        ("OBJECT", "ERR wrong number of arguments for 'object' command"),
        ("OBJECT ENCODING", "ERR wrong number of arguments for 'object|encoding' command"),
        ("OBJECT ENCODING k l", "ERR wrong number of arguments for 'object|encoding' command"),
        ("OBJECT HELP k", "ERR wrong number of arguments for 'object|help' command"),
        ("OBJECT Nothing k", "ERR unknown subcommand 'Nothing'. Try OBJECT HELP."),
        ("object nothing", "ERR unknown subcommand 'nothing'. Try OBJECT HELP."),
        ("MEMORY", "ERR wrong number of arguments for 'memory' command"),
        ("MEMORY nothing", "ERR unknown subcommand 'nothing'. Try MEMORY HELP."),
        ("MEMORY USAGE", "ERR wrong number of arguments for 'memory|usage' command"),
        ("MEMORY USAGE k l", SYNTAX),
        ("MEMORY USAGE k SAMPLES", SYNTAX),
        ("MEMORY USAGE k SAMPLES x", NOT_AN_INTEGER),
        ("MEMORY USAGE k SAMPLES -1", SYNTAX),
        ("MEMORY USAGE k SAMPLES 1 what", SYNTAX),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_redis(either: AnyShell, line: str, text: str) -> None:
    either("SET", "k", "v")
    assert either.error(*words(line)) == text


@pytest.mark.parametrize("options", ["", "SAMPLES 0", "samples 5 SAMPLES 100"])
def test_memory_usage_is_near_the_size_of_key_and_value(either: AnyShell, options: str) -> None:
    either("SET", "k" * 100, "v" * 10_000)
    assert 10_100 < either.run(f"MEMORY USAGE {'k' * 100} {options}") < 14_000
    assert either.run(f"MEMORY USAGE none {options}") is None


def test_the_memory_of_a_collection_is_what_it_says(shell: Shell) -> None:
    shell.put_collection(b"c")
    shell.put_collection(b"d")
    shell.context.get(b"d").members.append(b"x" * 1000)  # type: ignore[union-attr]
    assert shell("MEMORY", "USAGE", "d") == shell("MEMORY", "USAGE", "c") + 1000


def test_what_is_due_takes_no_memory(shell: Shell) -> None:
    """Redis still answers its size."""
    shell("SET", "due", "v", "PXAT", 1)
    assert shell("MEMORY", "USAGE", "due") is None


@pytest.mark.parametrize("container", ["OBJECT", "MEMORY"])
def test_help_tells_every_sub_command(either: AnyShell, container: str) -> None:
    lines = either(container, "HELP")
    assert lines[0] == Status(b"%b <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" % container.encode())
    named = {line.text.split()[0] for line in lines[1:] if not line.text.startswith(b" ")}
    assert named >= ({b"HELP", b"USAGE"} if container == "MEMORY" else {b"HELP", b"ENCODING", b"FREQ", b"IDLETIME"})
