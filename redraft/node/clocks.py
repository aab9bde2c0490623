"""The wall clocks of the cluster's nodes, as one node knows them; and the time of the state, which they lead.

Each node tells every other a few times a second what its clocks show (`ClockWord`): the wall clock, the monotonic one,
and what it takes the state's time to be. Of another node's monotonic clock the least delay of late is kept
(`FollowedClock`); its wall clock is that and what it was ahead of it in the newest word, so that a jump is known at
once. A node that was not heard for a while says nothing.

What a majority says is a span: as many voters as a majority has show its beginning or more, and as many its end or
less. Where all are known and their number is odd, both ends are the median. With fewer clocks known than a majority
has, nothing is said; with two that differ, nobody can tell which is right, and what lies between is let be.

The state's time (`shard.state_clock`) goes on from leader to leader. Whoever leads draws it, slowly, towards that span.
It is *set*, a leap forward, in these cases only:

* nobody knows it: its leader and all that it has heard have started since anybody led, so the cluster was down as a
  whole, and the time meanwhile is to count. It begins at the span's beginning. Where that is not known, the others are
  of a version that tells no clocks, and like them this node goes by its own. For a minute more it may follow the span
  forward, while the clocks that are known do not agree;
* a node is alone, and its wall clock has been ahead for ten seconds without a break. It is the only clock there is; it
  was wrong when the node started, and has been set since. A shorter jump has no effect but a drawing of milliseconds.

Else a difference that a majority wants stays for as long as it takes to draw it: an hour for a thousand hours. That is
rare (the clocks of most nodes were wrong and set at once); it is told in the log and by INFO, `state_clock_offset_ms`,
and stopping all nodes and starting them again ends it, forward. The other way would break each time to live, which
counts more.

A node whose wall clock is outside that span by more than a second, for two seconds, says so, and does not lead while
another can: it hands over to a voter that is up to date and whose clock is right, and stands for election later than
others do. That its clock is wrong harms nobody while it leads; but it may be the last one whose clock is known.

What this leaves out: reading the state's time (`Node.state_ms` is this tick's).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from redraft.ids import NO_NODE, NodeId
from redraft.node.peers import ClockWord
from redraft.raft.errors import RaftError
from redraft.shard.state_clock import MS, FollowedClock, StateClock

if TYPE_CHECKING:
    from redraft.node.node import Node

log = logging.getLogger("redraft.node")

WRONG_MS = 1000
"""A wall clock that is further off than this is wrong."""
RIGHT_MS = 500
"""One that was wrong, and is no further off than this, is right."""
STAYS_NS = 2_000_000_000
"""So long a clock must be wrong, or right again, for anything to follow."""
KEPT_NS = 10_000_000_000
"""What a node has said counts for so long, and four heartbeats."""
DISAGREE_NS = 60_000_000_000
"""How long after a start of the whole cluster its time may follow the clocks forward."""
ALONE_NS = 10_000_000_000
"""How long the clock of a node that is alone must have been ahead for its time to leap."""
STOOD_MS = 1000
STOOD_WORDS = 64
"""Another's monotonic clock that is behind by that much in so many words one after the other has stood still (a virtual
machine was paused)."""
AGAIN_NS = 5_000_000_000
"""Between an attempt to hand over and the next one; and twice as long each time, since one that fails costs writes."""
MOST_AGAIN_NS = 32 * AGAIN_NS


class Span(NamedTuple):
    """What a majority's wall clocks say: the time is from `low_ns` to `high_ns`."""

    low_ns: int
    high_ns: int

    def is_narrow(self) -> bool:
        """Whether the clocks that are known agree."""
        return self.high_ns - self.low_ns <= WRONG_MS * MS

    def beyond_ns(self, time_ns: int) -> int:
        """How much a time is after its end; negative: before its beginning."""
        return time_ns - min(max(time_ns, self.low_ns), self.high_ns)


class PeerClock:
    """Another node's clocks."""

    __slots__ = ("_behind", "_steady", "_wall_ahead_ns", "heard_ns", "is_wrong")

    def __init__(self) -> None:
        self._steady = FollowedClock()
        self._behind = 0
        """Words in a row that were far behind."""
        self._wall_ahead_ns = 0
        self.heard_ns = 0
        self.is_wrong = False
        """Whether it says that its wall clock is."""

    def heard(self, word: ClockWord, now_ns: int) -> None:
        """It has told what they show."""
        steady = self._steady
        steady_ns = word.steady_ms * MS
        self._behind = self._behind + 1 if steady_ns < steady.read_ns(now_ns) - STOOD_MS * MS else 0
        if self._behind >= STOOD_WORDS:
            steady.is_set = False
            self._behind = 0
        steady.heard(steady_ns, now_ns)
        self._wall_ahead_ns = word.wall_ms * MS - steady_ns
        self.heard_ns = now_ns
        self.is_wrong = word.is_wrong

    def wall_ns(self, now_ns: int) -> int:
        """What its wall clock shows now."""
        return self._steady.read_ns(now_ns) + self._wall_ahead_ns


class Clocks:
    """Those of the cluster, at one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._peers: dict[NodeId, PeerClock] = {}
        self.state = StateClock()
        self.offset_ms = 0
        """How much this node's wall clock is ahead of what a majority's say; 0 where that is not known."""
        self.state_offset_ms = 0
        """How much the state's time is."""
        self.is_wrong = False
        """Whether this node's wall clock has been off for a while by more than a second."""
        self._as_it_seems_ns = 0
        """Since when it has not seemed to be otherwise."""
        self._follows_until_ns = 0
        """Until when the state's time may still follow the clocks forward, since it was set."""
        self._not_ahead_ns = 0
        """When the clock of this node, if it is alone, was seen last not to be ahead of the state's time."""
        self._hands_over_ns = 0
        """When this node may hand over again."""
        self._again_ns = AGAIN_NS
        """How long it waits for that after the next time."""
        self._state_told = False

    # The state's time.

    def now_ns(self, now_ns: int) -> int:
        """The state's time now, as far as this node knows it: never before the last entry's."""
        state = self.state
        applied_ns = self._node.shard.applied.time_ms * MS
        if not state.is_set:
            return max(applied_ns, self._guess_ns(now_ns))
        time_ns = state.read_ns(now_ns)
        if time_ns < applied_ns:
            state.raise_to(applied_ns, now_ns)
            return applied_ns
        return time_ns

    def now_ms(self) -> int:
        """The same, in milliseconds, by a look at the clock of its own."""
        return self.now_ns(self._node.clock.monotonic_ns()) // MS

    def lead(self) -> None:
        """This node leads from now on."""
        now_ns = self._not_ahead_ns = self._node.clock.monotonic_ns()
        self._follows_until_ns = self._hands_over_ns = 0
        self._again_ns = AGAIN_NS
        if self.state.is_set:
            return
        time_ns = self.now_ns(now_ns)
        log.info("the state's time goes on at %d ms: nobody is known to have kept it", time_ns // MS)
        span = self._span(now_ns)
        self._leap(time_ns, now_ns, agreed=span is not None and span.is_narrow())

    def _leap(self, time_ns: int, now_ns: int, *, agreed: bool) -> None:
        self.state.set(time_ns, now_ns)
        self._not_ahead_ns = now_ns
        if not agreed and not self._follows_until_ns:
            self._follows_until_ns = now_ns + DISAGREE_NS

    def _guess_ns(self, now_ns: int) -> int:
        span = self._span(now_ns)
        return self._node.clock.now_ms() * MS if span is None else span.low_ns

    # The others.

    def word(self) -> ClockWord:
        """What this node tells of its clocks."""
        clock = self._node.clock
        now_ns = clock.monotonic_ns()
        state_ms = self.now_ns(now_ns) // MS if self.state.is_set else 0
        return ClockWord(clock.now_ms(), now_ns // MS, state_ms, self.is_wrong)

    def heard(self, sender: NodeId, word: ClockWord) -> None:
        """Another node has told of its clocks."""
        now_ns = self._node.clock.monotonic_ns()
        self._peers.setdefault(sender, PeerClock()).heard(word, now_ns)
        raft = self._node.shard.raft
        if word.state_ms and raft.leader is None and (sender == raft.leader_id or not self.state.is_set):
            self.state.heard(word.state_ms * MS, now_ns)

    def forget(self, peer: NodeId) -> None:
        """A node has a new link to here: it may have started since its last word."""
        self._peers.pop(peer, None)

    def _span(self, now_ns: int) -> Span | None:
        node = self._node
        raft = node.shard.raft
        voters = {*raft.conf.voters, *raft.conf.outgoing}
        since_ns = now_ns - KEPT_NS - 4 * node.settings.heartbeat_interval * MS
        walls = [
            peer.wall_ns(now_ns)
            for voter, peer in self._peers.items()
            if voter in voters and peer.heard_ns >= since_ns
        ]  # fmt: skip
        if raft.id in voters:
            walls.append(node.clock.now_ms() * MS)
        majority = len(voters) // 2 + 1
        if len(walls) < majority:
            return None
        walls.sort()
        return Span(walls[-majority], walls[majority - 1])

    # What follows.

    def tick(self) -> None:
        """A Raft tick: look at all clocks, and tell the others of those here."""
        node = self._node
        now_ns = node.clock.monotonic_ns()
        span = self._span(now_ns)
        self._look_at_own(span, now_ns)
        if span is not None:
            self._look_at_state(span, now_ns)
        if self.is_wrong and node.shard.raft.leader is not None and now_ns >= self._hands_over_ns:
            self._hand_over(span, now_ns)
        node.peers.tell_clocks()

    def _look_at_own(self, span: Span | None, now_ns: int) -> None:
        node = self._node
        self.offset_ms = 0 if span is None else span.beyond_ns(node.clock.now_ms() * MS) // MS
        seems_wrong = self.is_wrong if span is None else abs(self.offset_ms) > (RIGHT_MS if self.is_wrong else WRONG_MS)
        if seems_wrong == self.is_wrong:
            self._as_it_seems_ns = now_ns
        elif now_ns - self._as_it_seems_ns >= STAYS_NS:
            self.is_wrong = node.shard.raft.hesitates = seems_wrong
            if seems_wrong:
                log.warning(
                    "the wall clock of this node is %d ms %s a majority's: it does not lead while another can",
                    abs(self.offset_ms), "ahead of" if self.offset_ms > 0 else "behind",
                )  # fmt: skip
            else:
                log.warning("the wall clock of this node agrees with a majority's again")

    def _look_at_state(self, span: Span, now_ns: int) -> None:
        """Draw the state's time where this node leads, or have it leap where it may."""
        if self._node.shard.raft.leader is not None and self.state.is_set:
            behind_ns = span.low_ns - self.now_ns(now_ns)
            is_ahead = behind_ns > WRONG_MS * MS
            if not is_ahead or not self._node.shard.raft.is_alone:
                self._not_ahead_ns = now_ns
            if is_ahead and (now_ns < self._follows_until_ns or now_ns - self._not_ahead_ns >= ALONE_NS):
                log.warning("the state's time follows the wall clocks, %d ms forward", behind_ns // MS)
                self._leap(span.low_ns, now_ns, agreed=span.is_narrow())
            self.state.draw(*span, now_ns)
            if span.is_narrow():
                self._follows_until_ns = 0
        self.state_offset_ms = span.beyond_ns(self.now_ns(now_ns)) // MS
        told, self._state_told = (
            self._state_told,
            abs(self.state_offset_ms) > (RIGHT_MS if self._state_told else WRONG_MS),
        )
        if self._state_told and not told and self._node.shard.raft.leader is not None:
            log.warning(
                "the state's time is %d ms off what a majority's wall clocks say: it is drawn there, a second in a"
                " thousand",
                self.state_offset_ms,
            )

    def _hand_over(self, span: Span | None, now_ns: int) -> None:
        """Have another lead whose clock is right, if there is one."""
        node = self._node
        raft = node.shard.raft
        right = [
            (match, heir)
            for match, heir in node.leadership.heirs(raft)
            if span is not None
            and (peer := self._peers.get(heir)) is not None
            and not peer.is_wrong
            and abs(span.beyond_ns(peer.wall_ns(now_ns))) <= RIGHT_MS * MS
        ]
        if not right or raft.leader is None or raft.leader.transferee != NO_NODE:
            return
        self._hands_over_ns = now_ns + self._again_ns
        self._again_ns = min(2 * self._again_ns, MOST_AGAIN_NS)
        heir = max(right)[1]
        log.warning("this node's wall clock is wrong: node %d is to lead", heir)
        try:
            node.leadership.hand_over(raft, heir)
        except RaftError as error:
            log.info("node %d does not take over: %s", heir, error)
