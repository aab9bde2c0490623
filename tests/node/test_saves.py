"""SAVE, BGSAVE, LASTSAVE, SHUTDOWN and the flushes behind them."""

from __future__ import annotations

from random import Random

import pytest

from redraft.node.flusher import Phase
from support.processes import ReplyError
from support.world import Client, World


def fill(client: Client, count: int, prefix: str = "key") -> None:
    """Set `count` keys to their numbers."""
    client("MSET " + " ".join(f"{prefix}{number} {number}" for number in range(count)))


def test_save_answers_when_the_image_is_durable(world: World, client: Client) -> None:
    fill(client, 100)
    assert client.pipeline("SAVE", "PING") == []
    assert len(world.jobs) == 1
    assert world.image.records == {}
    world.finish()
    assert client.replies() == [b"OK", b"PONG"]
    assert len(world.image.records) == 100


def test_others_are_served_while_one_waits_for_its_save(world: World, client: Client, other: Client) -> None:
    fill(client, 100)
    assert client.pipeline("SAVE") == []
    assert other("SET key1 new") == b"OK"
    assert other("GET key1") == b"new"
    world.finish()
    assert client.replies() == [b"OK"]


def test_save_waits_for_the_client_s_own_writes(world: World, client: Client) -> None:
    world.hold = True
    client.ask("SET key 1", "SAVE")
    world.settle()
    assert world.jobs == []
    world.release()
    world.finish()
    assert client.replies() == [b"OK", b"OK"]
    assert world.image.point is not None
    assert world.image.point.applied.index == world.node.shard.applied.index
    assert len(world.image.records) == 1


def test_two_saves_at_once_are_both_answered_and_each_holds_what_was_before_it(
    world: World, client: Client, other: Client
) -> None:
    client("SET a 1")
    assert client.pipeline("SAVE") == []
    other("SET b 2")
    assert other.pipeline("SAVE") == []
    world.run_jobs()
    world.settle()
    assert client.replies() == [b"OK"]
    assert other.replies() == [], "its write came after that flush began"
    world.finish()
    assert other.replies() == [b"OK"]
    assert len(world.image.records) == 2


def test_the_node_rests_while_a_flush_waits_for_the_disk(world: World, client: Client, other: Client) -> None:
    client("SET a 1")
    assert client.pipeline("SAVE") == []
    assert other.pipeline("SAVE") == []
    assert not world.node.wants_tick()


def test_bgsave_answers_at_once_and_refuses_a_second(world: World, client: Client) -> None:
    client("SET a 1")
    assert client("BGSAVE") == b"Background saving started"
    assert client("BGSAVE") == ReplyError("ERR Background save already in progress")
    assert client("BGSAVE SCHEDULE") == b"Background saving scheduled"
    assert client("BGSAVE ODD") == ReplyError("ERR syntax error")
    world.finish()
    assert world.node.flusher.flushes == 2
    assert client("BGREWRITEAOF") == b"Background append only file rewriting started"
    world.finish()
    assert world.node.flusher.flushes == 3


def test_lastsave_is_when_the_image_was_last_made_durable(world: World, client: Client) -> None:
    started = client("LASTSAVE")
    world.advance(60_000)
    assert client("LASTSAVE") == started
    client("BGSAVE")
    world.finish()
    assert client("LASTSAVE") == started + 60


def test_a_flush_is_of_one_instant_though_writes_go_on(world: World, client: Client) -> None:
    fill(client, 2000)
    client("SELECT 1")
    fill(client, 500, "other")
    client("SELECT 0")
    # Each look at the clock takes so long that a slice is a few looks: the flush spans many ticks.
    world.clock.look_ns = 500_000
    random = Random(20261124)
    world.node.flusher.request()
    world.tick()
    instant = world.node.shard.applied.index
    changed = 0
    while world.node.flusher.phase is not Phase.FINISHING:
        client.ask(f"SET key{random.randrange(2500)} new", f"DEL key{random.randrange(2500)}", "INCR count")
        changed += 1
        world.tick()
    assert changed > 5, "the flush was not cut into slices"
    world.clock.look_ns = 0
    [job] = world.jobs
    world.jobs.clear()
    job.run()
    assert world.image.point is not None
    assert world.image.point.applied.index == instant
    keyspace = world.image.load()[0]
    assert {key: keyspace.databases[0].get(key, 0) for key in keyspace.databases[0].keys_from(b"")} == {
        b"key%d" % number: b"%d" % number for number in range(2000)
    }
    assert len(keyspace.databases[1]) == 500


def test_a_start_after_a_flush_replays_only_what_came_after_it(world: World, client: Client) -> None:
    fill(client, 100)
    client("BGSAVE")
    world.finish()
    client("SET key1 new")
    client("DEL key2")
    digest = client("DEBUG DIGEST")
    world.restart()
    again = world.connect()
    assert again("DEBUG DIGEST") == digest
    assert again("MGET key0 key1 key2") == [b"0", b"new", None]


def test_the_log_is_let_go_behind_an_image_but_for_a_margin() -> None:
    world = World(log_retain_entries=10)
    client = world.connect()
    for number in range(50):
        client(f"SET key {number}")
    client("BGSAVE")
    assert world.log.first_index() == 1, "not before the image is durable"
    world.finish()
    assert world.image.point is not None
    assert world.log.first_index() == world.image.point.applied.index - 10 + 1
    world.restart()
    assert world.connect()("GET key") == b"49"


@pytest.mark.parametrize("settings", [{"flush_dirty_keys": 50}, {"flush_log_bytes": 2000}])
def test_a_flush_begins_by_itself_when_enough_has_changed(settings: dict[str, int]) -> None:
    world = World(**settings)
    client = world.connect()
    for number in range(200):
        client(f"SET key{number} value")
        world.finish()
    assert 2 <= world.node.flusher.flushes <= 10
    assert world.node.shard.logged_bytes_since_flush < 4000


def test_a_node_without_changes_does_not_flush_by_itself(world: World, client: Client) -> None:
    for _ in range(100):
        world.advance(1000)
        client("GET key")
    assert world.node.flusher.flushes == 0
    assert world.jobs == []


# SHUTDOWN.


@pytest.mark.parametrize(
    ("words", "flush", "force"),
    [("", True, False), (" SAVE", True, False), (" NOSAVE", False, False), (" nosave now force", False, True)],
)
def test_shutdown_is_asked_of_the_server(world: World, client: Client, words: str, flush: bool, force: bool) -> None:
    assert client.pipeline("SHUTDOWN" + words) == []
    asked = world.node.shutdown_requested
    assert asked is not None
    assert (asked.flush, asked.force) == (flush, force)


@pytest.mark.parametrize("words", ["SAVE NOSAVE", "ODD", "ABORT NOW", "NOW NOW NOW NOW NOW"])
def test_a_shutdown_that_is_not_understood_does_nothing(world: World, client: Client, words: str) -> None:
    assert client("SHUTDOWN " + words) == ReplyError("ERR syntax error")
    assert client("SHUTDOWN ABORT") == ReplyError("ERR No shutdown in progress.")
    assert world.node.shutdown_requested is None


def test_shutdown_waits_for_the_client_s_own_writes(world: World, client: Client) -> None:
    world.hold = True
    client.ask("SET key 1", "SHUTDOWN NOSAVE")
    world.settle()
    assert world.node.shutdown_requested is None
    world.release()
    world.settle()
    assert world.node.shutdown_requested is not None
    assert client.replies() == [b"OK"]


@pytest.mark.parametrize("begun", [False, True], ids=["idle", "while another flush is written"])
def test_the_last_flush_holds_everything(world: World, client: Client, begun: bool) -> None:
    fill(client, 1000)
    if begun:
        world.clock.look_ns = 500_000
        world.node.flusher.request()
        world.tick()
        assert world.node.flusher.phase is Phase.WRITING
        client.ask("SET key1 new")
        world.tick()
        world.clock.look_ns = 0
    world.node.flusher.run_to_end()
    assert world.node.shard.flushed == world.node.shard.applied.index
    assert len(world.image.records) == 1000
    keyspace = world.image.load()[0]
    assert keyspace.databases[0].get(b"key1", 0) == (b"new" if begun else b"1")
