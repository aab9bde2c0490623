"""Rounds (thesis sections 6.4, 6.4.1): reads wait for a later round, leases last from where an answered one began."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redraft.ids import Index
from redraft.raft.ready import ReadState
from redraft.raft.rounds import Rounds

LEASE_MS = 100


def test_a_read_waits_for_a_round_that_began_after_it() -> None:
    rounds = Rounds(LEASE_MS)
    rounds.begin(0)
    rounds.wait_for_next([7], Index(3))
    assert rounds.answered(1) == []
    rounds.begin(10)
    assert rounds.answered(2) == [ReadState(7, Index(3))]


def test_a_lease_lasts_from_the_beginning_of_the_round_not_from_its_answer() -> None:
    rounds = Rounds(LEASE_MS)
    rounds.begin(1000)
    rounds.begin(1050)
    assert rounds.lease_until_ms == -1
    rounds.answered(1)
    assert rounds.lease_until_ms == 1000 + LEASE_MS
    rounds.answered(2)
    assert rounds.lease_until_ms == 1050 + LEASE_MS


def test_a_round_of_unknown_beginning_answers_reads_and_gives_no_lease() -> None:
    rounds = Rounds(LEASE_MS)
    rounds.wait_for_next([1, 2], Index(5))
    rounds.begin(-1)
    assert rounds.answered(1) == [ReadState(1, Index(5)), ReadState(2, Index(5))]
    assert rounds.lease_until_ms == -1


def test_without_leases_rounds_only_answer_reads() -> None:
    rounds = Rounds(0)
    rounds.wait_for_next([1], Index(5))
    rounds.begin(1000)
    assert rounds.answered(1)
    assert rounds.lease_until_ms == -1


def test_revoked_leases_come_back_with_a_round_that_begins_later() -> None:
    rounds = Rounds(LEASE_MS)
    rounds.begin(1000)
    rounds.answered(1)
    rounds.begin(1010)
    rounds.revoke_leases()
    assert rounds.lease_until_ms == -1
    rounds.answered(2)
    assert rounds.lease_until_ms == -1
    rounds.begin(1020)
    rounds.answered(3)
    assert rounds.lease_until_ms == 1020 + LEASE_MS


@given(st.lists(st.sampled_from(["begin", "read", "answer", "older answer", "revoke"]), max_size=60))
def test_any_course(steps: list[str]) -> None:
    """Against the definitions: every read once, with a round that began after it; no lease beyond what is due."""
    rounds = Rounds(LEASE_MS)
    began: dict[int, int] = {}
    asked: dict[int, int] = {}
    revoked_at = 0
    best = -1
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
            revoked_at, best = rounds.newest, -1
        else:
            number = rounds.newest if step == "answer" else rounds.newest // 2
            if number > revoked_at:
                best = max(best, began[number] + LEASE_MS)
            ready = [state.context for state in rounds.answered(number)]
            assert ready == [context for context, before in asked.items() if before < number]
            for context in ready:
                del asked[context]
        assert rounds.lease_until_ms == best
        rounds.check()
