"""Wall clocks may jump: the time of the state goes on at the pace of real time, led by what a majority's clocks say."""

from __future__ import annotations

import logging

import pytest

from redraft.node.peers import ClockWord, decode_frame
from redraft.shard import entry
from support.fleet import RAFT_TICK_MS, Fleet, say
from support.world import START_MS, Client, World

HOUR_MS = 3_600_000
MS = 1_000_000


def one(fleet: Fleet, client: Client, line: str) -> object:
    [reply] = say(fleet, client, line)
    return reply


def wall(fleet: Fleet, node: int, off_ms: int) -> None:
    """Set the wall clock of a node to so much off the true time."""
    fleet[node].clock.wall_ms = START_MS + off_ms


def true_ms(fleet: Fleet) -> int:
    return START_MS + fleet[1].clock.ns // MS


def state_ms(fleet: Fleet, node: int) -> int:
    return fleet[node].node.clocks.now_ms()


def last_stamp_ms(fleet: Fleet, node: int) -> int:
    """The time of the last entry with commands in a node's log."""
    log = fleet[node].log
    entries = log.entries(log.first_index(), log.last_index() + 1, 1 << 30)
    return entry.header(next(each.data for each in reversed(entries) if each.data)).time_ms


@pytest.fixture
def settled(fleet: Fleet) -> Fleet:
    """Three nodes that have told each other of their clocks; node 1 leads."""
    fleet.pass_time(20 * RAFT_TICK_MS)
    return fleet


# One clock.


@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
def test_a_jump_of_the_leaders_wall_clock_changes_no_time_to_live(settled: Fleet, off_ms: int) -> None:
    client = settled[1].connect()
    say(settled, client, "SET old v EX 600")
    wall(settled, 1, off_ms)
    say(settled, client, "SET during v PX 3000")
    settled.pass_time(500)
    wall(settled, 1, 0)
    assert one(settled, client, "PTTL old") == 599_500
    assert say(settled, client, "SET after v PX 1000", f"SET at v PXAT {true_ms(settled) + 1000}") == [b"OK"] * 2
    settled.pass_time(950)
    assert say(settled, client, "PTTL after", "PTTL at", "PTTL during") == [50, 50, 1550]
    settled.pass_time(50)
    assert say(settled, client, "GET after", "GET at") == [None, None]
    settled.pass_time(1550)
    assert say(settled, client, "GET during", "PTTL old") == [None, 597_000 - 50]


@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
def test_who_leads_next_goes_on_where_the_last_leader_stood_whatever_its_own_clock_says(
    settled: Fleet, off_ms: int
) -> None:
    wall(settled, 2, off_ms)
    settled.cut(3)
    client = settled[1].connect()
    say(settled, client, "SET k v PX 5000")
    settled.heal()
    settled.pass_time(100)
    settled.cut(1)
    settled[2].node.shard.raft._promise_ticks = settled[3].node.shard.raft._promise_ticks = 0
    settled[2].node.shard.raft.campaign()
    settled.settle()
    assert settled[2].node.shard.raft.leader is not None
    again = settled[2].connect()
    assert one(settled, again, "PTTL k") == 4900, "no leap"
    settled.pass_time(200)
    assert one(settled, again, "PTTL k") == 4700, "no stall"
    assert one(settled, again, "SET n v") == b"OK"
    assert last_stamp_ms(settled, 2) == true_ms(settled)


def test_an_expectation_outlives_a_leader_that_nobody_hears_for_a_minute(settled: Fleet) -> None:
    say(settled, settled[1].connect(), "SET k v EX 100")
    settled.kill(1)
    settled.cut(2)
    wall(settled, 3, HOUR_MS)
    settled.pass_time(60_000)
    settled.heal()
    settled.pass_time(4000)
    client = settled[settled.leader()].connect()
    assert one(settled, client, "PTTL k") == 36_000


def test_every_command_that_tells_or_takes_time_goes_by_the_states(settled: Fleet) -> None:
    client = settled[1].connect()
    wall(settled, 1, HOUR_MS)
    now_ms = true_ms(settled)
    replies = say(
        settled, client,
        "TIME", f"SET a v PXAT {now_ms + 1000}", "GET a", "PEXPIRETIME a", "SET b v", f"PEXPIREAT b {now_ms + 1000}",
        "GET b", "SET c v PX 1000", "PEXPIRETIME c", "XADD s * f v", "DUMP a",
    )  # fmt: skip
    assert replies[0] == [b"%d" % (now_ms // 1000), b"%d" % (now_ms % 1000 * 1000)]
    assert replies[1:5] == [b"OK", b"v", now_ms + 1000, b"OK"]
    assert replies[5:10] == [1, b"v", b"OK", now_ms + 1000, b"%d-0" % now_ms]
    client.send(b"*6\r\n$7\r\nRESTORE\r\n$1\r\nd\r\n$13\r\n%d\r\n$%d\r\n%b\r\n$6\r\nABSTTL\r\n$7\r\nREPLACE\r\n" % (
        now_ms + 1000, len(replies[10]), replies[10],  # type: ignore[arg-type]
    ))  # fmt: skip
    settled.settle()
    assert client.replies() == [b"OK"]
    assert say(settled, client, "GET d", "PTTL d") == [b"v", 1000]
    say(settled, client, "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >")
    settled.pass_time(100)
    wall(settled, 1, -HOUR_MS)
    [[[_, _, idle_ms, _]]] = say(settled, client, "XPENDING s g - + 1")  # type: ignore[misc]
    assert idle_ms == 100


@pytest.mark.parametrize("node", [1, 2, 3])
def test_a_watched_key_and_a_stale_read_go_by_the_states_time_on_every_node(settled: Fleet, node: int) -> None:
    client = settled[node].connect()
    assert say(settled, client, "SET k v PX 5000", "WATCH k") == [b"OK", b"OK"]
    settled.pass_time(100)
    wall(settled, node, HOUR_MS)
    settled.pass_time(100)
    assert say(settled, client, "MULTI", "GET k", "EXEC") == [b"OK", b"QUEUED", [b"v"]]
    assert say(settled, client, "READONLY", "GET k", "DEBUG OBJECT k")[:2] == [b"OK", b"v"]
    [[seconds, _]] = say(settled, client, "TIME")  # type: ignore[misc]
    assert abs(int(seconds) - true_ms(settled) // 1000) <= 1


# A majority's clocks.


def test_time_is_drawn_to_what_a_majority_says_a_second_in_a_thousand(settled: Fleet) -> None:
    client = settled[1].connect()
    say(settled, client, "SET k v EX 100")
    for node in (2, 3):
        wall(settled, node, 10_000)
    settled.pass_time(10_000)
    leader = settled[settled.leader()]
    assert 6 <= state_ms(settled, settled.leader()) - true_ms(settled) <= 10
    for node in (1, 2, 3):
        wall(settled, node, -10_000)
    settled.pass_time(20_000)
    assert -14 <= leader.node.clocks.now_ms() - true_ms(settled) <= -8


def test_a_time_that_is_drawn_back_never_goes_back(settled: Fleet) -> None:
    client = settled[1].connect()
    for node in (1, 2, 3):
        wall(settled, node, -HOUR_MS)
    last = [0, 0]
    for _ in range(300):
        settled[1].clock.ns += 100_000
        settled[1].node.raft_tick()
        [now] = say(settled, client, "TIME")
        found = [int(word) for word in now]  # type: ignore[attr-defined]
        assert found >= last
        last = found


def test_a_majority_of_four_is_three_and_what_lies_between_two_halves_is_let_be() -> None:
    fleet = Fleet(4)
    fleet.elect()
    for node in (3, 4):
        wall(fleet, node, 60_000)
    fleet.pass_time(4000)
    assert state_ms(fleet, 1) == true_ms(fleet)
    assert [fleet[node].node.clocks.offset_ms for node in (1, 2, 3, 4)] == [0, 0, 0, 0]
    wall(fleet, 2, 60_000)
    fleet.pass_time(8000)
    leader = fleet.leader()
    assert leader != 1
    assert 4 <= state_ms(fleet, leader) - true_ms(fleet) <= 8


def test_a_late_word_moves_no_time_and_one_that_is_ahead_does(settled: Fleet) -> None:
    clocks = settled[2].node.clocks
    before = clocks.now_ms()
    raft = settled[2].node.shard.raft
    word = settled[1].node.clocks.word()
    clocks.heard(raft.leader_id, ClockWord(word.wall_ms - 3000, word.steady_ms - 3000, word.state_ms - 3000))
    assert clocks.now_ms() == before
    clocks.heard(raft.leader_id, ClockWord(word.wall_ms, word.steady_ms, word.state_ms + 7))
    assert clocks.now_ms() == word.state_ms + 7


# Leaps.


def restart_all(fleet: Fleet, after_ms: int) -> None:
    """The cluster is down as a whole for a time."""
    for node in (1, 2, 3):
        fleet.kill(node)
    for node in (1, 2, 3):
        fleet[node].clock.ns += after_ms * MS
    for node in (1, 2, 3):
        fleet.start(node)
    fleet.pass_time(4000)


@pytest.mark.parametrize("wrong", [0, 1, 2, 3])
@pytest.mark.parametrize("off_ms", [HOUR_MS, -HOUR_MS])
def test_a_cluster_that_was_down_as_a_whole_leaps_to_what_a_majority_says(
    settled: Fleet, wrong: int, off_ms: int
) -> None:
    say(settled, settled[1].connect(), "SET k v EX 100", "SET gone v EX 50")
    if wrong:
        wall(settled, wrong, off_ms)
    restart_all(settled, 60_000)
    client = settled[settled.leader()].connect()
    assert say(settled, client, "PTTL k", "GET gone") == [100_000 - 64_000, None]


def test_a_cluster_of_which_one_node_stayed_up_does_not_leap(settled: Fleet) -> None:
    say(settled, settled[1].connect(), "SET k v EX 100")
    for node in (1, 2):
        settled.kill(node)
    for node in (1, 2, 3):
        wall(settled, node, HOUR_MS)
        settled[node].clock.ns += 10_000 * MS
    for node in (1, 2):
        settled.start(node)
    settled.pass_time(4000)
    client = settled[settled.leader()].connect()
    assert 86_000 - 10 <= one(settled, client, "PTTL k") <= 86_000  # type: ignore[operator]


def test_of_two_that_come_back_the_earlier_clock_counts_until_a_third_decides(settled: Fleet) -> None:
    say(settled, settled[1].connect(), "SET k v EX 100")
    for node in (1, 2, 3):
        settled.kill(node)
    wall(settled, 1, HOUR_MS)
    for node in (1, 2):
        settled.start(node)
    settled.pass_time(4000)
    client = settled[settled.leader()].connect()
    assert one(settled, client, "PTTL k") == 96_000
    wall(settled, 1, -HOUR_MS)
    for node in (1, 2):
        settled.kill(node)
    for node in (1, 2):
        settled.start(node)
    settled.pass_time(4000)
    client = settled[settled.leader()].connect()
    assert 96_000 - 4000 <= one(settled, client, "PTTL k") <= 96_000  # type: ignore[operator]
    settled.start(3)
    settled.pass_time(4000)
    client = settled[settled.leader()].connect()
    assert one(settled, client, "PTTL k") == 88_000


def alone(world: World, milliseconds: int) -> None:
    """Time passes for a node alone, with its Raft clock."""
    for _ in range(milliseconds // RAFT_TICK_MS):
        world.advance(RAFT_TICK_MS)
        world.node.raft_tick()
    world.settle()


def test_a_node_alone_leaps_over_the_time_that_it_was_down(world: World, client: Client) -> None:
    client("SET k v EX 100")
    world.clock.ns += 60_000 * MS
    world.restart()
    assert world.connect()("PTTL k") == 40_000


def test_a_node_alone_does_not_follow_a_jump_of_half_a_second(world: World, client: Client) -> None:
    client("SET k v EX 100")
    for off_ms in (HOUR_MS, -HOUR_MS):
        world.clock.wall_ms = START_MS + off_ms
        alone(world, 500)
        client("SET n v EX 1")
        world.clock.wall_ms = START_MS
        alone(world, 500)
        assert client("EXISTS n") == 1
        alone(world, 500)
        assert client("EXISTS n") == 0
    assert abs(client("PTTL k") - 97_000) <= 3


def test_a_node_alone_follows_a_clock_that_was_set_forward_and_stays(world: World, client: Client) -> None:
    alone(world, 1000)
    world.clock.wall_ms += HOUR_MS
    alone(world, 9000)
    assert abs(int(client("TIME")[0]) - (START_MS // 1000 + 10)) <= 1
    alone(world, 2000)
    assert abs(int(client("TIME")[0]) - (START_MS + HOUR_MS) // 1000 - 12) <= 1


def test_with_nodes_of_a_version_that_tells_no_clocks_a_first_leader_goes_by_its_own(fleet: Fleet) -> None:
    fleet[1].clock.wall_ms += HOUR_MS
    clocks = fleet[1].node.clocks
    clocks.state.is_set = False
    for peer in (2, 3):
        clocks.forget(fleet[peer].node.id)
    clocks.lead()
    client = fleet[1].connect()
    assert one(fleet, client, f"SET k v PXAT {true_ms(fleet) + HOUR_MS + 1000}") == b"OK"
    assert one(fleet, client, "PTTL k") == 1000
    clocks.state.raise_to((true_ms(fleet) + 2 * HOUR_MS) * MS, fleet[1].clock.ns)
    assert one(fleet, client, "SET n v") == b"OK"
    fleet[2].node.shard.raft._promise_ticks = 0
    assert state_ms(fleet, 2) >= true_ms(fleet) + 2 * HOUR_MS, "an earlier leader's entry is never undone"


# A node whose clock is wrong.


def test_a_leader_whose_clock_is_wrong_says_so_and_hands_over(settled: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    wall(settled, 1, 1500)
    with caplog.at_level(logging.INFO, "redraft.node"):
        settled.pass_time(1500)
        assert settled.leader() == 1, "it may be a moment's error"
        settled.pass_time(2000)
    assert settled.leader() != 1
    assert "the wall clock of this node is 1500 ms ahead of a majority's" in caplog.text
    client = settled[1].connect()
    [text] = say(settled, client, "INFO raft")
    assert b"\r\nclock_offset_ms:1500\r\nclock_is_wrong:1\r\n" in text  # type: ignore[operator]
    caplog.clear()
    wall(settled, 1, 0)
    settled.pass_time(3000)
    assert not settled[1].node.clocks.is_wrong
    assert "agrees with a majority's again" in caplog.text


def test_a_leader_whose_clock_is_a_little_off_goes_on(settled: Fleet) -> None:
    wall(settled, 1, -900)
    settled.pass_time(5000)
    assert settled.leader() == 1


def test_a_node_whose_clock_is_wrong_leads_while_nobody_else_can(settled: Fleet) -> None:
    settled.kill(3)
    settled[2].hold = True
    wall(settled, 1, HOUR_MS)
    settled.pass_time(15_000)
    settled[2].release()
    settled.kill(2)
    settled.start(3)
    for _ in range(10):
        settled.pass_time(1000)
        if settled[1].node.serves or settled[3].node.serves:
            break
    assert one(settled, settled[settled.leader()].connect(), "SET k v") == b"OK"


def test_where_two_of_three_are_wrong_in_different_ways_the_third_leads(settled: Fleet) -> None:
    wall(settled, 1, HOUR_MS)
    wall(settled, 2, -HOUR_MS)
    settled.pass_time(6000)
    assert settled.leader() == 3
    assert [settled[node].node.clocks.is_wrong for node in (1, 2, 3)] == [True, True, False]
    settled.kill(3)
    settled.pass_time(6000)
    assert one(settled, settled[settled.leader()].connect(), "SET k v") == b"OK", "they lead, since nobody else can"


def test_a_node_whose_clock_is_wrong_stands_for_election_later_than_others(settled: Fleet) -> None:
    wall(settled, 2, HOUR_MS)
    settled.pass_time(5000)
    for _ in range(5):
        leader = settled.leader()
        assert leader != 2
        settled.kill(leader)
        settled.pass_time(2500)
        assert settled.leader() != 2
        settled.start(leader)
        settled.pass_time(3000)


def test_a_lead_that_is_handed_to_a_node_with_a_wrong_clock_does_not_stay_there(settled: Fleet) -> None:
    wall(settled, 2, HOUR_MS)
    settled.pass_time(4000)
    assert one(settled, settled[1].connect(), "REDRAFT TRANSFER 2") == b"OK"
    assert settled[2].node.shard.raft.leader is not None
    settled.pass_time(6000)
    assert settled.leader() != 2


# Words.


def test_the_clocks_are_told_with_frames_that_leave_anyway(settled: Fleet) -> None:
    told = 0
    for _ in range(20):
        for node in (1, 2, 3):
            settled[node].clock.ns += RAFT_TICK_MS * MS
            settled[node].node.raft_tick()
        settled.tick_all()
        frames = [decode_frame(data) for sender, to, data in settled.frames if (sender, to) == (2, 3)]
        assert not any(frame.raft for frame in frames)
        told += sum(frame.clocks is not None for frame in frames)
        settled.settle()
    assert told == 2


def test_another_clock_that_stood_still_is_known_for_it_in_the_end(settled: Fleet) -> None:
    settled[3].clock.ns -= 20_000 * MS  # it did not run on while its machine was paused ...
    wall(settled, 3, 20_000)  # ... and its wall clock was set
    settled.pass_time(70 * RAFT_TICK_MS)
    span = settled[1].node.clocks._span(settled[1].clock.ns)
    assert span is not None
    wall(settled, 1, HOUR_MS)
    span = settled[1].node.clocks._span(settled[1].clock.ns)
    assert span is not None
    assert abs(span.low_ns // MS - true_ms(settled)) < 100
    assert span.low_ns == span.high_ns


def test_nothing_is_known_of_a_node_that_was_not_heard_for_long(settled: Fleet) -> None:
    settled.cut(3)
    settled.pass_time(15_000)
    wall(settled, 1, 5000)
    span = settled[1].node.clocks._span(settled[1].clock.ns)
    assert span is not None
    assert (span.high_ns - span.low_ns) // MS == 5000
    settled.pass_time(5000)
    assert settled.leader() == 1
    assert settled[3].node.clocks._span(settled[3].clock.ns) is None


# What only lasts.


def test_idle_time_and_the_removal_of_due_keys_do_not_go_by_the_wall_clock(world: World, client: Client) -> None:
    world.clock.wall_ms += HOUR_MS
    alone(world, 100)
    client("SET k v PX 100")
    world.clock.wall_ms -= 2 * HOUR_MS
    alone(world, 200)
    assert client("DBSIZE") == 0
    assert b" age=0 idle=0 " in client("CLIENT LIST")
