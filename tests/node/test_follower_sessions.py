"""A client at a follower is served as one at the leader: the same replies, and its session ends up the same.

Each command of the table is sent alone, in a pipeline and in a transaction, by a client of the leader of one fleet and
by one of a follower of another. What tells of the node itself, or draws by chance, is declared below: of that only must
be the same whether it is an error, and what becomes of the session.
"""

from __future__ import annotations

import zlib
from random import Random
from typing import Any

import hiredis
import pytest

from redraft.commands.all import TABLE
from redraft.commands.table import Command, Kind
from redraft.ids import NodeId
from redraft.node.peers import Answer, FrameError, Request
from redraft.node.session import Session
from redraft.shard.entry import pack
from support.fleet import Fleet, say
from support.processes import ReplyError
from support.table_calls import EVERY, FIXTURES, drawn
from support.world import Client, World

OF_THE_NODE = {
    "asking", "client|id", "client|info", "client|list", "client|kill", "cluster", "command", "config|get",
    "debug|digest", "debug|jmap", "debug|object", "info", "lastsave", "latency|doctor", "memory|doctor",
    "memory|stats", "memory|usage", "memory|malloc-stats", "redraft|members", "redraft|status", "redraft|table",
    "role", "slowlog|get", "slowlog|len", "time", "lolwut", "latency|latest", "latency|history",
    "latency|histogram", "bgsave", "bgrewriteaof", "cluster|info", "cluster|myid", "cluster|nodes",
    "cluster|shards", "cluster|slots", "cluster|links", "hello", "object|freq", "object|idletime", "debug|sleep",
}  # fmt: skip
"""Commands whose replies tell of the node that is asked."""
ONLY_OF_THE_NODE = {
    "shutdown", "redraft|join", "redraft|leave", "redraft|peer", "redraft|proof", "redraft|promote", "redraft|remove",
    "redraft|replace", "redraft|transfer", "redraft|digest", "cluster|failover", "client|pause", "save", "debug|reload",
    "debug|loadaof", "wait", "waitaof", "monitor", "quit",
}  # fmt: skip
"""Commands that are tried elsewhere: they stop, pause or change nodes, or wait for them."""
BY_CHANCE = {
    "randomkey", "srandmember", "hrandfield", "zrandmember", "spop", "scan", "hscan", "sscan", "zscan", "xautoclaim"
}  # fmt: skip
SESSION_CALLS = {
    "acl|cat": ["ACL CAT"], "acl|getuser": ["ACL GETUSER default"], "auth": ["AUTH x"], "echo": ["ECHO x"],
    "client|caching": ["CLIENT CACHING yes"], "client|kill": ["CLIENT KILL TYPE pubsub"],
    "client|no-evict": ["CLIENT NO-EVICT on"], "client|no-touch": ["CLIENT NO-TOUCH on"],
    "client|reply": ["CLIENT REPLY SKIP", "CLIENT REPLY OFF", "CLIENT REPLY ON"],
    "client|setinfo": ["CLIENT SETINFO lib-name x"], "client|setname": ["CLIENT SETNAME me"],
    "client|tracking": ["CLIENT TRACKING off"], "client|unblock": ["CLIENT UNBLOCK 9999"],
    "cluster|keyslot": ["CLUSTER KEYSLOT k"], "command|docs": ["COMMAND DOCS get"],
    "command|getkeys": ["COMMAND GETKEYS get k"], "command|getkeysandflags": ["COMMAND GETKEYSANDFLAGS get k"],
    "command|info": ["COMMAND INFO get"], "config|get": ["CONFIG GET port"],
    "config|set": ["CONFIG SET slowlog-max-len 7"], "debug|error": ["DEBUG ERROR x"],
    "debug|protocol": ["DEBUG PROTOCOL double"], "debug|sleep": ["DEBUG SLEEP 0"],
    "debug|stringmatch-len": ["DEBUG STRINGMATCH-LEN 10 a*"],
    "hello": ["HELLO 3", "HELLO 3 SETNAME you", "HELLO 2", "HELLO 4", "HELLO 3 AUTH x y", "HELLO"],
    "latency|history": ["LATENCY HISTORY tick"], "ping": ["PING", "PING x", "PING x y"],
    "script|exists": ["SCRIPT EXISTS x"], "select": ["SELECT 3", "SELECT 99", "SELECT x"], "watch": ["WATCH text"],
    "readonly": ["READONLY"], "readwrite": ["READWRITE"], "reset": ["RESET"], "multi": ["MULTI"], "exec": ["EXEC"],
}  # fmt: skip
"""Calls of session commands whose arguments must mean something."""


def calls(command: Command) -> list[list[bytes]]:
    """Calls of a command."""
    if command.kind is not Kind.SESSION:
        random = Random(zlib.crc32(command.name.encode()))
        return [[word if len(word.split()) == 1 else b"x" for word in drawn(random, command)]]
    words = command.name.upper().replace("|", " ")
    lines = SESSION_CALLS.get(command.name) or [words + " x" * (abs(command.arity) - len(words.split()))]
    return [line.encode().split() for line in lines]


def shown(reply: Any) -> Any:
    return str(reply) if isinstance(reply, ReplyError) else reply


def seen(session: Session) -> dict[str, Any]:
    """What CLIENT INFO and the next commands see of a session."""
    names = (
        "name", "library_name", "library_version", "user", "authenticated", "database", "protocol", "flags", "monitor",
        "reply_mode", "multi_failed", "reads_stale", "plain", "close_after_reply", "killed", "closed",
    )  # fmt: skip
    found = {name: getattr(session, name) for name in names}
    found["multi"] = None if session.multi is None else [argv for _, argv in session.multi]
    found["watched"] = bool(session.watched) or session.watches_remotely
    found["last"] = session.last_command and session.last_command.name
    return found


class Both:
    """The leader of one fleet, and a follower of another, with a client each."""

    def __init__(self) -> None:
        self.fleets = [Fleet(), Fleet()]
        for fleet in self.fleets:
            fleet.elect()
        self.clients: list[Client] = []

    def connect(self) -> None:
        for client in self.clients:
            client.hang_up()
        self.clients = [fleet[node].connect() for fleet, node in zip(self.fleets, (1, 2), strict=True)]

    def ask(self, commands: list[list[bytes]]) -> list[list[Any]]:
        """Both clients send the same in one go; what each was answered."""
        lines = [b" ".join(argv).decode("latin-1") for argv in commands]
        answers = []
        for fleet, client in zip(self.fleets, self.clients, strict=True):
            found = [shown(reply) for reply in say(fleet, client, *lines)]
            if len(found) < len(commands):  # what waits for a moment of time, or for word of a commit
                fleet.pass_time(50)
                found += map(shown, client.replies())
            answers.append(found)
        return answers


@pytest.fixture(scope="module")
def both() -> Both:
    return Both()


of_sessions = [
    each
    for declared in TABLE
    for each in (declared, *declared.public_subcommands())
    if each.kind is Kind.SESSION and each.handler is not None
    if not each.name.endswith("|help") and each.name not in ONLY_OF_THE_NODE
]
of_data = [each for each in EVERY if not each.internal and each.name not in OF_THE_NODE | BY_CHANCE]
TOGETHER = 12


def chunks(argvs: list[list[bytes]]) -> list[list[list[bytes]]]:
    """What is sent in one go each: calls in a pipeline, and in transactions; the session's state is compared after."""
    pipeline, transaction, other = [[b"SET", b"text", b"1"]], [[b"WATCH", b"text"], [b"MULTI"]], [[b"MULTI"]]
    for argv in argvs:
        pipeline += [argv, [b"GET", b"text"], argv, [b"INCR", b"number"], [b"PING"], argv]
        transaction += [
            [b"SET", b"text", b"2"], argv, [b"GET", b"text"], [b"SELECT", b"5"], argv, [b"INCR", b"number"],
            [b"CLIENT", b"SETNAME", b"inside"], argv, [b"GET", b"number"],
        ]  # fmt: skip
        other += [argv, [b"SELECT", b"4"], argv]
    end = [[b"CLIENT", b"REPLY", b"ON"], [b"PING"], [b"DBSIZE"], [b"GET", b"text"]]
    return [pipeline, [*transaction, [b"EXEC"], [b"CLIENT", b"GETNAME"]], [*other, [b"EXEC"], [b"DBSIZE"]], end]


def compare(both: Both, command: Command, sent: list[list[bytes]]) -> None:
    here, there = both.ask(sent)
    if command.name in OF_THE_NODE:
        here, there = ([_kind(reply) for reply in replies] for replies in (here, there))
    assert here == there, sent
    states = [seen(client.session) for client in both.clients]
    assert states[0] == states[1], sent


def _kind(reply: Any) -> Any:
    """All that must be the same of a reply that tells of the node, or of a transaction's with such ones in it."""
    return [type(element) for element in reply][:12] if isinstance(reply, list) else type(reply)


@pytest.mark.parametrize("command", of_sessions, ids=lambda command: command.name)
def test_a_session_command_does_at_a_follower_what_it_does_at_the_leader(both: Both, command: Command) -> None:
    for argv in calls(command):
        for sent in ([argv], *chunks([argv])):
            if sent == [argv] or sent[0] == [b"MULTI"]:
                both.connect()
            compare(both, command, sent)


@pytest.mark.parametrize("first", range(0, len(of_data), TOGETHER))
def test_data_commands_do_at_a_follower_what_they_do_at_the_leader(both: Both, first: int) -> None:
    commands = of_data[first : first + TOGETHER]
    both.connect()
    both.ask([line.encode().split() for line in ("FLUSHALL", *FIXTURES)])
    called = [calls(command)[0] for command in commands]
    for command, argv in zip(commands, called, strict=True):
        compare(both, command, [argv])
    for sent in chunks(called):
        compare(both, commands[0], sent)


# Transactions that are passed on.


def test_a_transaction_without_commands_is_answered_whether_its_watched_keys_were_changed_or_not(fleet: Fleet) -> None:
    client, other = fleet[2].connect(), fleet[3].connect()
    assert say(fleet, client, "WATCH k", "MULTI", "EXEC", "PING") == [b"OK", b"OK", [], b"PONG"]
    assert say(fleet, client, "WATCH k", "MULTI", "PING", "EXEC") == [b"OK", b"OK", b"QUEUED", [b"PONG"]]
    say(fleet, client, "WATCH k", "MULTI")
    say(fleet, other, "SET k v")
    assert say(fleet, client, "EXEC", "PING") == [None, b"PONG"]


def test_nothing_of_a_transaction_is_done_whose_watched_keys_were_changed(fleet: Fleet) -> None:
    client, other = fleet[2].connect(), fleet[3].connect()
    say(fleet, client, "WATCH k", "MULTI", "SET k 1", "SELECT 3", "CLIENT SETNAME me", "HELLO 3", "SET k 1")
    say(fleet, other, "SET k 2")
    assert say(fleet, client, "EXEC", "CLIENT GETNAME", "GET k") == [None, None, b"2"]
    assert client.session.protocol == 2
    assert client.raw.count(b"*-1\r\n") == 1, "in the protocol that is still spoken"


def test_a_transaction_acts_on_its_own_session_and_node_and_on_the_databases_that_it_selects(fleet: Fleet) -> None:
    fleet[2].connect()
    client = fleet[2].connect()
    lines = (
        "SET k 0", "SELECT 1", "SET k 1", "SELECT 99", "APPEND k x", "SELECT 2", "CLIENT ID", "GET k",
        "CLIENT SETNAME me", "CONFIG SET slowlog-max-len 7", "CLUSTER MYID", "READONLY", "SELECT 0", "GET k",
        "HELLO 3", "HGETALL h",
    )  # fmt: skip
    replies = say(fleet, client, "MULTI", *lines, "EXEC")[-1]
    myid = say(fleet, fleet[2].connect(), "CLUSTER MYID")[0]
    assert list(map(shown, replies[:14])) == [
        b"OK", b"OK", b"OK", "ERR DB index is out of range", 2, b"OK", client.id, None, b"OK", b"OK", myid, b"OK",
        b"OK", b"0",
    ]  # fmt: skip
    assert replies[15] == {}, "in the protocol that is spoken at the end"
    session = client.session
    assert (session.name, session.database, session.protocol, session.reads_stale) == (b"me", 0, 3, True)
    assert [world.node.settings.slowlog_max_len for world in fleet.worlds.values()] == [128, 7, 128]
    keyspace = fleet[1].node.shard.keyspace
    assert [keyspace.databases[number].peek(b"k") for number in range(3)] == [b"0", bytearray(b"1x"), None]


def test_a_client_that_wants_no_replies_gets_none_from_a_transaction(fleet: Fleet) -> None:
    client, monitor = fleet[2].connect(), fleet[2].connect()
    assert say(fleet, monitor, "MONITOR") == [b"OK"]
    say(fleet, client, "MULTI", "INCR n", "CLIENT REPLY OFF", "EXEC", "INCR n")
    assert client.replies() == []
    assert say(fleet, client, "CLIENT REPLY ON", "GET n") == [b"OK", b"2"]
    assert say(fleet, client, "MULTI", "INCR n", "CLIENT REPLY SKIP", "EXEC", "GET n")[3:] == [b"3"]
    assert any(b"REPLY" in line for line in monitor.replies())


def test_a_transaction_that_was_held_back_is_executed_whole_by_the_node_that_comes_to_lead(fleet: Fleet) -> None:
    client = fleet[2].connect()
    fleet.kill(1)
    assert say(fleet, client, "MULTI", "SELECT 1", "INCR n", "CLIENT SETNAME me", "EXEC") == [b"OK", *[b"QUEUED"] * 3]
    fleet[2].node.config.raft.campaign()
    fleet[2].node.shard.raft.campaign()
    fleet.pass_time(3000)
    assert client.replies() == [[b"OK", 1, b"OK"]]
    assert say(fleet, client, "GET n", "CLIENT GETNAME") == [b"1", b"me"]


def test_an_answer_of_another_length_cuts_the_link(fleet: Fleet) -> None:
    client = fleet[2].connect()
    client.ask("MULTI", "INCR n", "CLIENT SETNAME me", "EXEC")
    fleet[2].tick()
    passed = next(iter(fleet[2].node.forwarding._passed.values()))
    with pytest.raises(FrameError):
        fleet[2].node.forwarding.answered(NodeId(1), Answer(client.id, passed.number, b"*2\r\n:1\r\n:2\r\n"))


def test_what_an_older_version_passes_on_for_its_session_does_nothing_to_the_leader(fleet: Fleet) -> None:
    """It has all commands of a transaction executed by the leader."""
    node = fleet[1].node
    for number, line in enumerate(("CONFIG SET slowlog-max-len 7", "MONITOR", "CLIENT PAUSE 1000", "DEBUG SLEEP 1")):
        commands = b"".join(pack(tuple(each.encode().split())) for each in ("INCR n", line))
        node.guests.requested(NodeId(2), Request(9, number, 0, 2, commands, transaction=True))
        assert node.sessions == {}
        (guest,) = node.guests._guests.values()
        assert b"".join(guest.out).startswith(b"-EXECABORT Transaction discarded because of: '"), line
        fleet.settle()
    commands = b"".join(pack(tuple(each.encode().split())) for each in ("INCR n", "CLIENT REPLY OFF", "SELECT 3"))
    node.guests.requested(NodeId(2), Request(9, 7, 0, 2, commands, transaction=True))
    fleet.settle()
    node.guests.requested(NodeId(2), Request(9, 8, 0, 2, pack((b"GET", b"n"))))
    assert b"".join(guest.out) == b"$1\r\n1\r\n"
    assert node.settings.slowlog_max_len == 128


# Time, ends and errors.


def test_keys_at_their_deadline_are_read_at_a_follower_by_many_at_once(fleet: Fleet) -> None:
    """Whoever's read asks for a key that is due by the leader's clock has it executed there."""
    clients = [fleet[2].connect() for _ in range(4)]
    for shift_us in (0, 98_400, 99_900, 100_000, 100_100, 150_000):
        assert say(fleet, clients[0], "PSETEX k 100 v", "SET other v") == [b"OK", b"OK"]
        for world in fleet.worlds.values():
            assert world.clock.ns % 1_000_000 == 0
            world.clock.ns += shift_us * 1000
        for client in clients:
            client.ask("GET k", "GET other", "GET k")
        fleet.settle()
        for client in clients:
            first, other, last = client.replies()
            assert other == b"v"
            assert first in (b"v", None)
            assert last in (first, None)
            assert (first is None) == (shift_us >= 100_000)
        for world in fleet.worlds.values():
            world.clock.ns += 1_000_000 - shift_us * 1000 % 1_000_000
        fleet.pass_time(200)


def test_who_ends_his_input_at_a_follower_is_owed_a_reply_until_he_has_it(fleet: Fleet) -> None:
    for line in ("INCR n", "GET n", "WATCH n"):
        client = fleet[2].connect()
        client.ask(line)
        fleet[2].tick()
        assert client.session.is_owed(), line
        fleet.settle()
        assert not client.session.is_owed()
        assert len(client.replies()) == 1
    for node in (1, 2):
        for line in ("BLPOP q 0", "WAIT 9 0"):
            client = fleet[node].connect()
            say(fleet, client, line)
            assert not client.session.is_owed(), "it may wait for ever"


@pytest.mark.parametrize("node", [1, 2])
@pytest.mark.parametrize("line", ["XREAD BLOCK 0 STREAMS s 0", "WAIT 0 0", "BLPOP q 0", "DEBUG SLEEP 0", "GET a"])
def test_a_protocol_error_comes_behind_all_that_was_sent_before_it(fleet: Fleet, node: int, line: str) -> None:
    client = fleet[node].connect()
    say(fleet, client, "XADD s 1-1 f v", "RPUSH q x y")
    packed = b"".join(
        hiredis.pack_command(tuple(word.encode() for word in each.split()))
        for each in (line, line, "SET a 1", "PING", line, "INCR a")
    )
    say(fleet, client, "RPUSH q z")
    client.send(packed + b"*1\r\n:5\r\n")
    fleet.settle()
    fleet.pass_time(100)
    replies = client.replies()
    assert replies[-2] == 2
    assert str(replies[-1]) == "ERR Protocol error: expected '$', got ':'"
    assert client.closed


def test_bytes_behind_a_read_that_needs_not_wait_are_taken_in_their_order(world: World) -> None:
    """More bytes than are parsed in one go: none of them overtake what stands before them."""
    client = world.connect()
    client("XADD s 1-1 f v")
    values = [f"{n}" * 200 for n in range(200, 500)]
    lines = [line for value in values for line in ("XREAD BLOCK 0 STREAMS s 0", f"SET k {value}", "GET k")]
    replies = client.pipeline(*lines)
    assert replies[2::3] == [value.encode() for value in values]
