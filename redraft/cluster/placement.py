"""What a group's leader does next so that its group's members are those that the config table wants.

One step at a time, each safe by itself: whoever leads next goes on from what it finds. New members come as learners,
and vote when they have caught up; who leaves with a successor is replaced in one joint change; a leader that is to go
hands over first, so that nobody waits for an election.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from redraft.ids import NO_NODE, NodeId
from redraft.raft.membership import ChangeKind, ConfChange, MemberChange
from redraft.raft.messages import ConfState


class HandOver(NamedTuple):
    """Give leadership to another voter."""

    to: NodeId


def next_step(
    conf: ConfState,
    wanted: Collection[NodeId],
    leaving: Mapping[NodeId, NodeId],
    caught_up: Collection[NodeId],
    own: NodeId,
) -> ConfChange | HandOver | None:
    """The next step of a group's leader `own`; None when there is nothing to do, or something must come first.

    `wanted` are the nodes that shall be members, those of `leaving` (with who takes the place of each) among them or
    not; `caught_up` those that have nearly all of the log and answer.
    """
    if conf.outgoing:
        return None
    members = set(conf.members())
    new = [node for node in sorted(wanted) if node not in members and node not in leaving]
    if new:
        return ConfChange(tuple(MemberChange(ChangeKind.ADD_LEARNER, node) for node in new))
    ready = [node for node in conf.learners if node in caught_up and node in wanted and node not in leaving]
    gone = [node for node in sorted(members) if _goes(node, conf, wanted, leaving, ready)]
    if own in gone:
        heirs = [node for node in conf.voters if node in caught_up and node not in gone]
        gone.remove(own)
        if heirs and not ready:
            return HandOver(heirs[0])
        if not heirs and ready:
            # The first other voter: it can be handed over to afterwards.
            return ConfChange((MemberChange(ChangeKind.ADD_VOTER, ready[0]),))
    # One node votes more in a step, or a successor in the place of the one that goes.
    if ready:
        node = ready[0]
        changes = [MemberChange(ChangeKind.ADD_VOTER, node)]
        changes += [MemberChange(ChangeKind.REMOVE, old) for old in gone if leaving.get(old) == node]
        return ConfChange(tuple(changes))
    return ConfChange((MemberChange(ChangeKind.REMOVE, gone[0]),)) if gone else None


def _goes(
    node: NodeId,
    conf: ConfState,
    wanted: Collection[NodeId],
    leaving: Mapping[NodeId, NodeId],
    ready: Collection[NodeId],
) -> bool:
    """Whether a member can be taken out now."""
    if node not in leaving:
        return node not in wanted
    successor = leaving[node]
    return successor == NO_NODE or successor in conf.voters or successor in ready
