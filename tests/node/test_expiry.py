"""Keys whose time is over go away although nobody asks for them, and by the log only."""

from __future__ import annotations

import pytest

from redraft.node.reaper import FEW_KEYS, INTERVAL_MS, MOST_KEYS
from redraft.shard import entry
from support.world import Client, World


def logged(world: World) -> list[tuple[int, list[bytes]]]:
    """Every write in the log, with its database."""
    entries = world.log.entries(world.log.first_index(), world.log.last_index() + 1, 1 << 30)
    return [tuple(command) for each in entries if each.data for command in entry.commands(each.data)]


def test_a_due_key_is_removed_by_an_entry_of_the_log(world: World, client: Client) -> None:
    client.pipeline("SET a 1 PX 50", "SELECT 3", "SET b 1 PX 70", "SET c 1", "SELECT 0")
    world.advance(49)
    assert len(logged(world)) == 3
    assert client("DBSIZE") == 1
    world.advance(1)
    assert client("DBSIZE") == 0
    assert logged(world)[3:] == [(0, [b"REDRAFT", b"REAP", b"%d" % FEW_KEYS])]
    world.advance(20)
    assert logged(world)[4:] == [(3, [b"REDRAFT", b"REAP", b"%d" % FEW_KEYS])]
    assert client.pipeline("SELECT 3", "DBSIZE") == [b"OK", 1]


def test_the_entry_s_time_is_the_leader_s_clock(world: World, client: Client) -> None:
    client("SET a 1 PX 50")
    world.advance(50)
    world.settle()
    [last] = world.log.entries(world.log.last_index(), world.log.last_index() + 1, 0)
    assert entry.header(last.data).time_ms == world.clock.now_ms()


READS = ("GET a", "EXISTS a", "TTL a", "KEYS *", "SCAN 0", "RANDOMKEY", "MGET b a")
GONE = [None, 0, -2, [], [b"0", []], None, [None, None]]


@pytest.mark.parametrize("number", range(len(READS)))
def test_a_read_of_a_due_key_waits_for_the_log_to_say_that_it_is_gone(
    world: World, client: Client, number: int
) -> None:
    client("SET a 1 PX 50")
    world.hold = True
    world.advance(50)
    client.ask(READS[number])
    world.settle()
    assert client.replies() == []
    world.release()
    assert client.replies() == [GONE[number]]


def test_a_transaction_of_reads_waits_for_the_log_too(world: World, client: Client) -> None:
    client.pipeline("SELECT 3", "SET a 1 PX 50", "SELECT 0")
    world.hold = True
    world.advance(50)
    client.ask("MULTI", "SELECT 3", "GET a", "EXEC")
    world.settle()
    assert client.replies() == [b"OK", b"QUEUED", b"QUEUED"]
    world.release()
    assert client.replies() == [[b"OK", None]]


def test_other_reads_do_not_wait_for_a_due_key(world: World, client: Client) -> None:
    client.pipeline("SET a 1 PX 50", "SET b 2", "SET c 3 PX 100")
    world.hold = True
    world.advance(50)
    assert client.pipeline("GET b", "GET c", "MGET b c", "DBSIZE") == [b"2", b"3", [b"2", b"3"], 3]


def test_a_run_of_reads_is_in_order_where_one_is_due(world: World, client: Client) -> None:
    client.pipeline("SET a 1 PX 50", "SET b 2")
    client("DEBUG SET-ACTIVE-EXPIRE 0")
    world.advance(50)
    assert client.pipeline("GET b", "GET a", "GET b", "SET a 3", "GET a") == [b"2", None, b"2", b"OK", b"3"]


def test_a_write_removes_a_due_key_that_it_meets(world: World, client: Client) -> None:
    client("DEBUG SET-ACTIVE-EXPIRE 0")
    client("SET a 41 PX 50")
    world.advance(60)
    assert client("INCR a") == 1
    assert client("TTL a") == -1


def test_many_due_keys_are_removed_in_slices_one_after_the_other(world: World, client: Client) -> None:
    count = 2 * MOST_KEYS + 100
    for start in range(0, count, 100):
        client.pipeline(*(f"SET key{number} 1 PX 10" for number in range(start, start + 100)))
    world.clock.ns += 10_000_000
    sizes = []
    for _ in range(3):
        world.tick()
        sizes.append(len(world.node.shard.keyspace.databases[0]))
    assert sizes == [count - MOST_KEYS, count - 2 * MOST_KEYS, 100], "what one slice holds has time"
    assert not world.wants_tick()
    world.advance(INTERVAL_MS)
    assert len(world.node.shard.keyspace.databases[0]) == 0


def test_keys_are_removed_at_the_pace_at_which_they_fall_due(world: World, client: Client) -> None:
    # 60,000 keys a second, each for 100 ms: 6,000 are alive at a time.
    sizes = []
    for millisecond in range(400):
        client.send(b"".join(b"SET %d:%d 1 PX 100\r\n" % (millisecond, number) for number in range(60)))
        world.advance(1)
        world.settle()
        sizes.append(len(world.node.shard.keyspace.databases[0]))
    assert max(sizes) < 6000 + MOST_KEYS


def test_a_slice_follows_when_the_last_one_is_applied(world: World, client: Client) -> None:
    client.pipeline(*(f"SET key{number} 1 PX 10" for number in range(3 * FEW_KEYS)))
    world.hold = True
    before = len(logged(world))
    for _ in range(5):
        world.advance(INTERVAL_MS)
    world.release()
    assert len(logged(world)) == before + 1


def test_nothing_is_proposed_while_nothing_is_due(world: World, client: Client) -> None:
    client("SET a 1 PX 1000")
    before = world.node.shard.raft.last_index
    for _ in range(99):
        world.advance(10)
    assert world.node.shard.raft.last_index == before


def test_a_restart_removes_what_became_due_meanwhile(world: World, client: Client) -> None:
    client("SET a 1 PX 50")
    client("SET b 1 PX 100000")
    world.clock.ns += 1_000_000_000
    world.restart()
    world.tick()
    again = world.connect()
    assert again("GET a") is None
    assert again("DBSIZE") == 1
    assert again("PTTL b") == 99_000


def test_a_replay_hides_and_removes_exactly_what_the_first_run_did(world: World, client: Client) -> None:
    """The same entries give the same keyspace although the clock has gone on."""
    client.pipeline("SET a 1 PX 50", "SET b 2 PX 50", "SET c 3")
    world.advance(40)
    client("APPEND a x")
    world.advance(20)
    client("APPEND b x")
    digest = client("DEBUG DIGEST")
    world.clock.ns += 10**12
    world.restart()
    assert world.connect()("DEBUG DIGEST") == digest


def test_a_wall_clock_that_goes_back_brings_no_key_back_and_stops_no_time(world: World, client: Client) -> None:
    client("SET a 1 PX 50")
    world.advance(60)
    world.settle()
    client("SET b 1 PX 50")
    world.clock.wall_ms -= 3_600_000
    assert client("GET a") is None
    assert client("PTTL b") == 50
    world.advance(30)
    assert client("PTTL b") == 20
    world.advance(20)
    assert client("GET b") is None


def test_maxmemory_refuses_what_would_grow_and_nothing_else(world: World, client: Client) -> None:
    oom = "OOM command not allowed when used memory > 'maxmemory'."
    client.pipeline("SET a 1", "SET b 2")
    world.node.out_of_memory = True
    for line in ("SET a 1", "APPEND a x", "INCR a", "MSET a 1", "COPY a c", "SETRANGE a 0 x"):
        assert client(line).args == (oom,), line
    assert client.pipeline("SET a 1", "SET a 2", "GET a")[0].args == (oom,), "a run of them too"
    replies = client.pipeline("GET a", "DEL a", "EXPIRE b 100", "RENAME b c", "CONFIG GET maxmemory", "INFO memory")
    assert replies[:4] == [b"1", 1, 1, b"OK"]
    world.node.out_of_memory = False
    assert client("SET a 1") == b"OK"
