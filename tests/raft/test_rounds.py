"""Rounds (thesis sections 6.4, 6.4.1): reads wait for a later round, leases last from where an answered one began."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redraft.ids import Index
from redraft.raft.ready import ReadState
from redraft.raft.rounds import MOST_ROUNDS, Rounds


def test_a_read_waits_for_a_round_that_began_after_it() -> None:
    rounds = Rounds()
    rounds.begin(0)
    rounds.wait_for_next([7], Index(3))
    assert rounds.answered(1) == []
    rounds.begin(10)
    assert rounds.answered(2) == [ReadState(7, Index(3))]


def test_a_lease_counts_from_the_beginning_of_the_round_not_from_its_answer() -> None:
    rounds = Rounds()
    rounds.begin(1000)
    rounds.begin(1050)
    assert rounds.lease_until_ms == -1
    assert rounds.began_ms(1) == 1000
    assert rounds.began_ms(2) == 1050
    rounds.answered(2)
    assert rounds.began_ms(1) == 1000, "another member may still answer it"


def test_a_lease_is_not_taken_back_by_a_shorter_one() -> None:
    rounds = Rounds()
    rounds.hold_until(1100)
    rounds.hold_until(1050)
    assert rounds.lease_until_ms == 1100


def test_a_round_of_unknown_beginning_answers_reads_and_gives_no_lease() -> None:
    rounds = Rounds()
    rounds.wait_for_next([1, 2], Index(5))
    rounds.begin(-1)
    assert rounds.answered(1) == [ReadState(1, Index(5)), ReadState(2, Index(5))]
    assert rounds.began_ms(1) == -1


def test_rounds_that_nobody_has_heard_of_or_that_are_long_ago_give_no_lease() -> None:
    rounds = Rounds()
    for now_ms in range(MOST_ROUNDS + 1):
        rounds.begin(now_ms)
    assert [rounds.began_ms(number) for number in (-1, 0, 1, 2)] == [-1, -1, -1, 1]
    assert [rounds.began_ms(number) for number in (MOST_ROUNDS + 1, MOST_ROUNDS + 2)] == [MOST_ROUNDS, -1]


def test_revoked_leases_come_back_with_a_round_that_begins_later() -> None:
    rounds = Rounds()
    rounds.begin(1000)
    rounds.hold_until(1100)
    rounds.begin(1010)
    rounds.revoke_leases()
    assert rounds.lease_until_ms == -1
    assert [rounds.began_ms(number) for number in (1, 2)] == [-1, -1]
    rounds.begin(1020)
    assert rounds.began_ms(3) == 1020


@given(st.lists(st.sampled_from(["begin", "read", "answer", "older answer", "revoke"]), max_size=60))
def test_any_course(steps: list[str]) -> None:
    """Against the definitions: every read once, with a round that began after it; each round's beginning, as long as it
    gives a lease."""
    rounds = Rounds()
    began: dict[int, int] = {}
    asked: dict[int, int] = {}
    for now, step in enumerate(steps):
        if step == "begin":
            rounds.begin(now)
            began[rounds.newest] = now
        elif step == "read":
            asked[now] = rounds.newest
            rounds.wait_for_next([now], Index(now))
            rounds.begin(now)
            began[rounds.newest] = now
        elif step == "revoke":
            rounds.revoke_leases()
            began = dict.fromkeys(began, -1)
        else:
            number = rounds.newest if step == "answer" else rounds.newest // 2
            ready = [state.context for state in rounds.answered(number)]
            assert ready == [context for context, before in asked.items() if before < number]
            for context in ready:
                del asked[context]
        assert [rounds.began_ms(number) for number in began] == list(began.values())
        rounds.check()
