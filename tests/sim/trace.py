"""What happened, for people: who said what to whom, and each node's state before and after.

A trace costs time, so most runs have none, and a run that fails is run again with one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from redraft.ids import FIRST_SHARD_GROUP, GroupId
from redraft.raft.messages import AnyMessage, Append, Heartbeat, HeartbeatReply
from sim.state import summary

if TYPE_CHECKING:
    from sim.machine import Machine


class Moment(NamedTuple):
    """Something that has happened."""

    ns: int
    machine: int
    """0: all of them, or a client."""
    kind: str
    """state, send, tell."""
    text: str
    to: int = 0
    """Of a message."""


class Trace:
    """Keeps all, of some time on, or the last so many."""

    def __init__(self, *, heartbeats: bool = False, most: int = 1_000_000) -> None:
        self.moments: list[Moment] = []
        self._heartbeats = heartbeats
        self._most = most
        self._states: dict[int, str] = {}
        self._now_ns = 0
        self.dropped_until_ns = 0
        """What was before is not kept any more; 0: everything is."""

    def before(self, machine: Machine) -> None:
        """A node is about to do something."""
        self._now_ns = machine.events.now_ns

    def after(self, machine: Machine) -> None:
        """A node has done something."""
        found = _state(machine)
        old = self._states.get(machine.number, "down")
        if found != old:
            self._states[machine.number] = found
            self._add(Moment(machine.events.now_ns, machine.number, "state", f"{old}  →  {found}"))

    def message(self, machine: Machine, group: GroupId, message: AnyMessage) -> None:
        """A message leaves."""
        if not self._heartbeats and isinstance(message, Heartbeat | HeartbeatReply):
            return
        other = machine.cluster.machine_of(message.to)
        to = other.number if other is not None else 0
        where = "" if group == FIRST_SHARD_GROUP else "config "
        self._add(Moment(machine.events.now_ns, machine.number, "send", where + show(message), to))

    def tell(self, machine: Machine | None, text: str) -> None:
        """Something else."""
        if machine is not None:
            self._now_ns = machine.events.now_ns
        number = 0 if machine is None else machine.number
        self._add(Moment(self._now_ns, number, "tell", text))
        if machine is not None and not machine.up and self._states.get(number, "down") != "down":
            self._add(Moment(self._now_ns, number, "state", f"{self._states[number]}  →  down"))
            self._states[number] = "down"

    def _add(self, moment: Moment) -> None:
        self.moments.append(moment)
        if len(self.moments) > 2 * self._most:
            self.dropped_until_ns = self.moments[self._most].ns
            del self.moments[: self._most]

    def cut(self, from_s: float = 0.0, to_s: float | None = None) -> list[Moment]:
        """What happened between two times, in seconds."""
        from_ns, to_ns = from_s * 1e9, float("inf") if to_s is None else to_s * 1e9
        return [moment for moment in self.moments if from_ns <= moment.ns <= to_ns]

    def lines(self, last: int | None = None, from_s: float = 0.0, to_s: float | None = None) -> list[str]:
        """The diagram, a line each."""
        moments = self.cut(from_s, to_s)
        found = []
        if self.dropped_until_ns >= from_s * 1e9 and self.dropped_until_ns and not last:
            found.append(f"what was before {self.dropped_until_ns / 1e9:.6f} is not kept")
        for moment in moments[-last:] if last else moments:
            who = f"m{moment.machine}" if moment.machine else "--"
            if moment.kind == "send":
                who = f"m{moment.machine} ──▶ m{moment.to}"
            found.append(f"{moment.ns / 1e9:12.6f}  {who:12} {moment.text}")
        return found


def _state(machine: Machine) -> str:
    if not machine.up:
        return "down"
    return f"{summary(machine)} | config {summary(machine, GroupId(0))}"


def show(message: AnyMessage) -> str:
    """A message in a line."""
    name = type(message).__name__
    words = [f"t{message.term}"]
    for field, value in msgspec.structs.asdict(message).items():
        if field in ("sender", "to", "term"):
            continue
        if field == "entries":
            words.append(f"entries {value[0].index}..{value[-1].index}" if value else "no entries")
        elif field == "meta":
            words.append(f"of {value.index}")
        elif isinstance(message, Append) and field == "prev_index":
            words.append(f"after {value}")
        elif value is True:
            words.append(field)
        elif value is not False:
            words.append(f"{field} {value}")
    return f"{name} {' '.join(words)}"
