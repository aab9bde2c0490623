"""A new node asks the cluster to take it in, as `server.joining` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from redraft.node.links import join_proof
from sim.dials import SECRET, Dial
from sim.disk import Identity

if TYPE_CHECKING:
    from sim.machine import Machine

PASSING = ("CLUSTERDOWN", "founded", "UNKNOWN", "LOADING", "closes", "nobody")
"""Words of refusals that may not be the last word."""


class JoinDial(Dial):
    """A new node asks the cluster to take it in, as `server.joining` does. It has no process yet that could pause."""

    def __init__(self, machine: Machine, to: int, incarnation: str, done: Callable[[Identity | str], None]) -> None:
        self._incarnation = incarnation
        self._done = done
        super().__init__(machine, to)

    def greet(self) -> None:
        address = self.machine.address
        self.ask(
            b"REDRAFT", b"JOIN", address.encode(), self._incarnation.encode(),
            join_proof(SECRET, address, self._incarnation), b"%d" % self.machine.level,
        )  # fmt: skip

    def arrived(self, data: bytes) -> None:
        self.take(data)

    def ended(self) -> None:
        self.take(None)

    def answered(self, reply: Any) -> None:
        number, cluster_id, first_voters, addresses = reply
        self.close()
        known = dict(zip(addresses[::2], [each.decode() for each in addresses[1::2]], strict=True))
        self._done(Identity(number, cluster_id.decode(), self._incarnation, tuple(first_voters), known))

    def failed(self, reason: str) -> None:
        self._done(reason)
