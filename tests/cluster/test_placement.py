"""Step by step, a group's members become those that the table wants, and a majority is never lost on the way."""

from __future__ import annotations

import pytest

from redraft.cluster.placement import HandOver, next_step
from redraft.ids import NO_NODE, NodeId
from redraft.raft.membership import LEAVE_JOINT, ChangeKind, ConfChange, MemberChange, changed
from redraft.raft.messages import ConfState


def conf(*voters: int, learners: tuple[int, ...] = ()) -> ConfState:
    return ConfState(voters=tuple(map(NodeId, voters)), learners=tuple(map(NodeId, learners)))


def change(*parts: tuple[str, int]) -> ConfChange:
    kinds = {"learner": ChangeKind.ADD_LEARNER, "voter": ChangeKind.ADD_VOTER, "remove": ChangeKind.REMOVE}
    return ConfChange(tuple(MemberChange(kinds[kind], NodeId(node)) for kind, node in parts))


def step(
    conf: ConfState, wanted: set[int], leaving: dict[int, int] | None = None, caught_up: tuple[int, ...] = (2, 3, 4)
) -> ConfChange | HandOver | None:
    gone = {NodeId(node): NodeId(successor) for node, successor in (leaving or {}).items()}
    return next_step(conf, {NodeId(node) for node in wanted}, gone, [NodeId(n) for n in caught_up], NodeId(1))


def test_nothing_is_done_where_all_is_well_or_a_change_is_under_way() -> None:
    assert step(conf(1, 2, 3), {1, 2, 3}) is None
    assert step(ConfState((NodeId(1),), (NodeId(1), NodeId(2))), {1, 2, 3}) is None


def test_a_new_member_learns_first_and_votes_when_it_has_caught_up() -> None:
    assert step(conf(1, 2, 3), {1, 2, 3, 4}) == change(("learner", 4))
    learning = conf(1, 2, 3, learners=(4,))
    assert step(learning, {1, 2, 3, 4}, caught_up=(2, 3)) is None
    assert step(learning, {1, 2, 3, 4}) == change(("voter", 4))


def test_who_is_not_wanted_goes() -> None:
    assert step(conf(1, 2, 3), {1, 2}) == change(("remove", 3))
    assert step(conf(1, 2, 3), {1, 2, 3}, {3: NO_NODE}) == change(("remove", 3))
    assert step(conf(1, 2, learners=(3,)), {1, 2}) == change(("remove", 3))


def test_a_successor_takes_its_place_in_one_change() -> None:
    leaving = {3: 4}
    assert step(conf(1, 2, 3), {1, 2, 3, 4}, leaving) == change(("learner", 4))
    learning = conf(1, 2, 3, learners=(4,))
    assert step(learning, {1, 2, 3, 4}, leaving, caught_up=(2,)) is None
    assert step(learning, {1, 2, 3, 4}, leaving) == change(("voter", 4), ("remove", 3))
    assert step(conf(1, 2, 3, 4), {1, 2, 3, 4}, leaving) == change(("remove", 3))


def test_a_leader_that_goes_hands_over() -> None:
    assert step(conf(1, 2, 3), {1, 2, 3}, {1: NO_NODE}) == HandOver(NodeId(2))
    assert step(conf(1, 2, 3), {1, 2, 3}, {1: NO_NODE}, caught_up=(3,)) == HandOver(NodeId(3))
    assert step(conf(1, 2, 3), {1, 2, 3}, {1: NO_NODE}, caught_up=()) is None


def test_a_leader_that_is_alone_has_its_successor_vote_first() -> None:
    assert step(conf(1, learners=(4,)), {1, 4}, {1: 4}) == change(("voter", 4))
    assert step(conf(1, 4), {1, 4}, {1: 4}) == HandOver(NodeId(4))


@pytest.mark.parametrize("leaving", [{}, {1: 0}, {1: 4}, {3: 4}, {3: 0}])
@pytest.mark.parametrize("start", [(1,), (1, 2), (1, 2, 3), (1, 3)])
def test_the_steps_end_with_what_was_wanted(start: tuple[int, ...], leaving: dict[int, int]) -> None:
    """Whoever leads; each step is a change that Raft allows, and two members at most change at once."""
    wanted = {1, 2, 3, 4}
    state, own = conf(*start), 1
    gone = {NodeId(node): NodeId(successor) for node, successor in leaving.items()}
    for _ in range(20):
        taken = next_step(state, {NodeId(n) for n in wanted}, gone, [NodeId(n) for n in wanted - {own}], NodeId(own))
        if taken is None:
            break
        if isinstance(taken, HandOver):
            assert taken.to in state.voters
            own = taken.to
            continue
        state = changed(state, taken)
        if state.outgoing:
            assert len(set(state.voters) ^ set(state.outgoing)) <= 2
            state = changed(state, LEAVE_JOINT)
    assert set(state.voters) == wanted - set(leaving)
    assert not state.learners
