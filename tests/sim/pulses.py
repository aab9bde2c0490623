"""One machine's pulse to the others: what `server.pulse_process` does, which goes on while the main thread is held up.

Its dials are made and greeted by the machine, when its main thread runs; what is sent then waits for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redraft.ids import NodeId
from redraft.node.links import framed
from redraft.node.pulse import encode_pulse
from sim.dials import Dial, PeerDial, host_of
from sim.events import MS

if TYPE_CHECKING:
    from sim.machine import Machine

PAUSE_BEATS = 5
"""From a dial that has failed to the next."""


class PulseDial(PeerDial):
    """A connection that pulses are sent over."""

    purpose = b"PULSE"

    def __init__(self, machine: Machine, peer: NodeId, address: str) -> None:
        self.address = address
        super().__init__(machine, peer, host_of(address))

    def failed(self, reason: str) -> None:
        Dial.failed(self, reason)


class PulseKeeper:
    """One process's pulse to all others."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._dials: dict[NodeId, PulseDial] = {}
        self._pauses: dict[NodeId, int] = {}
        self._ask_beat()

    def _ask_beat(self) -> None:
        machine = self._machine
        interval_ns = machine.node.settings.heartbeat_interval * MS
        at_ns = machine.clock.true_ns(machine.clock.monotonic_ns() + interval_ns)
        machine.events.at(at_ns, self._beat, machine.life)

    def _beat(self, life: int) -> None:
        machine = self._machine
        if life != machine.life:
            return
        self._ask_beat()
        if machine.running:
            self._look()
        if machine.paused and not machine.held_up:
            return
        now_ns = machine.clock.monotonic_ns()
        for peer, dial in self._dials.items():
            pulse = machine.node.liveness.board.pulse_for(peer, now_ns)
            if dial.opened and not dial.over and pulse.excuses:
                dial.send(framed(encode_pulse(pulse)))

    def _look(self) -> None:
        """Dial whoever is not reached."""
        machine = self._machine
        wanted = machine.keeper.addresses
        for peer in [peer for peer, dial in self._dials.items() if dial.over or wanted.get(peer) != dial.address]:
            self._dials.pop(peer).close()
            self._pauses[peer] = PAUSE_BEATS
        for peer, address in wanted.items():
            if peer not in self._dials:
                self._pauses[peer] = self._pauses.get(peer, 1) - 1
                if self._pauses[peer] <= 0:
                    self._dials[peer] = PulseDial(machine, peer, address)
