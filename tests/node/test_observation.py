"""SLOWLOG, LATENCY and MONITOR."""

from __future__ import annotations

from typing import Any

import pytest

from support.processes import ReplyError
from support.world import START_MS, Client, World

MS = 1_000_000


def slow(world: World, milliseconds: float) -> None:
    """From now on each look at the clock takes so long, and so every command seems to."""
    world.clock.look_ns = int(milliseconds * MS)


def slowlog(client: Client) -> list[Any]:
    """SLOWLOG GET -1, read while nothing is slow."""
    client.world.clock.look_ns = 0
    return list(client("SLOWLOG GET -1"))


@pytest.mark.parametrize("line", ["SET key 1", "GET key", "ECHO word", "CLIENT LIST"])
def test_a_slow_command_of_any_kind_enters_the_slow_log(world: World, client: Client, line: str) -> None:
    client("CLIENT SETNAME me")
    slow(world, 20)
    client(line)
    [entry] = slowlog(client)
    number, time_s, duration_us, words, address, name = entry
    assert number == 0
    assert START_MS // 1000 <= time_s <= START_MS // 1000 + 10
    assert duration_us == 20_000
    assert words == line.encode().split()
    assert (address, name) == (client.session.address.encode(), b"me")


def test_the_commands_of_a_transaction_enter_the_slow_log_and_exec_does_not(world: World, client: Client) -> None:
    client.pipeline("MULTI", "SET key 1", "GET key")
    slow(world, 20)
    client("EXEC")
    assert [entry[3] for entry in slowlog(client)] == [[b"GET", b"key"], [b"SET", b"key", b"1"]]


def test_a_fast_command_stays_out_and_a_negative_threshold_keeps_all_out(world: World, client: Client) -> None:
    slow(world, 9.9)
    client("GET key")
    client("CONFIG SET slowlog-log-slower-than -1")
    slow(world, 1000)
    client("GET key")
    assert slowlog(client) == []


def test_the_newest_come_first_and_only_so_many_are_kept(world: World, client: Client) -> None:
    client("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 3")
    for number in range(5):
        client(f"ECHO {number}")
    client("CONFIG SET slowlog-log-slower-than -1")
    assert [entry[3][1] for entry in slowlog(client)] == [b"4", b"3", b"2"]
    assert client("SLOWLOG LEN") == 3
    assert len(client("SLOWLOG GET 2")) == 2
    assert len(client("SLOWLOG GET 0")) == 0
    assert client("SLOWLOG RESET") == b"OK"
    assert client("SLOWLOG LEN") == 0


def test_ten_entries_are_shown_unless_more_are_asked_for(client: Client) -> None:
    client("CONFIG SET slowlog-log-slower-than 0")
    for number in range(15):
        client(f"ECHO {number}")
    client("CONFIG SET slowlog-log-slower-than -1")
    assert len(client("SLOWLOG GET")) == 10
    assert len(client("SLOWLOG GET 12")) == 12
    assert client("SLOWLOG GET -2") == ReplyError("ERR count should be greater than or equal to -1")


def test_long_commands_are_shortened(client: Client) -> None:
    client("CONFIG SET slowlog-log-slower-than 0")
    client(b"ECHO", b"x" * 1000)
    client(b"DEL", *[b"k%d" % number for number in range(100)])
    client("CONFIG SET slowlog-log-slower-than -1")
    by_name = {entry[3][0]: entry[3] for entry in slowlog(client)}
    assert by_name[b"ECHO"][1] == b"x" * 128 + b"... (872 more bytes)"
    assert len(by_name[b"DEL"]) == 32
    assert by_name[b"DEL"][-1] == b"... (70 more arguments)"


def test_passwords_do_not_enter_the_slow_log(world: World) -> None:
    world = World(requirepass="secret", slowlog_log_slower_than=0)
    client = world.connect()
    client("AUTH secret")
    client("AUTH default secret")
    client("HELLO 3 AUTH default secret SETNAME me")
    client("CONFIG SET timeout 1 requirepass secret2 maxclients 9")
    shown = [b" ".join(entry[3]) for entry in slowlog(client)]
    assert b"HELLO 3 AUTH (redacted) (redacted) SETNAME me" in shown
    assert b"CONFIG SET timeout 1 requirepass (redacted) maxclients 9" in shown
    assert {b"AUTH (redacted)", b"AUTH (redacted) (redacted)"} <= set(shown)
    assert not [line for line in shown if b"secret" in line]


# LATENCY.


def test_nothing_is_measured_without_a_threshold(world: World, client: Client) -> None:
    slow(world, 500)
    client("GET key")
    world.clock.look_ns = 0
    assert client("LATENCY LATEST") == []
    assert b"Nothing is measured" in client("LATENCY DOCTOR")


def test_events_over_the_threshold_are_kept_by_name(world: World, client: Client) -> None:
    client("CONFIG SET latency-monitor-threshold 100")
    for milliseconds in (300, 150, 50):
        world.advance(2000)
        slow(world, milliseconds)
        client("GET key")
        world.clock.look_ns = 0
    slow(world, 200)
    client("KEYS *")
    world.clock.look_ns = 0
    latest = {entry[0]: entry[1:] for entry in client("LATENCY LATEST")}
    assert set(latest) == {b"fast-command", b"command"}
    assert latest[b"fast-command"][1:] == [150, 300]
    assert [sample[1] for sample in client("LATENCY HISTORY fast-command")] == [300, 150]
    assert client("LATENCY HISTORY nosuch") == []
    report = client("LATENCY DOCTOR")
    assert b"fast-command: 2 samples of 100 ms or longer, the worst 300 ms (mean 225 ms)" in report
    assert client("LATENCY RESET command nosuch") == 1
    assert client("LATENCY RESET") == 1
    assert client("LATENCY LATEST") == []
    assert b"No event has taken 100 ms or longer" in client("LATENCY DOCTOR")


def test_within_one_second_only_the_worst_is_kept(world: World, client: Client) -> None:
    client("CONFIG SET latency-monitor-threshold 1")
    for took_ms in (5, 9, 2):
        world.node.observer.took("fsync", took_ms * MS)
    assert [sample[1] for sample in client("LATENCY HISTORY fsync")] == [9]
    for event in ("fsync", "tick"):
        world.node.observer.took(event, 5 * MS)
        assert event.encode() in client("LATENCY DOCTOR")


def test_only_the_newest_samples_are_kept(world: World, client: Client) -> None:
    client("CONFIG SET latency-monitor-threshold 1")
    for number in range(200):
        world.advance(1000)
        world.node.observer.took("fsync", (number + 1) * MS)
    history = client("LATENCY HISTORY fsync")
    assert len(history) == 160
    assert history[-1][1] == 200
    assert client("LATENCY LATEST")[0][2:] == [200, 200]


# MONITOR.


def monitored(client: Client) -> list[str]:
    """What a monitor has seen, without the times."""
    return [line.decode().split(" ", 1)[1] for line in client.replies()]


def test_a_monitor_sees_the_commands_of_all_others_in_order(world: World, client: Client, other: Client) -> None:
    assert client("MONITOR") == b"OK"
    other.pipeline("SET key 1", "get key", "SELECT 2", "DEL key", "GET")
    world.settle()
    where = other.session.address
    seen = monitored(client)
    assert seen[:2] == [f'[0 {where}] "SET" "key" "1"', f'[0 {where}] "get" "key"']
    assert seen[3] == f'[2 {where}] "DEL" "key"'
    assert len(seen) == 4, "what is refused is not shown"


def test_a_monitor_s_line_begins_with_the_time(world: World, client: Client, other: Client) -> None:
    client("MONITOR")
    world.clock.ns += 1_234_567_000
    other("PING")
    [line] = client.replies()
    assert line.startswith(b"1700000001.234567 [0 127.0.0.1:")


def test_a_monitor_s_line_shows_any_bytes_in_ascii(client: Client, other: Client) -> None:
    client("MONITOR")
    other(b"ECHO", b'a"b\\c\r\n\t\a\b\x00\xff')
    [line] = monitored(client)
    assert line.endswith('"ECHO" "a\\"b\\\\c\\r\\n\\t\\a\\b\\x00\\xff"')


def test_monitors_see_no_passwords_and_no_admin_commands(client: Client, other: Client) -> None:
    client("MONITOR")
    other.pipeline("AUTH default secret", "HELLO 2 AUTH default secret", "CONFIG SET requirepass secret2")
    seen = monitored(client)
    assert [line.split(" ", 2)[2] for line in seen] == [
        '"AUTH" "(redacted)" "(redacted)"',
        '"HELLO" "2" "AUTH" "(redacted)" "(redacted)"',
    ]


def test_a_monitor_sees_a_transaction_when_it_is_executed(client: Client, other: Client) -> None:
    client("MONITOR")
    other.pipeline("MULTI", "SET key 1", "SELECT 2", "GET key")
    assert [line.split(" ", 2)[2] for line in monitored(client)] == ['"MULTI"']
    other("EXEC")
    where = other.session.address
    assert monitored(client) == [
        f'[0 {where}] "SET" "key" "1"',
        f'[2 {where}] "SELECT" "2"',
        f'[2 {where}] "GET" "key"',
        f'[2 {where}] "EXEC"',
    ]
    other.pipeline("MULTI", "SET key 1", "DISCARD")
    assert [line.split(" ", 2)[2] for line in monitored(client)] == ['"MULTI"', '"DISCARD"']


def test_a_client_of_the_unix_socket_is_shown_as_such(world: World, client: Client) -> None:
    client("MONITOR")
    world.connect("/run/redraft.sock:0", unix=True)("PING")
    assert monitored(client) == ['[0 unix:/run/redraft.sock] "PING"']


def test_a_monitor_stops_by_reset_or_by_leaving(world: World, client: Client, other: Client) -> None:
    client("MONITOR")
    third = world.connect()
    third("MONITOR")
    assert client("RESET") == b"RESET"
    other("PING")
    assert client.replies() == []
    third.hang_up()
    assert world.node.observer.monitors == {}
    assert world.node.plain, "commands take the short road again"
    assert other("PING") == b"PONG"
