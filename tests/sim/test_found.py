"""What simulated runs have found, each as a cluster that shows it by itself."""

from __future__ import annotations

from typing import Any

from redraft.ids import NodeId
from redraft.node.flusher import Phase
from sim.asking import Asking
from sim.clients import Clients
from sim.cluster import Cluster
from sim.events import MS, SECOND
from sim.machine import Machine, Speeds
from sim.shell import Shell
from support.processes import ReplyError

LONG_JOB_NS = 3 * SECOND


def ask(cluster: Cluster, machine: Machine, *command: Any) -> list[Any]:
    """Ask a node; its reply will be in the list."""
    replies: list[Any] = []
    Asking(cluster, machine, command, replies.append)
    return replies


def away(shell: Shell) -> Machine:
    """A follower that was away for so long that it needs a snapshot."""
    shell.line("until leader")
    shell.line("bind")
    shell.line("propose $L SET k 0")
    shell.line("run 500")
    follower = shell.cluster.machines[int(shell.names["F1"])]
    shell.line("kill $F1")
    for number in range(30):
        shell.line(f"propose $L SET k {number}")
    shell.line("run 1000")
    shell.line("flush $L")
    shell.line("run 1000")
    shell.line("start $F1")
    shell.line("until up $F1")
    return follower


def test_a_snapshot_is_not_installed_while_a_flush_is_being_finished() -> None:
    """The flush's file would enter the image that has just been replaced."""
    shell = Shell()
    follower = away(shell)
    follower.speeds = Speeds(job_ns=(LONG_JOB_NS, LONG_JOB_NS))
    # The snapshot has arrived and is read for as long as a job takes; the flush's job begins a moment before its end.
    shell.cluster.run_until(lambda: bool(follower._jobs), 10 * SECOND, "no snapshot comes")
    shell.cluster.run(LONG_JOB_NS - 50 * MS)
    follower.node.flusher.request()
    follower.wake()
    shell.cluster.run_until(lambda: follower.node.flusher.phase is Phase.FINISHING, SECOND, "no flush")
    shell.line("until reached $F1")
    shell.cluster.run(10 * SECOND)
    assert follower.up, follower.why_down
    shell.line("until equal")


def test_a_new_node_is_answered_to_when_no_founder_is_left() -> None:
    cluster = Cluster(1)
    cluster.start()
    shell = Shell()
    shell.cluster = cluster
    for _ in range(2):
        shell.line("until leader")
        shell.line("bind")
        shell.line("join NEW")
        shell.line("until up $NEW")
        shell.line("send $L REDRAFT REPLACE $L $NEW")
        shell.line("until down $L")
        shell.line("until leader $NEW")
    assert cluster.members() == [NodeId(3)]


def test_a_node_that_comes_back_to_a_cluster_of_strangers_answers_them() -> None:
    """Its table names nobody of them; they tell where they are when they link to it."""
    shell = Shell()
    shell.line("until leader")
    shell.line("run 1000")
    shell.line("kill 3")
    shell.line("until leader")
    for name in ("FOUR", "FIVE"):
        shell.line(f"join {name}")
        shell.line(f"until up ${name}")
        shell.line(f"until voter ${name}")
    for old in (1, 2):
        shell.line(f"propose $FOUR REDRAFT REMOVE {old} -> OK")
        shell.line(f"until down {old}")
        shell.line("until leader")
    shell.line("propose $FIVE SET k v -> OK")
    shell.line("start 3")
    shell.line("until reached 3")
    shell.line("until equal")
    assert sorted(shell.cluster.machines[3].node.config.table.nodes) == [3, 4, 5]


def test_a_new_node_is_told_the_founders_by_a_node_that_began_with_a_snapshot() -> None:
    """The leader's log may have the first entry of all, and the changes since are changes of what it began with."""
    shell = Shell()
    shell.line("cluster 5 flush_dirty_keys=10000 flush_log_bytes=10000000")
    cluster = shell.cluster
    shell.line("until leader")
    shell.line("bind")
    shell.line("propose $L REDRAFT TRANSFER 1")
    shell.line("until leader 1")
    shell.line("run 1000")
    shell.line("propose 1 REDRAFT REMOVE 5 -> OK")
    shell.line("until down 5")
    shell.line("kill 3")
    for number in range(30):
        shell.line(f"propose 1 SET k {number}")
    shell.line("flush 1")
    shell.line("run 1000")
    shell.line("start 3")
    shell.line("until reached 3")
    assert [line for line in shell.trace.lines() if "a snapshot of" in line]
    shell.line("kill 3")
    shell.line("start 3")
    shell.line("until up 3")
    shell.line("propose 1 REDRAFT TRANSFER 2")
    shell.line("until leader 2")
    third = cluster.machines[3]
    cluster.up = lambda: [third]  # type: ignore[method-assign]
    shell.line("join NEW")
    shell.line("until up $NEW")
    del cluster.up
    shell.line("until voter $NEW")
    identity = cluster.machines[6].disk.identity
    assert identity is not None
    assert identity.first_voters == (1, 2, 3, 4, 5)


def test_a_node_whose_link_breaks_before_it_has_answered_a_new_leader_needs_no_snapshot() -> None:
    """The leader would begin to look for where the logs match at the first entry of all, which is gone."""
    shell = Shell()
    shell.line("until leader")
    shell.line("bind")
    for number in range(20):
        shell.line(f"propose $L SET k {number}")
    shell.line("pause $L")
    shell.line("run 2500")
    shell.line("until leader")
    shell.line("flush $F1")
    shell.line("flush $F2")
    shell.line("run 1000")
    shell.line("kill $L")
    shell.line("run 500")
    shell.line("start $L")
    shell.line("until reached $L")
    assert not [line for line in shell.trace.lines() if "a snapshot of" in line]


def test_a_follower_shows_nothing_that_its_leader_has_not_applied() -> None:
    """A leader that applies in pieces, and waits for its disk between them, told of all that was committed."""
    cluster = Cluster(3, raft_options={"max_committed_bytes_per_ready": 1})
    for machine in cluster.machines.values():
        machine.speeds = Speeds((MS, 40 * MS))
    clients = Clients(cluster, 8, 10 * MS)
    cluster.start()
    clients.start()
    cluster.run(8 * SECOND)
    assert clients.violations() == []
    assert len(clients.history) > 200


def test_a_key_that_was_seen_to_be_gone_does_not_come_back() -> None:
    """A leader hid a key that was due by its clock; the next leader, whose clock was behind, showed it again. (That was
    when leaders went by their wall clocks, and among nodes of several versions one still may.)"""
    cluster = Cluster(3)
    for machine in cluster.machines.values():
        machine.stamps_wall_time = True
    cluster.start()
    cluster.run(5 * SECOND)
    old = cluster.leader()
    assert old is not None
    old.clock.wall_offset_ms = 3000
    written = ask(cluster, old, "SET", "k", "v", "PX", 100)
    cluster.run(50 * MS)
    assert written == [b"OK"]
    others = [machine for machine in cluster.machines.values() if machine is not old]
    for machine in others:
        cluster.cut(old.number, machine.number)
    cluster.run(200 * MS)
    asked = ask(cluster, old, "GET", "k")
    cluster.run(100 * MS)
    assert old.node.serves, "it has its lease, and answers reads alone"
    assert asked == [], "but that the key is gone is not for it to say alone"
    cluster.run_until(lambda: cluster.leader() in others, 5 * SECOND, "no other leader")
    new = cluster.leader()
    assert new is not None
    cluster.run(100 * MS)
    seen = ask(cluster, new, "GET", "k")
    cluster.run(100 * MS)
    assert seen == [b"v"], "by its clock, and by the log's, it is there"
    for machine in others:
        cluster.heal(old.number, machine.number)
    cluster.run(5 * SECOND)
    assert isinstance(asked[0], ReplyError)
    seen = ask(cluster, new, "GET", "k")
    cluster.run(100 * MS)
    assert seen == [None]


def test_an_element_that_a_snapshot_passed_over_is_not_said_to_be_there_still() -> None:
    """The push, and who got its element, were in a part of the log that the client's node never saw; told that its wait
    had taken nothing, the client lost it."""
    shell = Shell()
    shell.line("until leader")
    shell.line("bind")
    cluster = shell.cluster
    leader, cut_off = (cluster.machines[int(shell.names[name])] for name in ("L", "F1"))
    waiting = ask(cluster, cut_off, "BLPOP", "queue", 0)
    cluster.run(500 * MS)
    for machine in cluster.machines.values():
        if machine is not cut_off:
            cluster.cut(machine.number, cut_off.number)
    assert waiting == []
    pushed = ask(cluster, leader, "RPUSH", "queue", "element")
    for number in range(30):
        shell.line(f"propose $L SET k {number}")
    shell.line("flush $L")
    shell.line("flush $F2")
    shell.line("run 1000")
    assert pushed == [1]
    shell.line("kill $L")
    shell.line("run 3000")
    for machine in cluster.machines.values():
        if machine is not cut_off:
            cluster.heal(machine.number, cut_off.number)
    shell.line("start $L")
    shell.line("until leader")
    shell.line("until reached $F1")
    cluster.run(SECOND)
    assert any("a snapshot of" in line for line in shell.trace.lines())
    assert [str(reply)[:8] for reply in waiting] in (["UNKNOWN "], ["[b'queue"])
    shell.line("propose $F2 LLEN queue -> 0")
