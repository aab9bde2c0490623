"""ACL: the one user and the categories of commands."""

from __future__ import annotations

import hashlib

import pytest

from redraft.commands.table import REDIS_CATEGORIES
from support.processes import ReplyError
from support.world import Client, World


def test_everyone_is_the_default_user(client: Client) -> None:
    assert client("ACL WHOAMI") == b"default"
    assert client("ACL USERS") == [b"default"]


def test_without_a_password_the_user_needs_none(client: Client) -> None:
    assert client("ACL LIST") == [b"user default on nopass ~* &* +@all"]
    assert client("ACL GETUSER default") == [
        b"flags", [b"on", b"nopass"], b"passwords", [], b"commands", b"+@all", b"keys", b"~*", b"channels", b"&*",
        b"selectors", [],
    ]  # fmt: skip
    assert client("ACL GETUSER nobody") is None


def test_a_password_is_shown_by_its_checksum_only() -> None:
    client = World(requirepass="secret").connect()
    assert client("ACL WHOAMI") == ReplyError("NOAUTH Authentication required.")
    client("AUTH secret")
    shown = hashlib.sha256(b"secret").hexdigest().encode()
    assert client("ACL LIST") == [b"user default on #" + shown + b" ~* &* +@all"]
    client("HELLO 3")
    user = client("ACL GETUSER default")
    assert list(user[b"flags"]) == [b"on"]
    assert user[b"passwords"] == [shown]


def test_every_command_is_in_the_categories_that_command_info_tells(client: Client) -> None:
    assert client("ACL CAT") == [category.encode() for category in REDIS_CATEGORIES]
    told: dict[bytes, set[bytes]] = {}
    for entry in client("COMMAND"):
        for each in (entry, *entry[9]):
            told[each[0]] = set(each[6])
    for category in client("ACL CAT"):
        members = client("ACL", "CAT", category.upper())
        assert len(members) == len(set(members))
        assert set(members) == {name for name, categories in told.items() if b"@" + category in categories}
        assert not [name for name in members if name.startswith(b"redraft")]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("ACL CAT Nothing", "ERR Unknown category 'Nothing'"),
        ("ACL CAT read write", "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP."),
        ("ACL SETUSER me on", "ERR unknown subcommand 'SETUSER': not offered yet: users other than `default`"),
        ("ACL", "ERR wrong number of arguments for 'acl' command"),
        ("ACL GETUSER", "ERR wrong number of arguments for 'acl|getuser' command"),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_redis(client: Client, line: str, text: str) -> None:
    assert client(line) == ReplyError(text)
