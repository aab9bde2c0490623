"""Who is let in: what becomes of a node that has proved to know the secret (`links`).

It may be of the cluster no more, or have lost its data: it is told so, and stops. It may be one that nobody has
admitted. And it may be there already: a directory that was copied and started beside the first is the same node twice,
with one vote that is given twice and one log that is acknowledged twice. Each process draws a name, its *life*, when it
starts; of two lives of one node the one that has the place here keeps it while it is heard, and the other is told to
stop.

Whether it is heard is not to be seen from its connection, which may outlast its machine: so nodes that have nothing
to say say so twice a second, and who comes while another life has a link waits until that one has been heard for long
enough after it, or has been silent for long enough. Both are counted in this node's own ticks: after a pause, what was
sent meanwhile has not been read yet. A node that was started again has broken its connections, and does not wait.

What is left out: a copy that sees nobody who sees the first one. It cannot be told from a node that was started again,
and a node alone cannot know of its copies at all.

Invariant: who waits here is a session that is blocked, and has no link yet.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from redraft.errors import CommandError
from redraft.ids import NodeId
from redraft.node.context import NO_REPLY
from redraft.node.links import OUTCAST, REFUSED, Hello, IncomingLink, Introduction, PulseLink, decode_introduction
from redraft.node.session import Blocked, Session
from redraft.resp.reply import OK

if TYPE_CHECKING:
    from redraft.node.node import Node

log = logging.getLogger("redraft.peers")

HEARD_MS = 1000
"""Who is heard so long after another life has come is there to stay. (One that was told to stop elsewhere is not.)"""
SILENCE_MS = 2000
"""Who says nothing for so long is not there."""
KEEP_ALIVE_MS = 500
"""Between two frames without anything to say."""


class _Waiting(NamedTuple):
    """One that has come while another life of its node has the place."""

    session: Session
    link: IncomingLink
    address: str


class Door:
    """Lets other nodes in."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.introduction = Introduction()
        """What this node tells of itself."""
        self._waiting: dict[_Waiting, int] = {}
        """For how many ticks each has waited."""
        self._ticks_to_speak = 0
        self._told_of_foreign = False

    def foreign(self, session: Session, cluster_id: bytes) -> None:
        """A node of another cluster takes this one for a member of its own: that is said once."""
        if not self._told_of_foreign:
            self._told_of_foreign = True
            log.warning(
                "the node at %s, of cluster %s, takes this one for one of its own, and this is of cluster %s: if the "
                "directory was emptied, have the node join again (--join)",
                session.address, ascii(cluster_id[:64].decode("latin-1")), self._node.cluster.id,
            )  # fmt: skip

    def proved(self, session: Session, hello: Hello, incarnation: str, purpose: bytes, address: str) -> Any:
        """A node has proved who it is: let it in, or not; the reply. Raises CommandError."""
        node, peer = self._node, hello.sender
        if node.members.is_stranger(peer):
            raise CommandError(f"{REFUSED}node {peer} is no member, as far as this node has heard")
        refusal = node.members.refusal(peer, incarnation)
        if refusal:
            raise self._outcast(session, refusal)
        life = decode_introduction(hello.introduction).life
        if purpose == b"SNAPSHOT" and node.receive_snapshot is not None:
            if here := self.another_is_here(peer, life):
                raise CommandError(f"{REFUSED}{here}")
            session.link = node.receive_snapshot(session, peer)
            return OK
        if purpose == b"PULSE":
            if here := self.another_is_here(peer, life):
                raise CommandError(f"{REFUSED}{here}")
            node.incoming.accept_pulse(session, PulseLink(node, peer))
            return OK
        if purpose != b"FRAMES":
            raise CommandError(f"{REFUSED}it wants to send something unknown")
        waiting = _Waiting(session, IncomingLink(node, peer, life), address)
        if self._rival(peer, life) is not None:
            self._waiting[waiting] = 0
            node.block(session, Blocked("peer", on_cancel=lambda: self._forget(waiting)))
            return NO_REPLY
        self._let_in(waiting)
        return OK

    def another_is_here(self, peer: NodeId, life: str) -> str:
        """Says so while another life of a node has the place; empty else."""
        rival = self._rival(peer, life)
        if rival is None or rival.silent_ticks >= self._ticks(SILENCE_MS):
            return ""
        return f"node {peer} runs twice: another process that is node {peer} has a link to here"

    def _rival(self, peer: NodeId, life: str) -> IncomingLink | None:
        """The link of another life of a node, if it has one."""
        link = self._node.incoming.link_of(peer)
        return link if link is not None and link.life and life and link.life != life else None

    def _let_in(self, waiting: _Waiting) -> None:
        self._node.members.heard[waiting.link.peer] = waiting.address
        self._node.incoming.accept(waiting.session, waiting.link)

    def _forget(self, waiting: _Waiting) -> None:
        self._waiting.pop(waiting, None)

    def _outcast(self, session: Session, reason: str) -> CommandError:
        log.warning("the node at %s is refused: %s", session.address, reason)
        return CommandError(OUTCAST + reason)

    def _ticks(self, milliseconds: int) -> int:
        """Raft ticks that take as long, or longer; at least two, since what comes within one may be from before it."""
        return max(2, -(-milliseconds // self._node.settings.heartbeat_interval))

    # As things happen.

    def tick(self) -> None:
        """A Raft tick."""
        self._ticks_to_speak -= 1
        if self._ticks_to_speak <= 0:
            self._ticks_to_speak = max(1, KEEP_ALIVE_MS // self._node.settings.heartbeat_interval)
            self._node.peers.keep_alive()
        for peer in self._node.incoming.linked_from():
            link = self._node.incoming.link_of(peer)
            if link is not None:
                link.silent_ticks = 0 if self._node.liveness.excuses(peer) else link.silent_ticks + 1
        for waiting in self._waiting:
            self._waiting[waiting] += 1
        self.step()

    def step(self) -> None:
        """A link has ended, or time has passed: let in or refuse those who wait."""
        for waiting, ticks in list(self._waiting.items()):
            peer = waiting.link.peer
            rival = self._rival(peer, waiting.link.life)
            if rival is None or rival.silent_ticks >= self._ticks(SILENCE_MS):
                self._forget(waiting)
                self._let_in(waiting)
                self._node.unblock(waiting.session, OK)
            elif ticks - rival.silent_ticks >= self._ticks(HEARD_MS):
                self._forget(waiting)
                where = self._node.members.address(peer)
                error = self._outcast(
                    waiting.session,
                    f"node {peer} runs already, at {where}: of two copies of a directory only one may run. Delete the "
                    "one that was started later, and have it join as a node of its own",
                )
                self._node.unblock(waiting.session, error)
