"""Majorities of one configuration and of both halves of a joint one."""

from __future__ import annotations

import pytest

from redraft.ids import NodeId
from redraft.raft.messages import ConfState
from redraft.raft.quorum import VoteResult, reached, vote_result


def conf(voters: str, outgoing: str = "") -> ConfState:
    return ConfState(tuple(NodeId(int(n)) for n in voters), tuple(NodeId(int(n)) for n in outgoing))


@pytest.mark.parametrize(
    ("voters", "outgoing", "values", "expected"),
    [
        ("1", "", {1: 7}, 7),
        ("12", "", {1: 7, 2: 3}, 3),
        ("123", "", {1: 7, 2: 3, 3: 5}, 5),
        ("1234", "", {1: 7, 2: 3, 3: 5, 4: 9}, 5),
        ("12345", "", {1: 1, 2: 2, 3: 3, 4: 4, 5: 5}, 3),
        ("123", "145", {1: 9, 2: 8, 3: 0, 4: 2, 5: 0}, 2),
        ("145", "123", {1: 9, 2: 8, 3: 0, 4: 2, 5: 0}, 2),
        ("2", "1", {1: 9, 2: 0}, 0),
        ("", "", {}, 0),
    ],
)
def test_what_a_majority_has_reached(voters: str, outgoing: str, values: dict[int, int], expected: int) -> None:
    assert reached(conf(voters, outgoing), lambda node: values[node]) == expected


@pytest.mark.parametrize(
    ("voters", "outgoing", "granted", "refused", "expected"),
    [
        ("1", "", "1", "", VoteResult.WON),
        ("123", "", "1", "", VoteResult.PENDING),
        ("123", "", "13", "", VoteResult.WON),
        ("123", "", "1", "23", VoteResult.LOST),
        ("1234", "", "12", "", VoteResult.PENDING),
        ("1234", "", "12", "34", VoteResult.LOST),
        ("123", "345", "12", "", VoteResult.PENDING),
        ("123", "345", "12", "45", VoteResult.LOST),
        ("123", "345", "1245", "3", VoteResult.WON),
        ("123", "", "1456", "", VoteResult.PENDING),
        ("", "", "1", "", VoteResult.LOST),
    ],
)
def test_elections(voters: str, outgoing: str, granted: str, refused: str, expected: VoteResult) -> None:
    votes = {NodeId(int(n)): True for n in granted} | {NodeId(int(n)): False for n in refused}
    assert vote_result(conf(voters, outgoing), votes) is expected
