"""COMMAND: the command table told to clients, complete and consistent with what the commands do."""

from __future__ import annotations

import pytest

from redraft.commands.table import REDIS_CATEGORIES
from support.processes import ReplyError
from support.world import Client


def test_every_command_is_told_in_the_ten_fields_that_clients_read(client: Client) -> None:
    told = client("COMMAND")
    assert client("COMMAND COUNT") == len(told)
    names = set()
    for name, arity, flags, first, last, step, categories, tips, specs, subs in told:
        names.add(name)
        assert arity != 0
        assert all(isinstance(flag, bytes) for flag in flags)
        assert (first == 0) == (last == 0)
        assert step >= 0
        assert {category.decode() for category in categories} <= {f"@{each}" for each in REDIS_CATEGORIES}
        assert isinstance(tips, list)
        assert bool(specs) == bool(first) or b"movablekeys" in flags, name
        for sub in subs:
            assert sub[0].startswith(name + b"|")
            assert len(sub) == 10
    assert {b"get", b"set", b"del", b"client", b"config", b"multi", b"hello", b"command"} <= names


def test_command_info_tells_those_that_are_named(client: Client) -> None:
    get, missing, kill = client("COMMAND INFO GET nosuch client|kill")
    assert get[:6] == [b"get", 2, [b"fast", b"readonly"], 1, 1, 1]
    assert missing is None
    assert kill[0] == b"client|kill"
    assert sorted(map(str, client("COMMAND INFO"))) == sorted(map(str, client("COMMAND")))


def test_command_list_can_be_filtered(client: Client) -> None:
    everything = client("COMMAND LIST")
    assert {b"get", b"client|list"} <= set(everything)
    assert client("COMMAND LIST FILTERBY PATTERN GETR*") == [b"getrange"]
    assert client("COMMAND LIST FILTERBY MODULE json") == []
    strings = client("COMMAND LIST FILTERBY ACLCAT string")
    assert b"get" in strings
    assert b"del" not in strings
    assert client("COMMAND LIST FILTERBY COLOUR red") == ReplyError("ERR syntax error")


def test_every_command_is_explained(client: Client) -> None:
    client("HELLO 3")
    docs = client("COMMAND DOCS")
    assert len(docs) == client("COMMAND COUNT")
    for name, doc in docs.items():
        for each in (doc, *doc.get(b"subcommands", {}).values()):
            assert each[b"summary"], name
            assert each[b"since"].count(b".") == 2
            assert each[b"group"]
            assert each[b"complexity"]
    assert list(client("COMMAND DOCS get nosuch")) == [b"get"]


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("GET a", "a"),
        ("set a 1 EX 10", "a"),
        ("MSET a 1 b 2", "a b"),
        ("DEL a b c", "a b c"),
        ("RENAME a b", "a b"),
        ("OBJECT ENCODING a", "a"),
        ("MEMORY USAGE a", "a"),
        ("WATCH a b", "a b"),
    ],
)
def test_getkeys_finds_the_keys_of_a_command_line(client: Client, line: str, keys: str) -> None:
    assert client("COMMAND GETKEYS " + line) == keys.encode().split()
    told = client("COMMAND GETKEYSANDFLAGS " + line)
    assert [key for key, _ in told] == keys.encode().split()
    assert all(flags for _, flags in told)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("NOSUCH a", "ERR Invalid command specified"),
        ("PING a", "ERR The command has no key arguments"),
        ("SET a", "ERR Invalid number of arguments specified for command"),
        ("CLIENT NOSUCH", "ERR Invalid command specified"),
    ],
)
def test_getkeys_refuses_what_has_no_keys(client: Client, line: str, text: str) -> None:
    assert client("COMMAND GETKEYS " + line) == ReplyError(text)


@pytest.mark.parametrize(
    ("line", "access"),
    [
        ("SET key get", [b"OW", b"update"]),
        ("SET key value EX 1", [b"OW", b"update"]),
        ("SET key value get", [b"RW", b"access", b"update"]),
        ("BITFIELD key", [b"RO", b"access"]),
        ("BITFIELD key GET u8 0 overflow SAT", [b"RO", b"access"]),
        ("BITFIELD key GET u8 0 SET u8 0 1", [b"RW", b"access", b"update"]),
        ("BITFIELD key GET u8", [b"RW", b"access", b"update"]),
    ],
)
def test_how_a_key_is_used_may_depend_on_the_options(client: Client, line: str, access: list[bytes]) -> None:
    assert client("COMMAND GETKEYSANDFLAGS " + line) == [[b"key", access]]


def test_what_the_table_says_of_arity_is_what_happens(client: Client) -> None:
    """A call with one word too few is refused by its arity, whatever the command."""
    for name, arity, *_, subs in client("COMMAND"):
        for full, wanted in [(name, arity), *((sub[0], sub[1]) for sub in subs)]:
            if subs and full == name:
                continue
            words = full.split(b"|")
            too_few = abs(wanted) - 1
            if too_few < len(words):
                continue
            words += [b"x"] * (too_few - len(words))
            refusal = f"ERR wrong number of arguments for '{full.decode()}' command"
            if words[0] == b"debug":
                sub = words[1].decode()
                refusal = f"ERR unknown subcommand or wrong number of arguments for '{sub}'. Try DEBUG HELP."
            assert client(*words) == ReplyError(refusal)


def test_unknown_commands_are_refused_in_redis_s_words(client: Client) -> None:
    assert client("NOSUCH a b") == ReplyError("ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ")
    assert client("COMMAND NOSUCH") == ReplyError("ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP.")
    assert client("CLIENT") == ReplyError("ERR wrong number of arguments for 'client' command")


def test_help_of_every_container_names_its_sub_commands(client: Client) -> None:
    for name, *_, subs in client("COMMAND"):
        if subs:
            lines = client(name, b"HELP")
            assert lines[0] == name.upper() + b" <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
            assert {sub[0].split(b"|")[1].upper() for sub in subs} <= {line.split()[0] for line in lines[1:]}, name
