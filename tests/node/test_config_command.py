"""CONFIG while a node runs. What options mean and how a file is rewritten is tested with the settings themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from redraft.options import OPTIONS
from redraft.settings import Settings
from support.processes import ReplyError
from support.world import Client, World


def pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    """A flat reply of names and values."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_config_get_tells_options_by_pattern(client: Client) -> None:
    assert pairs(client("CONFIG GET maxclients")) == {b"maxclients": b"10000"}
    assert set(pairs(client("CONFIG GET maxclient* TIMEOUT"))) == {b"maxclients", b"TIMEOUT"}
    assert client("CONFIG GET nosuch") == []
    everything = pairs(client("CONFIG GET *"))
    assert {option.name.encode() for option in OPTIONS if not option.hidden} <= set(everything)
    client("HELLO 3")
    assert client("CONFIG GET maxclients") == {b"maxclients": b"10000"}


def test_config_set_changes_several_options_or_none(client: Client) -> None:
    assert client("CONFIG SET maxclients 50 timeout 7") == b"OK"
    assert pairs(client("CONFIG GET maxclients timeout")) == {b"maxclients": b"50", b"timeout": b"7"}
    assert isinstance(client("CONFIG SET maxclients 60 timeout never"), ReplyError)
    assert pairs(client("CONFIG GET maxclients timeout")) == {b"maxclients": b"50", b"timeout": b"7"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("nosuch 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
        ("port 1", "ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable config"),
        ("timeout 1 timeout 2", "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter"),
        ("timeout 1 maxclients", "ERR syntax error"),
        ("timeout", "ERR wrong number of arguments for 'config|set' command"),
    ],
)
def test_a_config_set_that_is_refused_changes_nothing(client: Client, words: str, text: str) -> None:
    assert client("CONFIG SET " + words) == ReplyError(text)
    assert pairs(client("CONFIG GET timeout")) == {b"timeout": b"0"}


def test_every_option_can_be_set_to_what_it_is(client: Client) -> None:
    """A value that CONFIG GET tells is one that CONFIG SET takes."""
    for option in OPTIONS:
        if option.mutable:
            [(name, value)] = pairs(client("CONFIG", "GET", option.name)).items()
            assert client(b"CONFIG", b"SET", name, value) == b"OK", option.name


def test_what_is_set_takes_effect_at_once(world: World, client: Client) -> None:
    client("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2")
    for number in range(5):
        client(f"SET key {number}")
    assert client("SLOWLOG LEN") == 2
    client("CONFIG SET slowlog-max-len 1")
    assert len(world.node.observer.slowlog.entries) <= 1


def test_resetstat_lets_info_count_anew(client: Client) -> None:
    client.pipeline("SET key 1", "NOSUCH", "INCR nokey x")
    assert b"cmdstat_set:calls=1" in client("INFO commandstats")
    assert client("CONFIG RESETSTAT") == b"OK"
    assert b"cmdstat_set:" not in client("INFO commandstats")
    assert b"total_error_replies:0" in client("INFO stats")
    assert client("GET key") == b"1"


def test_rewrite_writes_what_was_set_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "redraft.conf"
    path.write_text("# mine\ntimeout 5\n")
    world = World()
    world.node.settings.config_file = str(path)
    client = world.connect()
    client("CONFIG SET timeout 9 maxclients 77")
    assert client("CONFIG REWRITE") == b"OK"
    again = Settings.from_command_line([str(path)])
    assert (again.timeout, again.maxclients) == (9, 77)
    assert path.read_text().startswith("# mine\ntimeout 9\n")


def test_without_a_file_there_is_nothing_to_rewrite(client: Client) -> None:
    assert client("CONFIG REWRITE") == ReplyError("ERR The server is running without a config file")


def test_a_file_that_cannot_be_written_is_told_and_the_node_goes_on(tmp_path: Path) -> None:
    world = World()
    world.node.settings.config_file = str(tmp_path / "none" / "redraft.conf")
    client = world.connect()
    assert str(client("CONFIG REWRITE")).startswith("ERR Rewriting config file")
    assert client("PING") == b"PONG"


def test_object_answers_by_the_policy_of_eviction(client: Client) -> None:
    client("SET key 1")
    assert str(client("OBJECT FREQ key")).startswith("ERR An LFU maxmemory policy is not selected")
    assert client("OBJECT IDLETIME key") == 0
    client("CONFIG SET maxmemory-policy volatile-lfu")
    assert client("OBJECT FREQ key") == 5
    assert str(client("OBJECT IDLETIME key")).startswith("ERR An LFU maxmemory policy is selected, idle time not")
    assert client("OBJECT FREQ none") is client("OBJECT IDLETIME none") is None
    client("CONFIG SET maxmemory-policy noeviction")
    assert client("OBJECT IDLETIME key") == 0
