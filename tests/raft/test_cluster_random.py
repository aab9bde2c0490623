"""Clusters under random loss, delay, reordering, crashes, cuts, snapshots, hand-overs and membership changes.

Each seed is one history; a failing one is in the test's name and replays exactly. In the end everything heals, and all
members must have the same entries, with every one that was ever committed.
"""

from __future__ import annotations

from random import Random

import pytest
from raft.cluster import TICK_MS, Cluster, Member

from redraft.ids import NodeId
from redraft.raft.errors import RaftError
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange
from redraft.raft.status import Role

STEPS = 1200


class History:
    """One random run."""

    def __init__(self, seed: int) -> None:
        self.random = random = Random(seed)
        self.cluster = Cluster(
            size=5,
            voters=random.choice([1, 2, 3, 5]),
            seed=seed,
            election_ticks=random.choice([3, 5, 10]),
            pre_vote=random.random() < 0.7,
            tick_ms=TICK_MS,
            max_append_bytes=random.choice([1, 20, 1 << 20]),
            max_inflight_appends=random.choice([1, 2, 64]),
            max_promotion_lag=random.choice([3, 100]),
        )
        self.differ = random.random() < 0.5
        """Whether members have settings of their own, which change while they run and while they are down."""
        self.proposals = 0
        self.reads: dict[int, int] = {}
        """What was committed anywhere when a read was asked for; it must see that."""
        self.loss = random.choice([0.0, 0.0, 0.02, 0.2])
        self.delay = random.choice([0.0, 0.3, 0.8])
        self.faults = random.choice([0.01, 0.03, 0.1])
        self.changes = random.choice([0.0, 0.01, 0.1])

    def run(self, steps: int) -> None:
        """Random steps, then peace."""
        for _ in range(steps):
            self.step()
            self.cluster.check()
            self.check_reads()
        self.heal()

    def step(self) -> None:
        """About a quarter of a tick: everybody may do something, and most messages arrive."""
        cluster, random = self.cluster, self.random
        if random.random() < self.faults:
            self.fault()
        if random.random() < 0.25:
            cluster.now_ms += TICK_MS
            for member in cluster.running():
                if random.random() < 0.95:
                    member.raft.tick(cluster.now_ms)
        for member in random.sample(cluster.running(), len(cluster.running())):
            choice = random.random()
            if choice < 0.2:
                self.propose(member)
            elif choice < 0.4:
                self.read(member)
            elif choice < 0.4 + self.changes:
                self.change(member)
            while random.random() < 0.8 and (member.unsynced or member.raft.has_ready()):
                if member.unsynced and random.random() < 0.6:
                    cluster.sync(member)
                elif member.raft.has_ready():
                    cluster.take(member)
        messages, cluster.network = cluster.network, []
        if random.random() < 0.2:
            random.shuffle(messages)
        for message in messages:
            if random.random() < self.delay:
                cluster.network.append(message)
                continue
            if random.random() >= self.loss:
                cluster.deliver(message)
            else:
                cluster.lose(message)
            if random.random() < 0.02:
                cluster.network.append(message)

    def propose(self, member: Member) -> None:
        try:
            for _ in range(self.random.randrange(1, 4)):
                member.raft.propose(b"%d" % self.proposals)
                self.proposals += 1
        except RaftError:
            pass

    def read(self, member: Member) -> None:
        context = len(self.reads)
        try:
            member.raft.read_index([context], self.cluster.now_ms)
        except RaftError:
            return
        self.reads[context] = len(self.cluster.committed)

    def check_reads(self) -> None:
        for member in self.cluster.running():
            for state in member.reads:
                assert state.index >= self.reads[state.context], "a stale read"
            member.reads.clear()

    def change(self, member: Member) -> None:
        random = self.random
        nodes = random.sample(range(1, 6), random.choice([1, 1, 2, 3]))
        changes = tuple(MemberChange(random.choice(list(ChangeKind)), NodeId(node)) for node in nodes)
        try:
            if random.random() < 0.3:
                member.raft.transfer_leader(NodeId(nodes[0]))
            else:
                member.raft.change_members(ConfChange(changes))
        except RaftError:
            pass

    def fault(self) -> None:
        cluster, random = self.cluster, self.random
        member = cluster.members[NodeId(random.randrange(1, 6))]
        if self.differ and random.random() < 0.3:
            member.configure(election_ticks=random.choice([3, 5, 10, 30]), heartbeat_ticks=random.choice([1, 1, 2]))
            return
        leader = cluster.leader()
        if leader is not None and random.random() < 0.3:
            member = leader
        choice = random.random()
        if choice < 0.25:
            cluster.crash(member)
            if random.random() < 0.5:
                member.start()
        elif choice < 0.55:
            for each in cluster.members.values():
                if not each.up:
                    each.start()
        elif choice < 0.75:
            if not member.up:
                return
            member.flush()
            if random.random() < 0.7:
                member.compact()
        elif choice < 0.85:
            group = {member.config.id, *random.sample(range(1, 6), random.randrange(2))}
            one_way = random.random() < 0.3
            cluster.cut = lambda m: (
                ((m.to in group) and m.sender not in group) or (not one_way and m.sender in group and m.to not in group)
            )
        else:
            cluster.cut = lambda message: False

    def heal(self) -> None:
        """Everybody is up and heard; soon all have applied everything."""
        cluster = self.cluster
        cluster.cut = lambda message: False
        for member in cluster.members.values():
            if not member.up:
                member.start()
            if not member.config.pre_vote:
                # Else one that cannot win, and has the shortest timeout, comes first for ever.
                member.configure(election_ticks=10)
        cluster.settle()
        # Without pre-vote, members that cannot win may come first for some elections.
        for _ in range(60):
            cluster.tick(member.config.election_ticks)
            leader = cluster.leader()
            if leader is not None:
                break
        assert leader is not None, "no leader in a healthy cluster"
        leader.raft.propose(b"the end")
        cluster.tick(30)
        self.check_reads()
        conf = leader.raft.conf
        assert not conf.outgoing
        for node in conf.members():
            assert cluster.members[node].applied == cluster.committed, f"member {node} is behind"
        if leader.raft.role is Role.LEADER:
            assert any(entry.data == b"the end" for entry in cluster.committed)


@pytest.mark.parametrize("seed", range(200))
def test_nothing_committed_is_lost(seed: int) -> None:
    History(seed).run(STEPS)
