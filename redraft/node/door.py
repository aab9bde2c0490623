"""Who is let in: what becomes of a node that has proved to know the secret (`links`).

It may be of the cluster no more, or have lost its data: it is told so, and stops. It may be one that nobody has
admitted. And it may be there already: a directory that was copied and started beside the first is the same node twice,
with one vote that is given twice and one log that is acknowledged twice. Each process draws a name, its *life*, when it
starts; of two lives of one node the one that has the place here keeps it while it is heard, and the other is told to
stop.

Who is heard cannot be told from its connection, which may outlast its machine, nor from what arrives, which may have
been on its way for long. So nodes send each other *beats*, twice a second, and echo them at once: an echo proves that
its sender was there after the beat had left. Who comes while another life has a link waits until that one has echoed a
beat of long enough after that: then both are there at once, and it is refused. Or until it has echoed nothing for long
enough: then it is not there. The latter is counted in this node's own ticks: after a pause, what was sent meanwhile has
not been read yet. A node that was started again has broken its connections, and does not wait.

Nodes also tell each other which lives they hear, so that two copies which are heard by different nodes (the network is
cut between some, or it was when the second started) are found out as soon as those hear each other. Then the life that
more nodes hear stays, and of two that as many hear one of them, the same for all.

What is left out: a copy that sees nobody who sees the first one. It cannot be told from a node that was started again,
and a node alone cannot know of its copies at all.

Invariant: who waits here is a session that is blocked, and has no link yet.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from redraft.errors import CommandError
from redraft.ids import NodeId
from redraft.node.context import NO_REPLY
from redraft.node.links import OUTCAST, REFUSED, Hello, IncomingLink, Introduction, PulseLink, decode_introduction
from redraft.node.session import Blocked, Session
from redraft.resp.reply import OK

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.node.peers import Frame

log = logging.getLogger("redraft.peers")

HEARD_MS = 1000
"""Who is there so long after another life has come is there to stay. (One that was told to stop elsewhere is not.)"""
SILENCE_MS = 2000
"""Who has echoed nothing for so long is not there."""
FRESH_MS = 1500
"""A node says that it hears a life while it knows it to have been there so long ago at most."""
ELSEWHERE_MS = FRESH_MS + HEARD_MS
"""What was said so long after somebody has come is of who was there at the same time."""
BEAT_MS = 500
"""Between two beats."""
BEATS_KEPT = 32


class _Waiting(NamedTuple):
    """One that has come while another life of its node has the place."""

    session: Session
    link: IncomingLink
    address: str


class _Said(NamedTuple):
    """What a node has said of whom it hears."""

    lives: dict[NodeId, str]
    at: int
    """A tick before it was said."""


class Door:
    """Lets other nodes in."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.introduction = Introduction(node.run_id)
        """What this node tells of itself."""
        self.now = 0
        """The present tick; a Raft tick each."""
        self._waiting: dict[_Waiting, None] = {}
        self._said: dict[NodeId, _Said] = {}
        """By the nodes that have a link to here."""
        self._first_beat = int(node.run_id[:10], 16) + 1
        """That of tick 0, drawn at each start: so an echo of an earlier process's beat is told by it."""
        self._beats_ns: dict[int, int] = {}
        """When beats have left, by their ticks."""
        self._beat_due = 0
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
        waiting = _Waiting(session, IncomingLink(node, peer, life, hello.at, hello.at_ns), address)
        if self._rival(peer, life) is not None or self._elsewhere(peer, life):
            self._waiting[waiting] = None
            node.block(session, Blocked("peer", on_cancel=lambda: self._forget(waiting)))
            return NO_REPLY
        self._let_in(waiting)
        return OK

    def another_is_here(self, peer: NodeId, life: str) -> str:
        """Says so while another life of a node has the place; empty else."""
        if self._rival(peer, life) is not None:
            return f"node {peer} runs twice: another process that is node {peer} has a link to here"
        if others := self._elsewhere(peer, life):
            return f"node {peer} runs twice: another process that is node {peer} has a link to node {min(others)}"
        return ""

    def _rival(self, peer: NodeId, life: str) -> IncomingLink | None:
        """The link of another life of a node that is there, if it has one."""
        link = self._node.incoming.link_of(peer)
        if link is None or not link.life or not life or link.life == life:
            return None
        return link if self._is_there(link) else None

    def _is_there(self, link: IncomingLink) -> bool:
        """Whether the other end of a link may be there: it has had no time to show it, or has."""
        return self.now - max(link.alive_at, link.silent_from) < self._ticks(SILENCE_MS)

    def _elsewhere(self, peer: NodeId, life: str) -> dict[NodeId, _Said]:
        """What the nodes have said that hear another life of a node, and are heard themselves."""
        found: dict[NodeId, _Said] = {}
        for each, said in self._said.items():
            link = self._node.incoming.link_of(each)
            if life and said.lives.get(peer, life) != life and link is not None and self._is_there(link):
                found[each] = said
        return found

    def _stands(self, peer: NodeId, life: str) -> tuple[int, list[int]]:
        """How much speaks for a life: how many nodes hear it; or else its name."""
        link = self._node.incoming.link_of(peer)
        here = link is not None and link.life == life
        count = here + sum(said.lives.get(peer) == life for said in self._said.values())
        return count, [-code for code in life.encode()]

    def _is_outdone(self, peer: NodeId, life: str, others: Iterable[str]) -> bool:
        """Whether another of these lives of a node is to stay, and not this one."""
        return any(self._stands(peer, other) > self._stands(peer, life) for other in others)

    def _let_in(self, waiting: _Waiting) -> None:
        self._node.members.heard[waiting.link.peer] = waiting.address
        self._node.founding.let_in(waiting.link.peer)
        waiting.link.silent_from = self.now
        self._node.incoming.accept(waiting.session, waiting.link)
        self._beat()

    def _forget(self, waiting: _Waiting) -> None:
        self._waiting.pop(waiting, None)

    def _outcast(self, session: Session, reason: str) -> CommandError:
        log.warning("the node at %s is refused: %s", session.address, reason)
        return CommandError(OUTCAST + reason)

    def _ticks(self, milliseconds: int) -> int:
        """Raft ticks that take as long, or longer; at least two, since what comes within one may be from before it."""
        return max(2, -(-milliseconds // self._node.settings.heartbeat_interval))

    def _beat(self) -> None:
        """Say to all others that this node is there, and whom it hears."""
        node, now_ns = self._node, self._node.clock.monotonic_ns()
        lives: dict[NodeId, str] = {}
        for peer in node.incoming.linked_from():
            link = node.incoming.link_of(peer)
            if link is None:
                continue
            if link.life and now_ns - link.alive_ns < FRESH_MS * 1_000_000:
                lives[peer] = link.life
            if link.beat:
                node.peers.echo(peer, link.beat)
        self._beats_ns.setdefault(self.now, now_ns)
        if len(self._beats_ns) > BEATS_KEPT:
            del self._beats_ns[min(self._beats_ns)]
        self._beat_due = self.now + max(1, BEAT_MS // node.settings.heartbeat_interval)
        node.peers.keep_alive(lives, self._first_beat + self.now)

    # As things happen.

    def tick(self) -> None:
        """A Raft tick."""
        self.now += 1
        if self.now >= self._beat_due:
            self._beat()
        incoming = self._node.incoming
        for peer in incoming.linked_from():
            link = incoming.link_of(peer)
            if link is None:
                continue
            if self._node.liveness.excuses(peer):
                link.silent_from = self.now
            lives = [said.lives[peer] for said in self._proven(peer, link.life, link.since)]
            if self._is_outdone(peer, link.life, lives):
                log.warning("node %d runs twice: the link of one of its processes is cut", peer)
                incoming.cut([peer])
        self.step()

    def heard(self, sender: NodeId, frame: Frame) -> None:
        """A frame has come."""
        link = self._node.incoming.link_of(sender)
        if link is None:
            return
        if frame.beat:
            link.beat = frame.beat
            self._node.peers.echo(sender, frame.beat)
        at = frame.echo - self._first_beat
        if link.alive_at < at <= self.now:
            link.alive_at, link.alive_ns = at, self._beats_ns.get(at, link.alive_ns)
        if frame.lives is not None:
            # Of itself it cannot know.
            lives = {peer: life for peer, life in frame.lives.items() if peer != sender}
            self._said[sender] = _Said(lives, link.alive_at)
        if self._waiting:
            self.step()

    def lost(self, peer: NodeId) -> None:
        """The link of a node has ended; what it said of others counts no more, and it is not heard here."""
        self._said.pop(peer, None)
        self._beat()
        self.step()

    def _proven(self, peer: NodeId, life: str, since: int) -> list[_Said]:
        """What was said by those that hear another life of a node, which was there at the same time: after a tick in
        which this one was."""
        return [said for said in self._elsewhere(peer, life).values() if said.at - since >= self._ticks(ELSEWHERE_MS)]

    def step(self) -> None:
        """Something was heard, or time has passed: let in or refuse those who wait."""
        for waiting in list(self._waiting):
            if waiting not in self._waiting:
                continue  # what was done for another has let it in
            peer, link = waiting.link.peer, waiting.link
            rival = self._rival(peer, link.life)
            if rival is None and not self._elsewhere(peer, link.life):
                self._open(waiting)
                continue
            lives = [said.lives[peer] for said in self._proven(peer, link.life, link.since)]
            if rival is not None and rival.alive_at - link.since >= self._ticks(HEARD_MS):
                lives.append(rival.life)
            if self._is_outdone(peer, link.life, lives):
                self._forget(waiting)
                self._node.unblock(waiting.session, self._twice(waiting.session, peer))
            elif lives:
                self._open(waiting)

    def _open(self, waiting: _Waiting) -> None:
        self._forget(waiting)
        self._let_in(waiting)
        self._node.unblock(waiting.session, OK)

    def _twice(self, session: Session, peer: NodeId) -> CommandError:
        return self._outcast(
            session,
            f"node {peer} runs already, at {self._node.members.address(peer)}: of two copies of a directory only one "
            "may run. Delete the one that was started later, and have it join as a node of its own",
        )
