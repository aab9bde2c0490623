"""What clients that wait, watch or look on see when the leader changes; and what is known of sessions elsewhere."""

from __future__ import annotations

import pytest

from redraft.node.peers import Request, decode_frame
from redraft.shard.entry import pack
from support.fleet import Fleet, say
from support.processes import ReplyError

CHANGED = ReplyError("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)")
UNBLOCKED = ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK")


def hand_over(fleet: Fleet, to: int) -> None:
    """A planned change of the leader: nobody is cut off."""
    fleet[fleet.leader()].node.shard.raft.transfer_leader(fleet[to].node.id)
    fleet.pass_time(150)
    assert fleet.leader() == to


# WATCH.


@pytest.mark.parametrize("node", [1, 2, 3])
def test_exec_fails_when_the_leader_has_changed_since_watch(fleet: Fleet, node: int) -> None:
    client = fleet[node].connect()
    say(fleet, client, "SET k v")
    assert say(fleet, client, "WATCH k", "MULTI", "SET k w") == [b"OK", b"OK", b"QUEUED"]
    hand_over(fleet, 2)
    assert say(fleet, client, "EXEC", "GET k") == [None, b"v"]
    assert say(fleet, client, "WATCH k", "MULTI", "SET k w", "EXEC") == [b"OK", b"OK", b"QUEUED", [b"OK"]]


@pytest.mark.parametrize("node", [1, 2, 3])
def test_exec_fails_when_the_same_node_leads_again_in_another_term(fleet: Fleet, node: int) -> None:
    client = fleet[node].connect()
    say(fleet, client, "WATCH k", "MULTI", "INCR k")
    hand_over(fleet, 2)
    hand_over(fleet, 1)
    assert say(fleet, client, "EXEC", "GET k") == [None, None]


@pytest.mark.parametrize("place", [1, 2])
def test_a_leader_that_has_slept_looks_at_watched_keys_when_it_executes(fleet: Fleet, place: int) -> None:
    """It holds both transactions until a majority says that it still leads, and only one of them may be executed."""
    clients = [fleet[place].connect() for _ in range(2)]
    for client in clients:
        say(fleet, client, "WATCH k", "GET k")
    fleet[1].clock.ns += 450_000_000
    for number, client in enumerate(clients):
        client.ask("MULTI", f"SET k {number}", "EXEC")
    fleet.settle()
    fleet.pass_time(500)
    assert fleet.leader() == 1
    executed = [client.replies()[-1] for client in clients]
    assert sorted(executed, key=repr) == [None, [b"OK"]]
    assert say(fleet, clients[0], "GET k") == [b"%d" % executed.index([b"OK"])]


@pytest.mark.parametrize("place", [1, 2])
def test_what_is_watched_while_a_leader_asks_a_majority_is_watched(fleet: Fleet, place: int) -> None:
    """WATCH was held back as for another node, and is executed here: so is the looking at it."""
    clients = [fleet[place].connect() for _ in range(2)]
    fleet[1].clock.ns += 450_000_000
    for client in clients:
        client.ask("WATCH k", "GET k")
    fleet.settle()
    assert [client.replies() for client in clients] == [[b"OK", None]] * 2
    fleet[1].clock.ns += 450_000_000
    for number, client in enumerate(clients):
        client.ask("MULTI", f"SET k {number}", "EXEC")
    fleet.settle()
    fleet.pass_time(500)
    assert fleet.leader() == 1
    executed = [client.replies()[-1] for client in clients]
    assert sorted(executed, key=repr) == [None, [b"OK"]]
    assert say(fleet, clients[0], "GET k") == [b"%d" % executed.index([b"OK"])]


@pytest.mark.parametrize("place", [1, 3])
def test_a_transaction_held_for_the_successor_fails_if_it_watches(fleet: Fleet, place: int) -> None:
    """What was watched at the node that hands over is not known to the next leader."""
    client, other = fleet[place].connect(), fleet[1].connect()
    say(fleet, client, "WATCH k", "GET k")
    fleet[1].clock.ns += 450_000_000
    other.ask("REDRAFT TRANSFER 2")
    client.ask("MULTI", "SET k 1", "EXEC")
    fleet.settle()
    fleet.pass_time(500)
    assert fleet.leader() == 2
    assert client.replies() == [b"OK", b"QUEUED", None]
    assert say(fleet, client, "GET k", "MULTI", "GET k", "EXEC") == [None, b"OK", b"QUEUED", [None]]


def test_exec_that_meets_a_leader_which_has_just_stepped_down_fails(fleet: Fleet) -> None:
    """The watch was there; nobody else may execute the transaction without it."""
    client = fleet[3].connect()
    say(fleet, client, "WATCH k", "MULTI", "SET k v")
    fleet[1].node.shard.raft.transfer_leader(fleet[2].node.id)
    late = []
    for _ in range(20):
        late += [frame for frame in fleet.frames if frame[1] == 3]
        fleet.frames = [frame for frame in fleet.frames if frame[1] != 3]
        fleet.tick_all()
    assert fleet[2].node.shard.raft.leader is not None
    client.ask("EXEC")
    fleet.tick_all()
    fleet.tick_all()
    refusal = [frame for frame in fleet.frames if frame[:2] == (1, 3)]
    fleet.frames = [frame for frame in late if frame[0] == 1] + refusal
    fleet.tick_all()
    assert client.replies() == [None]
    fleet.frames += [frame for frame in late if frame[0] == 2]
    fleet.pass_time(200)
    assert say(fleet, client, "GET k") == [None]


def test_a_dirty_watch_can_be_given_up(fleet: Fleet) -> None:
    for node in (1, 3):
        client = fleet[node].connect()
        say(fleet, client, "WATCH k")
        hand_over(fleet, 2)
        assert say(fleet, client, "UNWATCH", "MULTI", "SET k v", "EXEC") == [b"OK", b"OK", b"QUEUED", [b"OK"]]
        say(fleet, client, "WATCH k")
        hand_over(fleet, 1)
        assert say(fleet, client, "MULTI", "DISCARD", "MULTI", "SET k v", "EXEC") == [
            b"OK", b"OK", b"OK", b"QUEUED", [b"OK"],
        ]  # fmt: skip


def test_a_queued_transaction_is_executed_by_the_next_leader(fleet: Fleet) -> None:
    for node in (1, 3):
        client = fleet[node].connect()
        say(fleet, client, "MULTI", "INCR n", "INCR n")
        hand_over(fleet, 2)
        assert say(fleet, client, "EXEC", "DEL n") == [[1, 2], 1]
        hand_over(fleet, 1)


def test_discard_and_what_follows_in_one_pipeline(fleet: Fleet) -> None:
    client = fleet[2].connect()
    assert say(fleet, client, "WATCH k", "MULTI", "DISCARD", "SET k v", "GET k") == [b"OK", b"OK", b"OK", b"OK", b"v"]


@pytest.mark.parametrize("end", ["DISCARD", "RESET", "EXEC"])
def test_a_watch_at_the_leader_ends_with_its_transaction(fleet: Fleet, end: str) -> None:
    client, other = fleet[2].connect(), fleet[3].connect()
    say(fleet, client, "WATCH k", "MULTI", "NOPE", end)
    say(fleet, other, "SET k other")
    assert say(fleet, client, "WATCH j", "MULTI", "SET j v", "EXEC")[-1] == [b"OK"]


# A planned change.


def test_no_command_fails_when_leadership_is_handed_over(fleet: Fleet) -> None:
    """What comes in meanwhile is held, and goes to the successor; what was proposed before is answered."""
    clients = [fleet[node].connect() for node in (1, 2, 3)]
    counts = dict.fromkeys(range(3), 0)
    for to in (2, 3, 1, 2):
        leader = fleet[fleet.leader()]
        for tick in range(30):
            if tick == 5:
                leader.connect().ask(f"REDRAFT TRANSFER {to}")
            for number, client in enumerate(clients):
                client.ask(f"INCR n{number}", f"GET n{number}")
            fleet.tick_all()
        fleet.pass_time(500)
        assert fleet.leader() == to
        for number, client in enumerate(clients):
            replies = client.replies()
            expected = range(counts[number] + 1, counts[number] + 31)
            assert replies == [reply for count in expected for reply in (count, b"%d" % count)]
            counts[number] += 30


def test_a_hand_over_that_fails_leaves_everything_as_it_was(fleet: Fleet) -> None:
    client = fleet[1].connect()
    fleet[3].hold = True
    say(fleet, client, "SET k v")
    assert say(fleet, client, "REDRAFT TRANSFER 3", "SET k w") == [b"OK"]
    fleet.pass_time(1000)
    assert client.replies() == [b"OK"]
    assert fleet.leader() == 1


# Blocked clients.


@pytest.mark.parametrize("node", [1, 2, 3])
def test_a_blocked_pop_ends_when_the_leader_changes_and_takes_nothing(fleet: Fleet, node: int) -> None:
    client = fleet[node].connect()
    assert say(fleet, client, "BLPOP l 0", "PING") == []
    hand_over(fleet, 2)
    assert client.replies() == [CHANGED, b"PONG"]
    assert say(fleet, fleet[3].connect(), "RPUSH l x", "LRANGE l 0 -1") == [1, [b"x"]]


@pytest.mark.parametrize("node", [1, 2, 3])
def test_an_element_that_the_next_leader_commits_reaches_its_client(fleet: Fleet, node: int) -> None:
    """The push is in the log of a majority when the leader is lost, and nobody knows yet that it is committed."""
    client, pusher = fleet[node].connect(), fleet[1].connect()
    say(fleet, client, "BLPOP l 0")
    pusher.ask("RPUSH l x")
    fleet[1].tick()
    fleet.frames += [(fleet[1].node.id, to, data) for to, data in fleet[1].frames]
    fleet[1].frames.clear()
    fleet.tick_all()
    fleet.cut(1)
    fleet.pass_time(2000)
    if node == 1:
        assert client.replies() == []
        fleet.heal()
        fleet.pass_time(500)
    assert client.replies() == [[b"l", b"x"]]
    assert str(pusher.replies()[0]).startswith("UNKNOWN ")
    assert say(fleet, fleet[3].connect(), "LLEN l") == [0]


@pytest.mark.parametrize("node", [2, 3])
def test_an_element_that_was_popped_at_once_reaches_its_client_though_the_answer_is_lost(
    fleet: Fleet, node: int
) -> None:
    client = fleet[node].connect()
    say(fleet, client, "RPUSH l x")
    client.ask("BLPOP l 0")
    fleet.tick_all()
    fleet.tick_all()
    fleet.tick_all()
    fleet.kill(1)
    fleet.pass_time(2000)
    [reply] = client.replies()
    left = say(fleet, client, "LRANGE l 0 -1")
    assert (reply, left) in (([b"l", b"x"], [[]]), (CHANGED, [[b"x"]]))


def test_a_blocked_pop_is_never_lost_whenever_the_leader_dies() -> None:
    """At every tick of a push that serves a waiting client of another node."""
    outcomes = set()
    for ticks in range(8):
        fleet = Fleet()
        fleet.elect()
        client, pusher = fleet[2].connect(), fleet[3].connect()
        say(fleet, client, "BLPOP l 0")
        pusher.ask("RPUSH l x")
        for _ in range(ticks):
            fleet.tick_all()
        fleet.kill(1)
        fleet.pass_time(2500)
        [reply] = client.replies()
        [pushed] = pusher.replies()
        [left] = say(fleet, client, "LRANGE l 0 -1")
        got = [b"x"] if reply == [b"l", b"x"] else []
        assert got or reply == CHANGED, reply
        assert len(got) + len(left) == (1 if pushed == 1 else len(got) + len(left)) <= 1  # type: ignore[arg-type]
        outcomes.add(bool(got))
    assert outcomes == {True, False}, "both ends were seen"


def test_a_wait_that_no_leader_has_heard_of_is_held_and_begins_at_the_next(fleet: Fleet) -> None:
    client = fleet[2].connect()
    fleet.kill(1)
    assert say(fleet, client, "BLPOP l 0") == []
    fleet.pass_time(2000)
    assert say(fleet, fleet[3].connect(), "RPUSH l x") == [1]
    assert client.replies() == [[b"l", b"x"]]


def test_a_wait_of_which_nothing_is_heard_is_of_unknown_outcome(fleet: Fleet) -> None:
    client = fleet[1].connect()
    say(fleet, client, "BLPOP l 0")
    fleet.cut(1)
    fleet.pass_time(7000)
    [reply] = client.replies()
    assert str(reply).startswith("UNKNOWN ")


def test_a_leader_takes_a_wait_only_in_the_term_that_the_clients_node_knows(fleet: Fleet) -> None:
    """Later the waits of that term are over, says the log, and the client's node would not look for this one."""
    node = fleet[1].node
    for term, refused in ((node.shard.raft.term + 1, True), (node.shard.raft.term, False)):
        commands = pack((b"BLPOP", b"l", b"0"))
        node.guests.requested(fleet[3].node.id, Request(7, term, 0, 2, commands, token=9, term=term))
        fleet[1].tick()
        answers = [answer for _, data in fleet[1].frames for answer in decode_frame(data).answers]
        assert [answer.refused for answer in answers] == [True] * refused
        fleet[1].frames.clear()


@pytest.mark.parametrize("node", [1, 2])
def test_a_blocked_stream_reader_ends_when_the_leader_changes(fleet: Fleet, node: int) -> None:
    """To ask again for it would miss what came between."""
    client = fleet[node].connect()
    assert say(fleet, client, "XREAD BLOCK 0 STREAMS s $") == []
    hand_over(fleet, 3)
    assert client.replies() == [CHANGED]


def test_a_dead_session_is_not_served_by_the_next_leader(fleet: Fleet) -> None:
    """The entry that began the wait is committed only by the next leader, which must end it all the same."""
    client = fleet[1].connect()
    client.ask("BLPOP l 0")
    fleet[1].tick()
    fleet.frames += [(fleet[1].node.id, to, data) for to, data in fleet[1].frames]
    fleet[1].frames.clear()
    fleet.tick_all()
    fleet.kill(1)
    fleet.pass_time(2000)
    assert say(fleet, fleet[3].connect(), "RPUSH l x", "LRANGE l 0 -1") == [1, [b"x"]]


# Sessions of other nodes.


def test_client_unblock_ends_a_wait_at_the_leader(fleet: Fleet) -> None:
    client, other = fleet[2].connect(), fleet[2].connect()
    for reason, reply in (("", None), (" TIMEOUT", None), (" ERROR", UNBLOCKED)):
        say(fleet, client, "BLPOP l 0")
        assert say(fleet, other, f"CLIENT UNBLOCK {client.id}{reason}") == [1]
        assert client.replies() == [reply]
    assert say(fleet, other, f"CLIENT UNBLOCK {client.id}") == [0]
    assert say(fleet, other, "RPUSH l x", "LLEN l") == [1, 1]


def test_client_unblock_ends_a_wait_that_no_leader_has(fleet: Fleet) -> None:
    client, other = fleet[2].connect(), fleet[2].connect()
    fleet.kill(1)
    fleet.kill(3)
    say(fleet, client, "BLPOP l 0")
    assert say(fleet, other, f"CLIENT UNBLOCK {client.id} ERROR") == [1]
    assert client.replies() == [UNBLOCKED]


def test_a_client_that_is_served_while_it_is_unblocked_gets_the_element(fleet: Fleet) -> None:
    client, other = fleet[2].connect(), fleet[2].connect()
    say(fleet, client, "BLPOP l 0")
    fleet[1].connect().ask("RPUSH l x")
    other.ask(f"CLIENT UNBLOCK {client.id}")
    fleet.settle()
    assert other.replies() == [1]
    assert client.replies() == [[b"l", b"x"]]


def test_a_killed_client_takes_no_element_with_it(fleet: Fleet) -> None:
    client, other = fleet[2].connect(), fleet[2].connect()
    say(fleet, client, "BLPOP l 0", "SET never executed")
    assert say(fleet, other, f"CLIENT KILL ID {client.id}") == [1]
    assert client.closed
    assert say(fleet, other, "RPUSH l x", "LRANGE l 0 -1", "EXISTS never") == [1, [b"x"], 0]


def test_a_client_that_is_served_while_it_is_killed_gets_the_element_before_it_is_closed(fleet: Fleet) -> None:
    client, other = fleet[2].connect(), fleet[2].connect()
    say(fleet, client, "BLPOP l 0")
    fleet[1].connect().ask("RPUSH l x")
    other.ask(f"CLIENT KILL ID {client.id}")
    fleet.settle()
    assert client.closed
    assert client.replies() == [[b"l", b"x"]]


def test_sessions_of_other_nodes_are_no_clients_of_the_leader(fleet: Fleet) -> None:
    local, remote = fleet[1].connect(), fleet[2].connect()
    say(fleet, remote, "SET k v", "WATCH k", "CLIENT SETNAME far")
    say(fleet, fleet[2].connect(), "BLPOP l 0")
    [listing] = say(fleet, local, "CLIENT LIST")
    assert len(listing.splitlines()) == 1  # type: ignore[attr-defined]
    assert b"connected_clients:1\r\n" in say(fleet, local, "INFO clients")[0]  # type: ignore[operator]
    assert say(fleet, local, "CLIENT KILL TYPE normal SKIPME yes") == [0]
    [listing] = say(fleet, remote, "CLIENT LIST")
    assert len(listing.splitlines()) == 2  # type: ignore[attr-defined]
    assert b"name=far" in listing  # type: ignore[operator]


@pytest.mark.parametrize("node", [1, 2])
def test_monitor_shows_what_its_own_nodes_clients_send_and_goes_on_when_the_leader_changes(
    fleet: Fleet, node: int
) -> None:
    monitor, client = fleet[node].connect(), fleet[node].connect()
    assert say(fleet, monitor, "MONITOR") == [b"OK"]
    say(fleet, client, "SET k v", "GET k", "MULTI", "INCR n", "EXEC")
    shown = [line.split(b"] ", 1)[1] for line in monitor.replies()]
    assert shown == [b'"SET" "k" "v"', b'"GET" "k"', b'"MULTI"', b'"INCR" "n"', b'"EXEC"']
    hand_over(fleet, 3)
    assert say(fleet, client, "GET k") == [b"v"]
    assert [line.split(b"] ", 1)[1] for line in monitor.replies()] == [b'"GET" "k"']


@pytest.mark.parametrize("node", [1, 2])
def test_what_belongs_to_a_session_outlives_a_leader(fleet: Fleet, node: int) -> None:
    client = fleet[node].connect()
    say(fleet, client, "SELECT 2", "CLIENT SETNAME me", "CLIENT NO-TOUCH ON")
    hand_over(fleet, 3)
    assert say(fleet, client, "SET k v", "CLIENT GETNAME", "CLIENT TRACKINGINFO") == [
        b"OK", b"me", [b"flags", [b"off"], b"redirect", -1, b"prefixes", []],
    ]  # fmt: skip
    assert say(fleet, fleet[3].connect(), "SELECT 2", "GET k") == [b"OK", b"v"]


# Links.


def test_an_answer_that_is_lost_with_its_link_alone_does_not_leave_a_client_waiting(fleet: Fleet) -> None:
    """The leader's link to the client's node breaks and is back before anybody stands for election."""
    reader, writer = fleet[2].connect(), fleet[2].connect()
    say(fleet, writer, "SET k v")
    reader.ask("GET k")
    writer.ask("INCR n")
    fleet.tick_all()
    fleet.tick_all()
    fleet.frames = [frame for frame in fleet.frames if frame[:2] != (1, 2)]
    fleet[1].node.link_lost(fleet[2].node.id)
    fleet[2].node.incoming.hears_no_more(fleet[1].node.id)
    fleet[1].node.link_opened(fleet[2].node.id)
    fleet.settle()
    fleet.pass_time(200)
    assert reader.replies() == [b"v"]
    assert str(writer.replies()[0]).startswith("UNKNOWN ")
    assert fleet.leader() == 1


# A node that is of the cluster no more.


def test_a_node_that_was_removed_while_it_was_cut_off_disturbs_nobody(fleet: Fleet) -> None:
    """It stands for election again and again, and nobody would vote for it."""
    fleet.pass_time(1000)
    inside, outside = fleet[3].connect(), fleet[1].connect()
    fleet.cut(3)
    outside.ask("REDRAFT REMOVE 3")
    fleet.pass_time(3000)
    assert outside.replies() == [b"OK"]
    terms = [fleet[node].node.shard.raft.term for node in (1, 2)]
    fleet.heal()
    fleet.pass_time(5000)
    assert [fleet[node].node.shard.raft.term for node in (1, 2)] == terms
    assert fleet.leader() == 1
    assert say(fleet, outside, "SET k v") == [b"OK"]
    inside.ask("GET k")
    fleet.pass_time(6000)
    assert str(inside.replies()[0]).startswith("CLUSTERDOWN ")


def test_what_is_held_behind_a_hand_over_is_held_for_the_successor(fleet: Fleet) -> None:
    """A leader that has slept holds all until a majority says that it still leads; the first of it has it hand over."""
    first, second, third = (fleet[1].connect() for _ in range(3))
    say(fleet, first, "SET k 1")
    fleet[1].clock.ns += 450_000_000
    first.ask("REDRAFT TRANSFER 2")
    second.ask("MULTI", "INCR k", "INCR k", "EXEC")
    third.ask("INCR k")
    fleet.settle()
    fleet.pass_time(500)
    assert fleet.leader() == 2
    assert first.replies() == [b"OK"]
    assert second.replies() == [b"OK", b"QUEUED", b"QUEUED", [2, 3]]
    assert third.replies() == [4]
