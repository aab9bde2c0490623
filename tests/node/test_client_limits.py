"""What a client may have held for it: commands that wait or are queued, bytes before AUTH; and who speaks HTTP."""

from __future__ import annotations

import logging

import pytest

from support.fleet import Fleet
from support.world import Client, World

MB = 1 << 20


def fields(listing: bytes, name: bytes) -> dict[bytes, bytes]:
    """The fields of the client of that name."""
    lines = [dict(field.split(b"=", 1) for field in line.split()) for line in listing.splitlines()]
    return next(line for line in lines if line[b"name"] == name)


def set_of(size: int) -> bytes:
    return b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (size, b"x" * size)


def test_commands_behind_one_that_blocks_count_as_input(world: World, client: Client, other: Client) -> None:
    other("CONFIG SET client-query-buffer-limit 1mb")
    client("CLIENT SETNAME waits")
    client.ask("BLPOP nothing 0")
    for _ in range(9):
        client.send(set_of(100_000))
    world.settle()
    shown = fields(other("CLIENT LIST"), b"waits")
    assert 900_000 < int(shown[b"qbuf"]) < MB
    assert int(shown[b"tot-mem"]) > int(shown[b"qbuf"])
    assert not client.closed
    client.send(set_of(200_000))
    world.settle()
    assert client.closed
    assert other("PING") == b"PONG"


def test_commands_behind_a_pause_count_as_input(world: World, client: Client, other: Client) -> None:
    other("CONFIG SET client-query-buffer-limit 1mb")
    other("CLIENT PAUSE 100000")
    client.send(set_of(400_000) * 2)
    world.settle()
    assert not client.closed
    client.send(set_of(400_000))
    world.settle()
    assert client.closed


def test_commands_behind_one_that_is_passed_on_count_as_input() -> None:
    fleet = Fleet()
    fleet.elect()
    client, other = fleet[2].connect(), fleet[2].connect()
    other.ask("CONFIG SET client-query-buffer-limit 1mb")
    fleet.settle()
    fleet.cut(2)
    for _ in range(12):
        client.send(set_of(100_000))
        fleet[2].tick()
    assert client.closed


def test_what_multi_has_queued_counts_as_input(world: World, client: Client, other: Client) -> None:
    other("CONFIG SET client-query-buffer-limit 1mb")
    client("CLIENT SETNAME queues")
    client("MULTI")
    for _ in range(9):
        client.send(set_of(100_000))
    world.settle()
    assert int(fields(other("CLIENT LIST"), b"queues")[b"multi-mem"]) > 900_000
    assert not client.closed
    client.send(set_of(200_000))
    world.settle()
    assert client.closed


def test_a_new_transaction_is_counted_anew(world: World, client: Client, other: Client) -> None:
    other("CONFIG SET client-query-buffer-limit 1mb")
    for _ in range(5):
        client.send(b"MULTI\r\n" + set_of(300_000) * 2 + b"EXEC\r\n")
        world.settle()
        assert client.replies()[-1] == [b"OK", b"OK"]


def test_before_auth_a_megabyte_of_input_is_the_most() -> None:
    world = World(requirepass="secret")
    client = world.connect()
    client("NOSUCH")
    world.clock.look_ns = 10_000_000
    client.send(b"x\n" * (MB + 10))
    world.tick()
    assert client.closed


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1\r\n", b"Host: localhost\r\n", b"*2\r\n$4\r\npost\r\n$1\r\n/\r\n"])
def test_who_speaks_http_is_cut_off_and_told_of_once_a_minute(
    world: World, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "redraft.node")
    for _ in range(2):
        client = world.connect("10.1.1.1:2222")
        client.send(line + b"SET k v\r\n")
        world.settle()
        assert client.closed
        assert client.raw == b""
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("Possible SECURITY ATTACK detected.")
    assert told.endswith("Connection from 10.1.1.1:2222 aborted.")
    assert world.connect()("EXISTS k") == 0
    world.advance(61_000)
    world.connect().send(line)
    world.settle()
    assert len(caplog.records) == 2


def test_http_in_a_transaction_is_cut_off_too(world: World, client: Client) -> None:
    client.send(b"MULTI\r\nPOST /\r\nEXEC\r\n")
    world.settle()
    assert client.closed
