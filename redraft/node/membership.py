"""Changing who is in the cluster: joining, leaving, promotion, hand-over.

The config table says who belongs to the cluster (`cluster.table`). A command changes the table, from any node; then the
leader of each group brings its members in line (`cluster.placement`): a new node joins as a learner, is sent what it
lacks, and becomes a voter by itself once it lacks little.

What this leaves out: who is in the cluster (`node.members`).

Invariant: a session waits here for at most one change, and is blocked meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from redraft.cluster.placement import HandOver, next_step
from redraft.cluster.table import Admit, Announce, Change, Drop, Found, Left, NodeRecord, Retire, Rise, ShardRecord
from redraft.commands.table import Reply
from redraft.errors import CommandError
from redraft.ids import NO_NODE, NodeId
from redraft.node.context import NO_REPLY
from redraft.node.session import Blocked, Session
from redraft.raft.errors import NotLeaderError, RaftError
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange
from redraft.raft.progress import ProgressState
from redraft.resp.reply import OK

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.raft.node import RaftNode

log = logging.getLogger("redraft.cluster")

LOOK_TICKS = 10
"""Raft ticks between two looks whether the groups' members are those that the table wants."""
PATIENCE_MS = 10_000
"""How long a command waits until its change is carried out."""


class _Waiting(NamedTuple):
    session: Session
    is_done: Callable[[], bool]
    reply: Callable[[], Reply]
    deadline_ns: int
    doing: str


class Membership:
    """One node's part in changes of the cluster's members."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting: list[_Waiting] = []
        self._ticks_to_look = 0
        self._gone: list[NodeId] = []
        """Nodes with a link to here that were seen to be of the cluster no more."""
        self._announced = False
        """Whether the table says of this node what is true, or is asked to."""

    def join(self, session: Session, address: str, incarnation: str, level: int) -> Reply:
        """Admit a new node: what it needs to know."""
        node = self._node

        def reply() -> Reply:
            table = node.config.table
            number = table.find(incarnation)
            assert number is not None
            # Both groups' logs began with who founded the cluster. Of the shard's this node may have only what is
            # behind a snapshot, and the new one may be sent all of it.
            founders = node.config.raft.first_conf.voters
            addresses = [word for each in table.nodes for word in (each, self._node.members.address(each).encode())]
            return [
                number,
                node.cluster.id.encode(),
                [*founders],
                addresses,
            ]

        return self._change(session, Admit(address, incarnation, level), lambda: True, reply, "joining")

    def remove(self, session: Session, number: NodeId, successor: NodeId = NO_NODE) -> Reply:
        """Take a node out of the cluster; it need not be there. With a successor, that one takes its place."""
        node = self._node
        record = node.config.table.nodes.get(number)
        if record is None:
            raise CommandError(f"ERR node {number} is not a member")
        if successor == NO_NODE:
            self._check_majority_without(number)
        done = lambda: number not in node.config.table.nodes  # noqa: E731
        doing = f"node {number} at {record.address} is leaving"
        return self._change(session, Retire(number, successor), done, lambda: OK, doing)

    def _check_majority_without(self, leaving: NodeId) -> None:
        """A change that would stop the cluster is refused."""
        node = self._node
        voters = [each for each in node.shard.raft.conf.voters if each != leaving]
        there = [each for each in voters if each == node.id or node.peers.linked(each)]
        if voters and len(there) <= len(voters) // 2:
            missing = ", ".join(str(each) for each in voters if each not in there)
            raise CommandError(
                f"ERR without node {leaving} there would be no majority, since these do not answer: {missing}"
            )

    def promote(self, session: Session, number: NodeId) -> Reply:
        """Make a learner of the shard a voter, now."""
        raft = self._leading()
        if number not in raft.conf.members():
            raise CommandError(f"ERR node {number} is not a member")
        if raft.conf.is_voter(number):
            raise CommandError(f"ERR node {number} is a voter already")
        try:
            change = ConfChange((MemberChange(ChangeKind.ADD_VOTER, number),), self._table_version())
            index = raft.change_members(change)
        except NotLeaderError as error:
            raise CommandError(f"CLUSTERDOWN {error}") from error
        except RaftError as error:
            raise CommandError(f"ERR {error}") from error
        shard = self._node.shard
        return self._wait(session, lambda: shard.applied.index >= index, lambda: OK, "it is being promoted")

    def transfer(self, number: NodeId) -> Reply:
        """Hand the shard's leadership over; it is done when the nodes say so."""
        raft = self._leading()
        if number == raft.id:
            return OK
        try:
            self._node.leadership.hand_over(raft, number)
        except RaftError as error:
            raise CommandError(f"ERR {error}") from error
        return OK

    def _leading(self) -> RaftNode:
        raft = self._node.shard.raft
        if raft.leader is None:
            raise CommandError("CLUSTERDOWN this node does not lead")
        return raft

    def _change(
        self, session: Session, change: Change, is_done: Callable[[], bool], reply: Callable[[], Reply], doing: str
    ) -> Reply:
        """Have a change made and carried out; the session waits."""
        made: list[bool] = []
        answer = self._wait(session, lambda: bool(made) and is_done(), reply, doing)

        def decided(error: CommandError | None) -> None:
            if error is None:
                log.warning("the cluster changes: %s", change)
                made.append(True)
            elif any(each.session is session for each in self._waiting):
                self._forget(session)
                self._node.unblock(session, error)

        self._node.changes.ask(change, decided)
        return answer

    def _wait(self, session: Session, is_done: Callable[[], bool], reply: Callable[[], Reply], doing: str) -> Reply:
        deadline_ns = self._node.clock.monotonic_ns() + PATIENCE_MS * 1_000_000
        self._waiting.append(_Waiting(session, is_done, reply, deadline_ns, doing))
        self._node.block(session, Blocked("members", on_cancel=lambda: self._forget(session)))
        return NO_REPLY

    def _forget(self, session: Session) -> None:
        self._waiting = [each for each in self._waiting if each.session is not session]

    # As things happen.

    def step(self) -> None:
        """Something was applied or time has passed: answer those who need not wait any more."""
        if not self._waiting:
            return
        now_ns = self._node.clock.monotonic_ns()
        for each in list(self._waiting):
            if each.is_done():
                self._forget(each.session)
                self._node.unblock(each.session, each.reply())
            elif now_ns >= each.deadline_ns:
                self._forget(each.session)
                self._node.unblock(each.session, CommandError(f"UNKNOWN it was not done in time: {each.doing}"))

    def table_changed(self) -> None:
        """There may be a new version of the table."""
        self._node.table.allow(self._node.config.table.level)
        self._ticks_to_look = 0
        self.step()

    def tick(self) -> None:
        """A Raft tick: have the table say where this node is, and the groups' members be those of the table."""
        self.step()
        leads = self._node.config.leads()
        if leads and not self._node.config.table.version:
            self._found()
        self._ticks_to_look -= 1
        if self._ticks_to_look > 0:
            return
        self._ticks_to_look = LOOK_TICKS
        self._cut_links()
        if leads:
            self._strike_out()
            self._rise()
        if self._node.config.table.version:
            self._announce()
            self._place()

    def _cut_links(self) -> None:
        """Listen no more to who is gone since the last look: so they have time to hear of it in the log. Nor to who was
        let in while nobody could tell whether it is a member, and is none."""
        members = self._node.members
        gone = [
            peer for peer in self._node.incoming.linked_from() if members.is_gone(peer) or members.is_stranger(peer)
        ]
        self._node.incoming.cut([peer for peer in gone if peer in self._gone])
        self._gone = gone

    def _announce(self) -> None:
        node = self._node
        record = node.config.table.nodes.get(node.id)
        if record is None or self._announced:
            return
        # (A node alone that listens at no port has no address.)
        address = node.members.address_here or record.address
        said = Announce(node.id, address, node.members.incarnation, node.config.knows)
        if (record.address, record.incarnation, record.level) != (said.address, said.incarnation, said.level):
            self._announced = True
            node.changes.ask(said, self._on_announced)

    def _on_announced(self, error: CommandError | None) -> None:
        self._announced = False
        if error is not None:
            log.error("the cluster does not take what this node says of itself: %s", error)

    def _found(self) -> None:
        node = self._node
        if not node.changes.pending():
            members = {*node.config.raft.conf.members(), *node.shard.raft.conf.members()}
            records = {each: NodeRecord(self._node.members.address(each)) for each in sorted(members)}
            node.changes.ask(Found(records), self._on_kept)

    def _strike_out(self) -> None:
        """The config group's leader takes those out of the table who have left all shards.

        Who is out of the table stops as soon as it hears of that, so before that its vote is taken from it: else the
        config group might need it yet, and for ever, to commit its own removal, or what stands in the log before it.
        """
        table, raft = self._node.config.table, self._node.config.raft
        for leaving in table.leaving():
            if table.shards_of(leaving) or leaving == raft.id:
                continue
            if raft.conf.is_voter(leaving):
                self._change_group(raft, ConfChange((MemberChange(ChangeKind.ADD_LEARNER, leaving),)))
                self._ticks_to_look = 1
            elif raft.leader is not None and raft.leader.may_change():
                self._node.changes.ask(Drop(leaving), self._on_kept)

    def _rise(self) -> None:
        """The config group's leader has what all nodes know be used."""
        table = self._node.config.table
        if table.common_level() > table.level and not self._node.changes.pending():
            self._node.changes.ask(Rise(table.common_level()), self._on_kept)

    @staticmethod
    def _on_kept(error: CommandError | None) -> None:
        if error is not None:
            log.debug("the config table stays as it is: %s", error)

    def _place(self) -> None:
        """Where this node leads, take the next step towards what the table wants."""
        node = self._node
        table = node.config.table
        shard = table.shards.get(node.shard.group)
        if shard is not None and table.version >= node.shard.applied.table_version:
            # (An older table wants what an earlier leader has put right already.)
            self._place_group(node.shard.raft, shard.replicas, table.leaving())
            self._tell_who_left(shard)
        # Who leaves the cluster is of the config group until the table has it no more, so that it hears of that: as a
        # learner in the end. It does not lead it, since it does not hear when it has left a shard.
        self._place_group(
            node.config.raft, tuple(table.nodes), {node.id: NO_NODE} if node.id in table.leaving() else {}
        )

    def _tell_who_left(self, shard: ShardRecord) -> None:
        """The shard's leader says who is of its group no more. Any other replica may be behind: were it asked instead,
        one that has nothing yet would let go of those who have everything."""
        node = self._node
        applied, newest = node.shard.applied.conf, node.shard.raft.conf
        if not node.serves or applied.outgoing or newest.outgoing:
            return
        for leaving in node.config.table.leaving():
            if leaving in shard.replicas and leaving not in {*applied.members(), *newest.members()}:
                node.changes.ask(Left(node.shard.group, leaving), self._on_kept)

    def _place_group(self, raft: RaftNode, wanted: tuple[NodeId, ...], leaving: dict[NodeId, NodeId]) -> None:
        leader = raft.leader
        if leader is None:
            return
        caught_up = [
            node
            for node, progress in leader.followers.items()
            if progress.state is ProgressState.REPLICATE
            and progress.match
            and self._node.peers.linked(node)
            and node not in raft.distrusted
            and node not in self._node.config.table.leaving()
        ]
        self._change_group(raft, next_step(raft.conf, wanted, leaving, caught_up, raft.id))

    def _table_version(self) -> bytes:
        """What a change of members says of the table that it follows."""
        return b"%d" % max(self._node.config.table.version, self._node.shard.applied.table_version)

    def _change_group(self, raft: RaftNode, step: ConfChange | HandOver | None) -> None:
        try:
            if isinstance(step, HandOver):
                self._node.leadership.hand_over(raft, step.to)
            elif step is not None:
                raft.change_members(structs.replace(step, context=self._table_version()))
                log.warning("group members change: %s", step.changes)
        except RaftError as error:
            log.debug("the members stay as they are for now: %s", error)
