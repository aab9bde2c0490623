"""What this node and the others have promised in their groups, and who comes back with less.

Theory (the argument for safety stands in `raft.forgetting`). A promise is no good if only the one that made it knows
of it: its disk may be put back to an older copy, or lose what `appendfsync everysec` had not synced. So each node
tells all others, in the first frame of each link and then as things change, how far it is, and which starts it has
had; and each remembers the most that it has heard of every other, a leader also what it was acknowledged, whoever was
voted for that vote. What is remembered is told back. So who comes back with less hears of it from the first that
knows, and that one trusts it no more until it has caught up.

What is remembered is kept on disk, without an fsync, now and then and with each new start: losing some of it loses
only a chance to recognise somebody. What the node knows of its own starts, and that it has forgotten something, is
durable before anything is said.

What cannot be recognised: a node that comes back with less, when nobody is there who knows that it had more. Of three
nodes, one was cut off, the second acknowledged what the third wrote, and is put back to a copy that was taken while
it ran; then the third stops: the first knows of nothing. (Had the second been started since the copy was taken, and
the first heard of that, it would be recognised by its starts.)

Invariants: nobody is remembered to have promised less than before while it is an ordinary member; what is remembered
of one that has forgotten stays until it is whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from redraft.errors import DamagedDataError
from redraft.ids import CONFIG_GROUP, GroupId, NodeId
from redraft.node.standing import GroupStanding, Remembered, Standing, Start, has_forgotten
from redraft.raft.messages import Position

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.raft.node import RaftNode

log = logging.getLogger("redraft.cluster")

MOST_STARTS = 16
"""So many of its last starts a node keeps, and tells."""
TELL_TICKS = 10
"""Raft ticks after which a node tells how far it is also when nothing has changed, with what it has to say anyway."""
MOST_GONE = 64
"""So many of the nodes that were removed from the cluster a node tells."""
PATIENCE_ELECTIONS = 4
"""Where most voters have forgotten: so many election timeouts they wait for those that they have not heard."""


class Lives(msgspec.Struct):
    """What a node keeps of its starts."""

    number: int = 0
    """The next one gets the next number."""
    starts: list[Start] = []
    forgotten: dict[int, Remembered] = {}
    """The groups in which it has forgotten something and is not whole yet: what it had promised at least."""


_Others = dict[NodeId, dict[int, Remembered]]


class Memory:
    """One node's."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.token = ""
        """This life's."""
        self.keep_lives: Callable[[bytes], None] = lambda data: None
        """Makes what the node knows of its starts durable; the server's."""
        self.keep_others: Callable[[bytes], None] = lambda data: None
        """Keeps what it knows of others, over the end of the process at least; the server's."""
        self.lost: dict[GroupId, str] = {}
        """Of each group where this life has found it: what may be lost."""
        self._lives = Lives()
        self._others: _Others = {}
        self._heard: dict[NodeId, Standing] = {}
        """The last that each node has told since this one started."""
        self._told: dict[NodeId, tuple[Standing, int]] = {}
        """What each was told last, and the ticks since then."""
        self._forgetful_ticks = 0
        """Since this node was last told that it has forgotten something."""
        self._unsaved = False

    # Starting and keeping.

    def read(self, lives: bytes | None, others: bytes | None) -> None:
        """What an earlier life has kept; what it remembered of others may be damaged, and then is not known. Raises
        DamagedDataError."""
        if lives is not None:
            try:
                self._lives = msgspec.json.decode(lives, type=Lives)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise DamagedDataError(f"what this node kept of its starts is damaged: {error}") from error
        if others is not None:
            try:
                self._others = msgspec.json.decode(others, type=_Others)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("what this node remembered of others cannot be read: %s", error)

    def begin(self) -> None:
        """The groups' logs were read: a life begins. Raises StorageError."""
        node, lives = self._node, self._lives
        self.token = node.door.introduction.life
        ends = {int(group): Position(raft.term, raft.last_index) for group, raft in self._rafts()}
        lives.number += 1
        lives.starts = [*lives.starts, Start(self.token, ends, {}, lives.number)][-MOST_STARTS:]
        for group, raft in self._rafts():
            if group in lives.forgotten:
                if raft.is_alone:
                    del lives.forgotten[group]
                else:
                    raft.forget()
        self._keep_lives()

    def _keep_lives(self) -> None:
        self.keep_lives(msgspec.json.encode(self._lives))

    def take_unsaved(self) -> bytes | None:
        """What is to be kept of what is known of others; None when nothing has changed since the last call."""
        if not self._unsaved:
            return None
        self._unsaved = False
        return msgspec.json.encode(self._others)

    def _rafts(self) -> tuple[tuple[GroupId, RaftNode], ...]:
        node = self._node
        return (CONFIG_GROUP, node.config.raft), (node.shard.group, node.shard.raft)

    # Telling.

    def link_opened(self, peer: NodeId) -> None:
        """There is a link to a node: what it hears first is how far this one is."""
        self._tell(peer, self._standing(peer))

    def tick(self) -> None:
        """A Raft tick has passed: tell those whom it concerns what has changed."""
        self._forgetful_ticks += 1
        self._forget_the_gone()
        self._follow()
        for peer in self._node.peers.linked_to():
            told, ticks = self._told.get(peer, (None, 0))
            standing = self._standing(peer)
            if standing != told:
                self._tell(peer, standing)
                continue
            if ticks == TELL_TICKS:
                ticks = 0
                self._node.peers.offer_standing(peer, standing)
            self._told[peer] = (standing, ticks + 1)

    def _forget_the_gone(self) -> None:
        """Nobody counts on the promises of who was removed from the cluster."""
        for node in [node for node in self._others if self._node.members.is_gone(node)]:
            del self._others[node]
            self._unsaved = True
            for _, raft in self._rafts():
                raft.trust(node)

    def _tell(self, peer: NodeId, standing: Standing) -> None:
        self._told[peer] = (standing, 0)
        self._node.peers.send_standing(peer, standing)

    def _tell_all(self) -> None:
        for peer in self._node.peers.linked_to():
            self._tell(peer, self._standing(peer))

    def _standing(self, peer: NodeId) -> Standing:
        heard = self._heard.get(peer)
        groups = []
        for group, raft in self._rafts():
            groups.append(
                GroupStanding(
                    group, raft.term, raft.promised(), raft.log_end(), tuple(sorted(_voters(raft))), raft.forgetful,
                    self._known(peer, group, raft),
                )
            )  # fmt: skip
        token = heard.starts[-1].token if heard is not None else ""
        return Standing(tuple(self._lives.starts), token, tuple(groups), tuple(self._node.members.gone(MOST_GONE)))

    def _known(self, peer: NodeId, group: GroupId, raft: RaftNode) -> Remembered:
        """What is known of a node's promises in a group."""
        known = self._others.get(peer, {}).get(group, Remembered())
        if peer not in raft.distrusted:
            known = structs.replace(known, position=max(known.position, raft.promise_of(peer)))
        return known

    # Hearing.

    def received(self, sender: NodeId, standing: Standing) -> None:
        """A node has told how far it is, and how far this one had been. Raises StorageError."""
        rafts = dict(self._rafts())
        if not standing.starts:
            return
        self._heard[sender] = standing
        for told in standing.groups:
            raft = rafts.get(GroupId(told.group))
            if raft is not None:
                self._judge(sender, standing, told, raft)
                if has_forgotten(self._lives.starts, told.group, told.of_you):
                    self._forget(GroupId(told.group), raft, told.of_you, f"node {sender} remembers")
        self._follow()

    def _judge(self, sender: NodeId, standing: Standing, told: GroupStanding, raft: RaftNode) -> None:
        """Whether another node has forgotten what it promised."""
        group = GroupId(told.group)
        known = self._known(sender, group, raft)
        if told.forgetful or has_forgotten(standing.starts, group, known):
            if sender not in raft.distrusted:
                log.warning(
                    "node %d has forgotten what it had acknowledged in %s (up to entry %d of term %d as known here): it"
                    " does not count until it has caught up",
                    sender, _name(group), known.position.index, known.position.term,
                )  # fmt: skip
                self._remember(sender, group, known)
            raft.distrust(sender, knows_it=told.forgetful)
            return
        position = max(known.position, told.promised)
        if sender in raft.distrusted:
            log.warning("node %d has caught up in %s, and counts again", sender, _name(group))
            raft.trust(sender)
            position = told.promised
        self._remember(sender, group, Remembered(standing.starts[-1].token, standing.starts[-1].number, position))

    def _remember(self, node: NodeId, group: GroupId, known: Remembered) -> None:
        of_node = self._others.setdefault(node, {})
        before = of_node.get(group)
        if before == known:
            return
        of_node[group] = known
        self._unsaved = True
        if before is None or before.token != known.token:
            # A start is heard of once, and a copy is known by it.
            self.keep_others(self.take_unsaved() or b"")

    # What this node has forgotten itself.

    def _forget(self, group: GroupId, raft: RaftNode, known: Remembered, who: str) -> None:
        if raft.is_alone:
            return
        before = self._lives.forgotten.get(group)
        if before is not None:
            if known.number > before.number:
                self._lives.forgotten[group] = structs.replace(before, number=known.number)
                self._keep_lives()
            return
        self._lives.forgotten[group] = known
        self._forgetful_ticks = 0
        raft.forget()
        self._keep_lives()
        log.error(
            "this node has forgotten what it had acknowledged in %s: %s that it had been at entry %d of term %d; its"
            " disk was put back to an older copy, or lost what was not synced. It gives no vote, and does not count,"
            " until it has caught up",
            _name(group), who, known.position.index, known.position.term,
        )  # fmt: skip
        self._tell_all()

    def _follow(self) -> None:
        """Look at the groups in which this node has forgotten something: it may recollect, or be whole."""
        for group, raft in self._rafts():
            forgotten = self._lives.forgotten
            if raft.forgetful and group not in forgotten:
                # The leader has told of an entry that it had acknowledged.
                known = Remembered(position=raft.told_by_leader)
                self._forget(group, raft, known, "its leader says")
            if group not in forgotten:
                continue
            leader = raft.leader
            if leader is not None and raft.commit_index >= leader.first_index <= raft.promised().index:
                raft.become_whole()
            if raft.forgetful:
                self._recollect(group, raft)
            else:
                self._become_whole(group)

    def _become_whole(self, group: GroupId) -> None:
        lives = self._lives
        last = lives.starts[-1]
        lives.number = max(lives.number, lives.forgotten.pop(group).number)
        lives.starts[-1] = structs.replace(last, whole={**last.whole, int(group): lives.number})
        self._keep_lives()
        log.warning("this node has caught up in %s, and counts again", _name(group))
        self._tell_all()

    def _recollect(self, group: GroupId, raft: RaftNode) -> None:
        """See whether all voters that can be known were heard, or most have forgotten and were waited for."""
        answers = {peer: told for peer in sorted(self._heard) if (told := self._answer(peer, group)) is not None}
        halves = [half for half in (raft.conf.voters, raft.conf.outgoing) if half]
        # Who was removed from the cluster is of the group no more; this node may have forgotten that as well.
        gone = set(self._node.members.gone(MOST_GONE)).union(*(self._heard[peer].gone for peer in answers))
        others = _voters(raft).union(*(told.voters for told in answers.values())) - gone - {raft.id}
        forgetful = {raft.id, *(peer for peer, told in answers.items() if told.forgetful)}
        most_forgot = all(2 * len(forgetful.intersection(half)) > len(half) for half in halves)
        has_all = others <= answers.keys()
        patience = PATIENCE_ELECTIONS * raft.election_ticks
        if not has_all and not (most_forgot and self._forgetful_ticks > patience):
            return
        heard = [told for peer, told in answers.items() if peer in others]
        ends = [told.log_end for told in heard if most_forgot or not told.forgetful]
        if most_forgot:
            ends.append(raft.log_end())
        floor = max(ends, default=Position())
        if not raft.has_recollected:
            self._say_what_is_lost(group, floor, most_forgot=most_forgot)
        raft.recollect(floor, max((told.term for told in heard), default=raft.term), may_stand=most_forgot)

    def _answer(self, peer: NodeId, group: GroupId) -> GroupStanding | None:
        """What a node that has heard of this life has told of itself."""
        standing = self._heard[peer]
        if standing.heard != self.token:
            return None
        return next((told for told in standing.groups if told.group == group), None)

    def _say_what_is_lost(self, group: GroupId, floor: Position, *, most_forgot: bool) -> None:
        promised = self._lives.forgotten[group].position
        if most_forgot:
            self.lost[group] = (
                f"most voters of {_name(group)} have forgotten what they had acknowledged; the best log that is left"
                f" ends at entry {floor.index} of term {floor.term}, and what was acknowledged beyond it is lost"
            )
            if promised.index > floor.index:
                self.lost[group] += f": up to entry {promised.index} of term {promised.term}"
            log.error("%s", self.lost[group])

    # Looking in.

    def forgotten(self) -> dict[GroupId, Remembered]:
        """The groups in which this node is forgetful: what it had promised at least."""
        return {GroupId(group): known for group, known in self._lives.forgotten.items()}

    def known(self, node: NodeId, group: GroupId) -> Remembered:
        """What another node is known to have promised in a group."""
        return self._known(node, group, dict(self._rafts())[group])

    def is_forgetful(self, node: NodeId) -> bool:
        """Whether a node has forgotten something in any group, as far as this one knows."""
        return any(raft.forgetful if node == raft.id else node in raft.distrusted for _, raft in self._rafts())

    def status(self) -> str:
        """For people: what this node has forgotten, and what may be lost; empty when nothing."""
        parts = [
            f"{_name(group)}: had been at entry {known.position.index} of term {known.position.term}, is catching up"
            for group, known in sorted(self.forgotten().items())
        ]
        return "; ".join([*parts, *(self.lost[group] for group in sorted(self.lost))])

    def check(self) -> None:
        """Assert the invariants."""
        assert self._lives.starts[-1].token == self.token
        assert self._lives.starts[-1].number <= self._lives.number
        for _, raft in self._rafts():
            assert not (raft.forgetful and raft.leader is not None and not raft.has_recollected)


def _voters(raft: RaftNode) -> set[NodeId]:
    """The voters of a group, with those that a change takes out which is not known to be committed."""
    return {node for conf in (raft.conf, raft.applied_conf) for half in (conf.voters, conf.outgoing) for node in half}


def _name(group: GroupId) -> str:
    return "the config group" if group == CONFIG_GROUP else f"shard {group}"
