"""MULTI, EXEC, DISCARD and WATCH."""

from __future__ import annotations

from typing import Any

import pytest

from support.processes import ReplyError
from support.world import Client, World

ABORTED = ReplyError("EXECABORT Transaction discarded because of previous errors.")
OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'."


def execute(client: Client, *commands: str) -> Any:
    """Queue commands and execute them; EXEC's reply."""
    assert client("MULTI") == b"OK"
    for line in commands:
        assert client(line) == b"QUEUED", line
    return client("EXEC")


def test_queued_commands_are_executed_together_and_answered_together(client: Client) -> None:
    assert execute(client, "SET key 1", "INCR key", "GET key", "ECHO word") == [b"OK", 2, b"2", b"word"]


def test_an_exec_that_may_not_run_says_so_as_in_a_transaction(client: Client) -> None:
    reason = "wrong number of arguments for 'exec' command"
    assert client("EXEC now") == ReplyError(f"EXECABORT Transaction discarded because of: {reason}")


def test_nothing_queued_is_done_before_exec(client: Client, other: Client) -> None:
    assert client.pipeline("MULTI", "SET key 1") == [b"OK", b"QUEUED"]
    assert other("GET key") is None
    assert client("EXEC") == [b"OK"]
    assert other("GET key") == b"1"


def test_an_empty_transaction_answers_an_empty_array(client: Client) -> None:
    assert execute(client) == []


def test_a_transaction_is_one_log_entry_that_others_see_whole(world: World, client: Client, other: Client) -> None:
    client("SET a 0")
    before = world.node.shard.raft.last_index
    world.hold = True
    client.ask("MULTI", "SET a 1", "SET b 1", "EXEC")
    world.settle()
    assert other("MGET a b") == [b"0", None]
    assert client.replies() == [b"OK", b"QUEUED", b"QUEUED"]
    world.release()
    assert client.replies() == [[b"OK", b"OK"]]
    assert other("MGET a b") == [b"1", b"1"]
    assert world.node.shard.raft.last_index == before + 1


def test_a_transaction_survives_a_restart_whole(world: World, client: Client) -> None:
    execute(client, "SET a 1", "SELECT 2", "SET b 2", "SELECT 0", "APPEND a x")
    world.restart()
    again = world.connect()
    assert again("GET a") == b"1x"
    assert again("SELECT 2") == b"OK"
    assert again("GET b") == b"2"


def test_a_command_that_fails_does_not_stop_those_behind_it(client: Client) -> None:
    replies = execute(client, "SET key word", "INCR key", "GET key")
    assert replies == [b"OK", ReplyError("ERR value is not an integer or out of range"), b"word"]


@pytest.mark.parametrize("bad", ["NOSUCH", "GET", "CLIENT NOSUCH", "SAVE", "DEBUG SLEEP 0", "DEBUG RELOAD"])
def test_a_command_that_cannot_be_queued_aborts_the_transaction(client: Client, bad: str) -> None:
    client("MULTI")
    client("SET key 1")
    assert isinstance(client(bad), ReplyError)
    assert client("EXEC") == ABORTED
    assert client("GET key") is None
    assert execute(client, "PING") == [b"PONG"], "the next transaction knows nothing of it"


def test_a_refused_exec_ends_the_transaction(client: Client) -> None:
    client("MULTI")
    reason = "wrong number of arguments for 'exec' command"
    assert client("EXEC now") == ReplyError(f"EXECABORT Transaction discarded because of: {reason}")
    assert client("EXEC") == ReplyError("ERR EXEC without MULTI")


def test_misplaced_transaction_commands_are_refused(client: Client) -> None:
    assert client("EXEC") == ReplyError("ERR EXEC without MULTI")
    assert client("DISCARD") == ReplyError("ERR DISCARD without MULTI")
    client("MULTI")
    assert client("MULTI") == ReplyError("ERR MULTI calls can not be nested")
    assert client("WATCH key") == ReplyError("ERR WATCH inside MULTI is not allowed")
    assert client("EXEC") == [], "neither error spoils the transaction"


def test_discard_forgets_the_queue_and_the_watches(client: Client, other: Client) -> None:
    client("WATCH key")
    client("MULTI")
    client("SET key mine")
    other("SET key theirs")
    assert client("DISCARD") == b"OK"
    assert client("GET key") == b"theirs"
    assert execute(client, "PING") == [b"PONG"]


def test_session_commands_in_a_transaction_take_effect_in_their_turn(client: Client) -> None:
    replies = execute(client, "SELECT 1", "SET key 1", "CLIENT SETNAME me", "CLIENT GETNAME", "SELECT 99", "GET key")
    assert replies == [b"OK", b"OK", b"OK", b"me", ReplyError("ERR DB index is out of range"), b"1"]
    assert client("GET key") == b"1", "database 1 stays selected"


def test_reset_and_quit_leave_a_transaction(world: World, client: Client, other: Client) -> None:
    client("MULTI")
    client("SET key 1")
    assert client("RESET") == b"RESET"
    assert client("EXEC") == ReplyError("ERR EXEC without MULTI")
    other("MULTI")
    other("SET key 1")
    assert other("QUIT") == b"OK"
    assert other.closed
    assert world.connect()("GET key") is None


def test_a_read_only_transaction_writes_nothing_to_the_log(world: World, client: Client) -> None:
    client("SET key 1")
    before = world.node.shard.raft.last_index
    assert execute(client, "GET key", "PING") == [b"1", b"PONG"]
    assert world.node.shard.raft.last_index == before


def test_out_of_memory_refuses_what_would_grow_and_queues_nothing(world: World, client: Client) -> None:
    client("MULTI")
    client("SET key 1")
    world.node.out_of_memory = True
    assert client("GET key") == ReplyError(OUT_OF_MEMORY)
    assert client("DISCARD") == b"OK"
    world.node.out_of_memory = False
    client("MULTI")
    client("SET key 1")
    world.node.out_of_memory = True
    assert client("EXEC") == ReplyError(f"EXECABORT Transaction discarded because of: {OUT_OF_MEMORY}")
    world.node.out_of_memory = False
    client("MULTI")
    client("DEL key")
    world.node.out_of_memory = True
    assert client("EXEC") == [0], "what frees memory may always run"


# WATCH.

CHANGES = [
    "SET key new", "DEL key", "EXPIRE key 100", "APPEND key x", "RENAME key elsewhere", "RENAME elsewhere key",
    "FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "SWAPDB 1 0", "MSET other 1 key 2", "GETDEL key", "MOVE key 1",
    "PEXPIREAT key 1",
]  # fmt: skip
NO_CHANGES = ["GET key", "SET other 1", "SETNX key new", "SWAPDB 2 3", "SET key new XX GET KEEPTTL EX", "NOSUCH key"]


@pytest.mark.parametrize("change", CHANGES)
def test_exec_fails_when_a_watched_key_was_changed(client: Client, other: Client, change: str) -> None:
    other("MSET key old elsewhere 1")
    client("WATCH key unrelated")
    assert not isinstance(other(change), ReplyError)
    assert execute(client, "SET done 1") is None
    assert client("GET done") is None
    assert execute(client, "PING") == [b"PONG"], "the watch ended with EXEC"


@pytest.mark.parametrize("change", NO_CHANGES)
def test_exec_goes_on_when_nothing_changed_a_watched_key(client: Client, other: Client, change: str) -> None:
    other("SET key old")
    client("WATCH key")
    other(change)
    assert execute(client, "GET key") == [b"old"]


@pytest.mark.parametrize("change", ["FLUSHDB", "FLUSHALL", "SWAPDB 0 1", "DEL key"])
def test_a_watched_key_that_is_absent_before_and_after_has_not_changed(
    client: Client, other: Client, change: str
) -> None:
    other("SET elsewhere 1")
    client("WATCH key")
    other(change)
    assert execute(client, "PING") == [b"PONG"]


def test_a_key_that_comes_with_another_database_has_changed(client: Client, other: Client) -> None:
    other("SELECT 1")
    other("SET key 1")
    client("WATCH key")
    other("SWAPDB 0 1")
    assert execute(client, "PING") is None


def test_the_same_key_of_another_database_is_another_key(client: Client, other: Client) -> None:
    client("WATCH key")
    other("SELECT 1")
    other("SET key 1")
    assert execute(client, "PING") == [b"PONG"]


def test_a_client_s_own_write_spoils_its_watch(client: Client) -> None:
    client("WATCH key")
    client("SET key 1")
    assert execute(client, "PING") is None


def test_a_write_in_a_transaction_does_not_spoil_that_transaction(client: Client) -> None:
    client("WATCH key")
    assert execute(client, "SET key 1", "SET key 2") == [b"OK", b"OK"]


def test_unwatch_forgets_a_change(client: Client, other: Client) -> None:
    client("WATCH key")
    other("SET key 1")
    assert client("UNWATCH") == b"OK"
    assert execute(client, "PING") == [b"PONG"]


def test_another_client_s_transaction_spoils_a_watch(client: Client, other: Client) -> None:
    client("WATCH key")
    assert execute(other, "SET elsewhere 1", "SET key 1") == [b"OK", b"OK"]
    assert execute(client, "PING") is None


def test_a_write_under_way_when_exec_comes_spoils_it(world: World, client: Client, other: Client) -> None:
    client("WATCH key")
    world.hold = True
    other.ask("SET key 1")
    world.settle()
    client.ask("MULTI", "GET key", "EXEC")
    world.settle()
    world.release()
    world.settle()
    assert client.replies() == [b"OK", b"QUEUED", None]


def test_a_write_under_way_when_the_watch_begins_spoils_it(world: World, client: Client, other: Client) -> None:
    """The client may have read the key before the write was applied."""
    world.hold = True
    other.ask("SET key 1")
    world.settle()
    client.ask("WATCH key")
    world.settle()
    world.release()
    assert client.replies() == [b"OK"]
    assert execute(client, "GET key") is None


def test_a_write_that_was_applied_before_the_watch_does_not_spoil_it(client: Client, other: Client) -> None:
    other("SET key 1")
    client("WATCH key")
    assert execute(client, "GET key") == [b"1"]


def test_a_client_s_own_pipelined_write_that_changes_nothing_does_not_spoil_its_watch(
    world: World, client: Client
) -> None:
    replies = client.pipeline("WATCH key", "EXPIRE key 10", "MULTI", "PING", "EXEC")
    assert replies == [b"OK", 0, b"OK", b"QUEUED", [b"PONG"]]


def test_a_watched_key_that_expires_has_changed(world: World, client: Client, other: Client) -> None:
    other("SET key 1 PX 50")
    client("WATCH key")
    world.advance(60)
    assert execute(client, "PING") is None
    other("SET key 1 PX 50")
    other("DEBUG SET-ACTIVE-EXPIRE 0")
    client("WATCH key")
    world.advance(60)
    assert execute(client, "PING") is None, "nobody has removed it yet, but it is gone"


def test_a_key_that_was_over_when_the_watch_began_has_not_changed_when_it_is_removed(
    world: World, client: Client, other: Client
) -> None:
    other("DEBUG SET-ACTIVE-EXPIRE 0")
    other("SET key 1 PX 50")
    world.advance(60)
    client("WATCH key")
    other("DEBUG SET-ACTIVE-EXPIRE 1")
    world.advance(60)
    assert world.node.shard.keyspace.statistics()["keys"] == 0
    assert execute(client, "PING") == [b"PONG"]


@pytest.mark.parametrize("remover", ["GET key", "DEL key"])
def test_a_key_that_was_over_when_the_watch_began_and_was_set_anew_has_changed(
    world: World, client: Client, other: Client, remover: str
) -> None:
    other("DEBUG SET-ACTIVE-EXPIRE 0")
    other("SET key 1 PX 50")
    world.advance(60)
    client("WATCH key")
    other(remover)
    other("SET key 2")
    assert execute(client, "PING") is None


def test_a_key_that_was_over_set_anew_and_deleted_again_has_changed(
    world: World, client: Client, other: Client
) -> None:
    other("DEBUG SET-ACTIVE-EXPIRE 0")
    other("SET key 1 PX 50")
    world.advance(60)
    client("WATCH key")
    other("SET key 2")
    other("DEL key")
    assert execute(client, "PING") is None


def test_watches_survive_a_reload(world: World, client: Client, other: Client) -> None:
    other("SET key 1")
    client("WATCH key")
    other.ask("DEBUG RELOAD")
    world.settle()
    world.run_jobs()
    world.settle()
    assert other.replies() == [b"OK"]
    other("SET key 2")
    assert execute(client, "PING") is None


def test_a_watcher_that_leaves_is_forgotten(world: World, client: Client, other: Client) -> None:
    client("WATCH a b")
    other("WATCH a")
    client.hang_up()
    other("UNWATCH")
    assert world.node.watches.watchers == {}
    assert not world.node.shard.keyspace.is_watched, "a node without watchers pays nothing"
