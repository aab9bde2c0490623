"""What Jepsen found in Redis-Raft in 2020 (jepsen.io/analyses/redis-raft-1b3fbf6) and no other test here looks for.

docs/testing.md has the whole list, with the test that would catch each.
"""

from __future__ import annotations

from random import Random

import pytest

from support.fleet import Fleet, say
from support.processes import ReplyError
from support.world import Client

NODES = (1, 2, 3)
ELECTION_MS = 1000


@pytest.mark.parametrize("node", NODES)
def test_a_write_is_one_entry_and_is_executed_once_whatever_node_passes_it_on(fleet: Fleet, node: int) -> None:
    """#13: RPUSH through a follower was executed without end."""
    client = fleet[node].connect()
    last = fleet[1].node.shard.raft.last_index
    assert say(fleet, client, "RPUSH l x") == [1]
    fleet.pass_time(5000)
    assert say(fleet, client, "LRANGE l 0 -1") == [[b"x"]]
    assert [fleet[each].node.shard.raft.last_index for each in NODES] == [last + 1] * 3


def test_every_failover_keeps_all_data(fleet: Fleet) -> None:
    """#14: each failover lost everything."""
    for count in range(1, 5):
        leader = fleet.leader()
        other = next(node for node in NODES if node != leader)
        assert say(fleet, fleet[other].connect(), f"RPUSH l {count}", f"SET k{count} v") == [count, b"OK"]
        fleet.kill(leader)
        fleet.pass_time(3000)
        fleet.start(leader)
        fleet.pass_time(500)
        for node in NODES:
            found = say(fleet, fleet[node].connect(), "LRANGE l 0 -1", "DBSIZE")
            assert found == [[str(each).encode() for each in range(1, count + 1)], count + 1]


def founded(size: int) -> Fleet:
    fleet = Fleet(size)
    fleet.elect()
    fleet.pass_time(1000)
    return fleet


def test_no_write_is_lost_when_members_change_during_a_partition() -> None:
    """#17: the isolated leader was asked to remove a node, and updates of the others vanished."""
    fleet = founded(5)
    assert say(fleet, fleet[1].connect(), "RPUSH l before") == [1]
    fleet.cut(1)
    asked = fleet[1].connect()
    asked.ask("REDRAFT REMOVE 4", "RPUSH l isolated")
    fleet.pass_time(3000)
    leader = fleet.leader()
    assert leader != 1
    assert say(fleet, fleet[leader].connect(), "RPUSH l during") == [2]
    client = fleet[leader].connect()
    client.ask("REDRAFT REMOVE 5" if leader != 5 else "REDRAFT REMOVE 4")
    fleet.pass_time(3000)
    assert client.replies() == [b"OK"]
    fleet.heal()
    fleet.pass_time(6000)
    removal, push = asked.replies()
    assert isinstance(removal, ReplyError)
    assert isinstance(push, ReplyError)
    elements = say(fleet, fleet[1].connect(), "LRANGE l 0 -1")[0]
    assert isinstance(elements, list)
    assert elements[:2] == [b"before", b"during"]
    # Of what was sent to the isolated leader it is known, or it is not, whether it was executed.
    if b"isolated" in elements:
        assert str(push).startswith("UNKNOWN ")


def test_a_leader_alone_on_its_island_removes_nobody() -> None:
    """#28 and #44: two halves of a cluster, each with a leader that took writes."""
    fleet = founded(5)
    before = say(fleet, fleet[2].connect(), "SET k shared")
    assert before == [b"OK"]
    fleet.cut(1)
    clients = [fleet[1].connect() for _ in range(5)]
    for client, number in zip(clients, (2, 3, 4, 5), strict=False):
        client.ask(f"REDRAFT REMOVE {number}")
    clients[-1].ask("SET k island")
    fleet.pass_time(11_000)
    replies = [client.replies() for client in clients]
    assert all(len(each) == 1 and isinstance(each[0], ReplyError) for each in replies), replies
    assert not fleet[1].node.serves
    assert fleet[1].node.shard.raft.conf.voters == fleet[1].node.config.raft.conf.voters == (1, 2, 3, 4, 5)
    assert say(fleet, fleet[3].connect(), "GET k") == [b"shared"]
    fleet.heal()
    fleet.pass_time(3000)
    assert sorted(fleet[3].node.config.table.nodes) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("seed", range(3))
def test_a_read_after_a_restart_is_never_older_than_what_was_acknowledged(seed: int) -> None:
    """#18: for a moment after they were started nodes showed empty lists."""
    random_ = Random(seed)
    fleet = Fleet()
    fleet.elect()
    for count in range(1, 4):
        assert say(fleet, fleet[random_.choice(NODES)].connect(), "INCR n")[0] == count
        down = random_.sample(NODES, random_.choice([2, 3]))
        for node in down:
            fleet.kill(node)
        for node in down:
            fleet.start(node)
        clients = [fleet[node].connect() for node in NODES]
        for client in clients:
            client.ask("GET n")
        fleet.pass_time(3000)
        for client in clients:
            assert client.replies() == [b"%d" % count], (seed, count)


def test_a_healthy_cluster_keeps_its_leader_and_refuses_nobody(fleet: Fleet) -> None:
    """#21: a leader of a healthy cluster began to say that there was none."""
    term = fleet[1].node.shard.raft.term
    clients = [fleet[node].connect() for node in NODES]
    for count in range(1, 21):
        for number, client in enumerate(clients):
            assert say(fleet, client, f"INCR n{number}", f"GET n{number}") == [count, b"%d" % count]
        fleet.pass_time(500)
    assert fleet.leader() == 1
    assert [fleet[node].node.shard.raft.term for node in NODES] == [term] * 3


@pytest.mark.parametrize("seed", range(8))
def test_a_cluster_that_is_whole_again_has_a_leader_at_once(seed: int) -> None:
    """#21: after faults a cluster had no leader although all of its nodes were up and heard each other."""
    random_ = Random(seed)
    fleet = Fleet()
    fleet.elect()
    for _ in range(12):
        match random_.choice(["cut", "kill", "power", "sleep", "hand over"]):
            case "cut":
                fleet.cut(random_.choice(NODES))
            case "kill":
                fleet.kill(random_.choice([node for node in NODES if node not in fleet.down] or [1]))
            case "power":
                for node in NODES:
                    if node not in fleet.down:
                        fleet.kill(node)
            case "sleep":
                fleet.pass_time(random_.choice([300, 1500]), paused=(random_.choice(NODES),))
            case "hand over":
                node = random_.choice(NODES)
                if node not in fleet.down:
                    fleet[node].connect().ask(f"REDRAFT TRANSFER {random_.choice(NODES)}")
        fleet.pass_time(random_.choice([50, 700, 2500]))
        fleet.heal()
        for node in sorted(fleet.down):
            fleet.start(node)
        fleet.pass_time(3 * ELECTION_MS)
        fleet.leader()
        clients = [fleet[node].connect() for node in NODES]
        assert [say(fleet, client, "SET k v", "GET k") for client in clients] == [[b"OK", b"v"]] * 3, f"seed {seed}"


@pytest.mark.parametrize("seed", range(4))
def test_connections_may_close_at_any_moment(seed: int) -> None:
    """#49: an assertion failed when connections closed. Here clients go away in the middle of all that they can be in
    the middle of, links break under them, and every node is looked at after each step."""
    random_ = Random(seed)
    fleet = Fleet()
    fleet.elect()
    lines = [
        ("INCR n",), ("GET n", "INCR n"), ("MULTI", "INCR n"), ("MULTI", "INCR n", "EXEC"), ("WATCH n", "GET n"),
        ("BLPOP l 0",), ("BLPOP l 0", "INCR n"), ("XREAD BLOCK 0 STREAMS x $",), ("WAIT 3 0",), ("SELECT 3", "INCR n"),
        ("CLIENT REPLY OFF", "INCR n"), ("CLIENT PAUSE 100 WRITE",), ("MONITOR",), ("RPUSH l a b",), ("SCAN 0",),
        ("QUIT",),
    ]  # fmt: skip
    clients: list[tuple[int, Client]] = []
    for step in range(150):
        node = random_.choice(NODES)
        client = fleet[node].connect()
        client.ask(*random_.choice(lines))
        if random_.random() < 0.2:
            client.send(b"*3\r\n$3\r\nSET\r\n$100\r\nhalf")
        clients.append((node, client))
        for _ in range(random_.randint(0, 3)):
            fleet.tick_all()
        random_.shuffle(clients)
        for place, each in clients[: random_.randint(0, 2)]:
            fleet[place].node.close_session(each.session)
        del clients[: random_.randint(0, 2)]
        if step % 20 == 9:
            fleet.cut(random_.choice(NODES))
        if step % 20 == 14:
            fleet.heal()
        if step % 10 == 0:
            fleet.pass_time(100)
        for each_node in NODES:
            fleet[each_node].node.check()
    fleet.heal()
    for node in NODES:
        for session in list(fleet[node].node.sessions.values()):
            if session.link is None:
                fleet[node].node.close_session(session)
    fleet.pass_time(8000)
    for node in NODES:
        fleet[node].node.check()
        assert not fleet[node].node.shard.keyspace.waiters.replicated()
        assert say(fleet, fleet[node].connect(), "SET k v", "GET k") == [b"OK", b"v"], f"seed {seed}"


@pytest.mark.parametrize("node", NODES)
def test_discard_needs_no_leader(fleet: Fleet, node: int) -> None:
    """#25: DISCARD was refused where nobody led, and the commands behind it were still queued."""
    client = fleet[node].connect()
    assert say(fleet, client, "MULTI", "SET k v") == [b"OK", b"QUEUED"]
    for other in NODES:
        if other != node:
            fleet.kill(other)
    fleet.pass_time(3000)
    assert say(fleet, client, "DISCARD", "PING", "EXEC") == [b"OK", b"PONG", ReplyError("ERR EXEC without MULTI")]
    assert say(fleet, client, "MULTI", "DISCARD", "PING") == [b"OK", b"OK", b"PONG"]


@pytest.mark.parametrize("seed", range(2))
def test_every_reply_goes_to_the_client_that_asked_whatever_becomes_of_leaders_and_links(seed: int) -> None:
    """#26: after a partition clients got replies to what others had asked. Here each asks for what only it has set."""
    random_ = Random(seed)
    fleet = Fleet()
    fleet.elect()
    clients = [(f"c{node}-{number}", fleet[node].connect()) for node in NODES for number in range(4)]
    for round_ in range(40):
        if round_ % 10 == 3:
            fleet.cut(random_.choice(NODES))
        if round_ % 10 == 7:
            fleet.heal()
        if round_ % 15 == 14:
            fleet[random_.choice(NODES)].connect().ask(f"REDRAFT TRANSFER {random_.choice(NODES)}")
        for name, client in clients:
            client.ask("MULTI", f"SET {name} {name}-{round_}", f"GET {name}", "EXEC", f"ECHO {name}")
        for _ in range(random_.randint(1, 6)):
            fleet.tick_all()
        fleet.pass_time(50)
    fleet.heal()
    fleet.pass_time(6000)
    served = 0
    for name, client in clients:
        replies = client.replies()
        assert len(replies) == 40 * 5
        for round_ in range(40):
            multi, _, _, result, echo = replies[round_ * 5 : round_ * 5 + 5]
            assert (multi, echo) == (b"OK", name.encode())
            if not isinstance(result, ReplyError):
                assert result == [b"OK", f"{name}-{round_}".encode()]
                served += 1
    assert served > len(clients) * 12
