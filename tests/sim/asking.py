"""Somebody who asks one node one thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hiredis

from redraft.shard.entry import pack
from sim.events import SECOND
from sim.machine import Machine
from sim.wires import CLIENTS
from support.processes import NOTHING, ReplyError

if TYPE_CHECKING:
    from sim.cluster import Cluster


class Asking:
    """A connection for one command; `done` is called with its reply, or with an error of UNKNOWN."""

    def __init__(
        self, cluster: Cluster, machine: Machine, command: tuple[Any, ...], done: Callable[[Any], None] | None = None
    ) -> None:
        self._done = done
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=NOTHING)
        self._connection = machine.accept(CLIENTS, self)
        self._over = False
        data = pack(tuple(str(word).encode() for word in command))
        self._connection.send(near=True, data=data)
        cluster.events.after(20 * SECOND, self._give_up)

    def arrived(self, data: bytes) -> None:
        """Bytes have come."""
        self._reader.feed(data)
        reply = self._reader.gets()
        if reply is not NOTHING:
            self._connection.close(near=True)
            self._finish(reply)

    def ended(self) -> None:
        """The node is gone."""
        self._connection.wires[1].end = None
        self._finish(ReplyError("UNKNOWN the connection broke"))

    def _give_up(self, _: object) -> None:
        if not self._over:
            self._connection.close(near=True)
            self._finish(ReplyError("UNKNOWN no answer"))

    def _finish(self, reply: Any) -> None:
        if not self._over:
            self._over = True
            if self._done is not None:
                self._done(reply)
