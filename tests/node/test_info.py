"""INFO: every section can be asked for, every line parses, and the figures are those of the node."""

from __future__ import annotations

import pytest

from redraft.node.families.info import SECTIONS
from support.world import Client, World


def info(client: Client, *sections: str) -> dict[str, str]:
    """INFO's fields. Every line must be a title, empty, or `name:value`."""
    fields: dict[str, str] = {}
    reply = client("INFO", *sections)
    assert reply == b"" or reply.endswith(b"\r\n")
    for line in reply.decode().split("\r\n"):
        assert "\n" not in line
        if line and not line.startswith("# "):
            name, colon, value = line.partition(":")
            assert name, line
            assert colon, line
            assert name not in fields, f"{name} is told twice"
            fields[name] = value
    return fields


def titles(client: Client, *sections: str) -> list[str]:
    """The titles of the sections that INFO shows."""
    return [line[2:].lower() for line in client("INFO", *sections).decode().split("\r\n") if line.startswith("# ")]


def busy(world: World) -> Client:
    """A client of a node that has done a bit of everything."""
    client = world.connect()
    client.pipeline("SET a 1", "SET b 2 EX 100", "SELECT 5", "SET c 3", "SELECT 0", "NOSUCH", "INCR a", "GET")
    client(b"DEBUG", b"ERROR", b"ODD: line\r\nfeed:1 and more")
    client(b"DEBUG", b"ERROR", b"two\r\nlines:1 and more")
    client(b"DEBUG", b"ERROR", b"x" * 100)
    client.ask("SAVE")
    world.settle()
    world.run_jobs()
    client.replies()
    return client


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_can_be_asked_for_by_its_name(world: World, section: str) -> None:
    client = busy(world)
    assert titles(client, section) == [section]
    assert titles(client, section.upper()) == [section]
    info(client, section)


def test_all_and_everything_show_all_sections_and_default_leaves_commandstats_out(world: World) -> None:
    client = busy(world)
    everything = list(SECTIONS)
    assert titles(client, "all") == titles(client, "everything") == everything
    assert titles(client) == titles(client, "default") == [name for name in everything if name != "commandstats"]
    assert titles(client, "clients", "memory", "nosuch") == ["clients", "memory"]
    assert titles(client, "nosuch") == []
    info(client, "everything")


def test_it_is_text_for_people_in_resp3(client: Client) -> None:
    client("HELLO 3")
    client("INFO server")
    assert b"=" in client.raw
    assert b"txt:# Server\r\n" in client.raw


def test_keyspace_tells_the_keys_of_each_database(world: World) -> None:
    fields = info(busy(world), "keyspace")
    assert set(fields) == {"db0", "db5"}
    assert fields["db0"].startswith("keys=2,expires=1,")
    assert fields["db5"].startswith("keys=1,expires=0,")


def test_stats_and_commandstats_count_commands(world: World) -> None:
    client = busy(world)
    before = int(info(client, "stats")["total_commands_processed"])
    client.pipeline("GET a", "GET b", "GET c")
    fields = info(client, "all")
    assert int(fields["total_commands_processed"]) == before + 4
    assert fields["cmdstat_get"].startswith("calls=3,usec=")
    assert fields["cmdstat_get"].endswith("rejected_calls=1,failed_calls=0")
    assert fields["cmdstat_debug|error"].split(",")[-1] == "failed_calls=3"


def test_errors_are_counted_by_their_code(world: World) -> None:
    client = world.connect()
    client.pipeline("NOSUCH", "INCR a x", "SET a x", "INCR a", "EXEC")
    client(b"DEBUG", b"ERROR", b"MYCODE because")
    client(b"DEBUG", b"ERROR", b"nospace")
    fields = info(client, "errorstats")
    assert fields == {"errorstat_ERR": "count=5", "errorstat_MYCODE": "count=1"}
    assert info(client, "stats")["total_error_replies"] == "6"


def test_clients_counts_connections(world: World, client: Client, other: Client) -> None:
    other("WATCH key")
    third = world.connect()
    third("MONITOR")
    fields = info(client, "clients")
    assert fields["connected_clients"] == "3"
    assert (fields["watching_clients"], fields["monitors"], fields["blocked_clients"]) == ("1", "1", "0")
    third.hang_up()
    assert info(client, "clients")["connected_clients"] == "2"
    assert info(client, "stats")["total_connections_received"] == "3"


def test_server_tells_time_and_version(world: World, client: Client) -> None:
    world.advance(90_000_000)
    fields = info(client, "server")
    assert fields["redis_version"].startswith("7.")
    assert (fields["uptime_in_seconds"], fields["uptime_in_days"]) == ("90000", "1")
    assert len(fields["run_id"]) == 40
    assert int(fields["server_time_usec"]) == world.clock.now_us()


def test_persistence_follows_a_save(world: World, client: Client) -> None:
    client.pipeline("SET a 1", "SET b 1")
    fields = info(client, "persistence")
    assert (fields["rdb_changes_since_last_save"], fields["rdb_bgsave_in_progress"]) == ("2", "0")
    world.advance(5000)
    client("BGSAVE")
    assert info(client, "persistence")["rdb_bgsave_in_progress"] == "1"
    world.run_jobs()
    fields = info(client, "persistence")
    assert (fields["rdb_changes_since_last_save"], fields["rdb_bgsave_in_progress"]) == ("0", "0")
    assert int(fields["rdb_last_save_time"]) == world.clock.now_ms() // 1000
    assert info(client, "storage")["flushes"] == "1"


def test_raft_and_shards_tell_where_the_log_is(world: World, client: Client) -> None:
    client("SET a 1")
    raft = info(client, "raft")
    assert raft["raft_role"] == "leader"
    assert raft["raft_leader_id"] == raft["raft_node_id"] == "1"
    assert raft["raft_commit_index"] == raft["raft_applied_index"] == raft["raft_last_index"]
    shard = dict(word.split("=") for word in info(client, "shards")["shard1"].split(","))
    assert shard["applied_index"] == raft["raft_applied_index"]
    assert shard["keys"] == "1"


def test_expired_keys_are_counted(world: World, client: Client) -> None:
    client("SET a 1 PX 10")
    world.advance(20)
    world.settle()
    assert info(client, "stats")["expired_keys"] == "1"
