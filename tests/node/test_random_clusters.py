"""Clients on all nodes while leaders change, links break and nodes die: nothing is lost, doubled or read too late.

Every step is drawn from a seed. Clients ask one thing at a time, on a connection to a node that is up; what they are
owed is looked at after each step. A node that is killed loses its clients.
"""

from __future__ import annotations

from random import Random

import pytest

from support.fleet import Fleet
from support.processes import ReplyError
from support.world import Client

STEPS = 80
CALM_MS = 8000


class Asker:
    """A client that asks one thing at a time, and what it had asked."""

    def __init__(self, fleet: Fleet, random: Random) -> None:
        self._fleet = fleet
        self._random = random
        self._client: Client | None = None
        self._node = 0
        self.asked = ""
        self.floor = 0
        """What a read must be at least: what was acknowledged before it was asked."""

    def ask(self, line: str) -> None:
        if self._client is None or self._is_gone():
            self._node = self._random.choice([node for node in self._fleet.worlds if node not in self._fleet.down])
            self._client = self._fleet[self._node].connect()
        self.asked = line
        self._client.ask(line)

    def _is_gone(self) -> bool:
        return self._node in self._fleet.down or (self._client is not None and self._client.closed)

    def maybe_reply(self) -> object:
        """The reply if it is there; an error if it will never come; None while it may."""
        if self._is_gone():
            return ReplyError("UNKNOWN its node is gone")
        assert self._client is not None
        replies = self._client.replies()
        if not replies:
            return None
        [reply] = replies
        return b"" if reply is None else reply


class History:
    """What was acknowledged, and what may have happened."""

    def __init__(self) -> None:
        self.pushed: set[bytes] = set()
        self.maybe_pushed: set[bytes] = set()
        self.popped: list[bytes] = []
        self.lost_pops = 0
        """Pops that may have taken something, and did not say."""
        self.count = 0
        self.maybe_counted = 0
        self.stale: list[str] = []

    def note(self, asker: Asker, reply: object) -> None:
        verb, _, *rest = asker.asked.split()
        failed = isinstance(reply, ReplyError)
        unknown = failed and str(reply).startswith("UNKNOWN ")
        assert not failed or str(reply).startswith(("UNKNOWN ", "UNBLOCKED ", "CLUSTERDOWN ")), reply
        if verb == "RPUSH":
            element = rest[0].encode()
            (self.maybe_pushed if unknown else self.pushed if not failed else set()).add(element)
        elif verb == "BLPOP" and unknown:
            self.lost_pops += 1
        elif verb == "BLPOP" and isinstance(reply, list):
            self.popped.append(reply[1])
        elif verb == "INCR" and unknown:
            self.maybe_counted += 1
        elif verb == "INCR" and not failed:
            assert isinstance(reply, int)
            self.count = max(self.count, reply)
        elif verb == "GET" and not failed:
            found = int(reply or 0)  # type: ignore[call-overload]
            if found < asker.floor:
                self.stale.append(f"{asker.floor} was acknowledged, {found} was read")


def disturb(fleet: Fleet, random: Random) -> None:
    up = [node for node in fleet.worlds if node not in fleet.down]
    what = random.randrange(12)
    if what == 0 and len(up) == 3:
        fleet.kill(random.choice(up))
    elif what == 1 and fleet.down:
        fleet.start(next(iter(fleet.down)))
    elif what == 2:
        fleet.cut(random.choice(list(fleet.worlds)))
    elif what == 3:
        fleet.heal()
    elif what == 4:
        fleet[random.choice(up)].node.shard.raft.campaign()
    elif what == 5:
        for node in up:
            raft = fleet[node].node.shard.raft
            if raft.leader is not None and raft.leader.transferee == 0 and len(up) > 1:
                fleet[node].connect().ask(f"REDRAFT TRANSFER {random.choice(up)}")


@pytest.mark.parametrize("seed", range(12))
def test_no_element_is_lost_no_count_is_doubled_and_no_read_is_old(seed: int) -> None:
    random = Random(seed)
    fleet = Fleet()
    fleet.elect()
    history = History()
    askers = [Asker(fleet, random) for _ in range(9)]
    element = 0
    for step in range(STEPS + 1):
        calm = step == STEPS
        if calm:
            for node in list(fleet.down):
                fleet.start(node)
            fleet.heal()
            fleet.pass_time(CALM_MS)
        for number, asker in enumerate(askers):
            if asker.asked:
                reply = asker.maybe_reply()
                if reply is None:
                    continue
                history.note(asker, reply)
                asker.asked = ""
            if calm or random.random() < 0.3:
                continue
            if number < 3:
                element += 1
                asker.ask(f"RPUSH l e{element}")
            elif number < 6:
                asker.ask(f"BLPOP l {random.choice((0, 1, 5))}")
            elif number < 7:
                asker.ask("INCR n")
            else:
                asker.floor = history.count
                asker.ask("GET n")
        if not calm:
            disturb(fleet, random)
            for _ in range(random.randrange(6)):
                fleet.tick_all()
            fleet.pass_time(random.choice((0, 50, 100, 600)))
    assert history.stale == []
    client = fleet[1].connect()
    client.ask("LRANGE l 0 -1", "GET n")
    fleet.pass_time(500)
    left, count = client.replies()
    assert history.count <= int(count or 0) <= history.count + history.maybe_counted
    waiting = sum(asker.asked.startswith("BLPOP") for asker in askers)
    assert waiting == 0 or left == []
    seen = history.popped + left
    assert len(seen) == len(set(seen)), "an element came twice"
    assert set(seen) <= history.pushed | history.maybe_pushed
    lost = history.pushed - set(seen)
    assert len(lost) <= history.lost_pops, lost
    assert len(history.popped) > 5
