"""What a client sends stops no node, whatever the nodes' settings are, and by whatever road it comes."""

from __future__ import annotations

import logging

import pytest

from redraft.ids import NodeId
from redraft.node.peers import FrameError, Request, decode_frame
from redraft.settings import Settings
from redraft.shard.entry import pack
from redraft.shard.executor import INTERNAL_ERROR
from support.fleet import Fleet, say
from support.member import state
from support.world import World

OUT_OF_RANGE = "ERR DB index is out of range"
WORDS = [
    "REAP 1",
    "DATABASES 1000000",
    "THRESHOLDS 1 1 1 1 1",
    "WAITER 7",
    "UNBLOCK ALL",
    "UNBLOCK 7",
    "reap",
    "Waiter",
]


def more_databases(fleet: Fleet, node: int) -> None:
    """A node is started again with `databases 64` in its configuration file."""
    fleet.kill(node)
    fleet[node].settings = Settings(databases=64)
    fleet.start(node)
    fleet.pass_time(3000)


def asked(fleet: Fleet, *lines: str, transaction: bool = False, database: int = 20, token: int = 0) -> bytes:
    """What the leader, node 1, answers to a request of node 2."""
    commands = b"".join(pack(tuple(line.encode().split())) for line in lines)
    node = fleet[1].node
    term = node.shard.raft.term if token else 0
    node.guests.requested(NodeId(2), Request(9, 1, database, 2, commands, transaction, 0, token, term))
    answers = []
    for _ in range(20):
        fleet.tick_all()
        for sender, to, data in fleet.frames:
            if (sender, to) == (1, 2):
                answers += [each.data for each in decode_frame(data).answers if each.session == 9]
    return b"".join(answers)


def everywhere_alike(fleet: Fleet) -> None:
    fleet.pass_time(200)
    assert len({repr(state(world.node.shard.keyspace)) for world in fleet.worlds.values()}) == 1


def test_databases_are_selected_by_what_the_log_says_of_them() -> None:
    fleet = Fleet()
    fleet.elect()
    more_databases(fleet, 2)
    client = fleet[2].connect()
    replies = say(fleet, client, "SELECT 20", "SET k v", "SELECT 15", "SET k v", "GET k", "CONFIG GET databases")
    assert list(map(str, replies[:1])) == [OUT_OF_RANGE]
    assert replies[1:] == [b"OK", b"OK", b"OK", b"v", [b"databases", b"64"]]
    say(fleet, fleet[1].connect(), "REDRAFT TRANSFER 2")
    fleet.pass_time(100)
    assert fleet.leader() == 2
    assert say(fleet, client, "SELECT 63", "SET k v", "GET k") == [b"OK", b"OK", b"v"]
    assert say(fleet, fleet[1].connect(), "SELECT 63", "GET k") == [b"OK", b"v"]
    everywhere_alike(fleet)


@pytest.mark.parametrize("transaction", [False, True])
def test_a_database_that_only_another_node_knows_is_answered_with_an_error(*, transaction: bool) -> None:
    """As an older version passes on what was selected by its own settings."""
    fleet = Fleet()
    fleet.elect()
    lines = ["SET k v", "GET k", "MSET a 1 b 2", "LPOP k", "DEL k", "TTL k", "FLUSHALL", "KEYS *"]
    answer = asked(fleet, *lines, transaction=transaction)
    assert answer.count(OUT_OF_RANGE.encode()) >= len(lines) - 1
    assert OUT_OF_RANGE.encode() in asked(fleet, "WATCH k")
    assert OUT_OF_RANGE.encode() in asked(fleet, "BLPOP k 0", token=11)
    assert OUT_OF_RANGE.encode() in asked(fleet, "XREAD BLOCK 0 STREAMS s $", token=13)
    assert asked(fleet, "SET k v", database=15) == b"+OK\r\n"
    everywhere_alike(fleet)
    for node in (1, 2, 3):
        fleet.kill(node)
    for node in (1, 2, 3):
        fleet.start(node)
    fleet.pass_time(3000)
    everywhere_alike(fleet)


@pytest.mark.parametrize("node", [1, 2])
@pytest.mark.parametrize("word", WORDS)
def test_the_words_of_the_log_are_not_a_client_s_to_send(node: int, word: str) -> None:
    fleet = Fleet()
    fleet.elect()
    client = fleet[node].connect()
    name = word.split()[0]
    unknown = f"ERR unknown subcommand '{name}'. Try REDRAFT HELP."
    replies = say(fleet, client, f"REDRAFT {word}", "MULTI", "INCR n", f"redraft {word}", "EXEC", "INCR n")
    assert str(replies[0]) == str(replies[3]) == unknown
    assert str(replies[4]).startswith("EXECABORT")
    assert replies[5] == 1
    assert name.upper().encode() not in b"".join(map(bytes, say(fleet, client, "REDRAFT HELP")[0]))
    assert unknown.encode() in asked(fleet, f"REDRAFT {word}", database=0)
    assert asked(fleet, "INCR n", f"REDRAFT {word}", database=0, transaction=True).startswith(b"-EXECABORT")
    everywhere_alike(fleet)


def test_a_request_that_no_session_can_have_made_cuts_the_link() -> None:
    fleet = Fleet()
    fleet.elect()
    for request in (
        Request(8, 1, -1, 2, pack((b"SET", b"k", b"v"))),
        Request(8, 1, 0, 7, pack((b"PING",))),
        Request(8, 1, 0, 2, b"PING\r\n*"),
    ):
        with pytest.raises(FrameError):
            fleet[1].node.guests.requested(NodeId(2), request)
    assert asked(fleet, "NOSUCH", "SET", "MULTI", database=0, transaction=True).startswith(b"-EXECABORT")
    everywhere_alike(fleet)


def test_a_session_command_that_fails_unexpectedly_is_logged_and_answered(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    echo = world.node.table.find(b"echo")
    assert echo is not None
    echo.handler = lambda context, argv: argv[99]
    client = world.connect()
    assert str(client("ECHO x")) == INTERNAL_ERROR
    assert client("PING") == b"PONG"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]

    def broken(context: object, argv: list[bytes]) -> None:
        raise MemoryError

    echo.handler = broken
    client.ask("ECHO x")
    with pytest.raises(MemoryError):
        world.tick()
