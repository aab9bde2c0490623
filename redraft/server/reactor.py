"""The reactor: all client sockets on one epoll, drained by one trio task, a tick at each wake-up.

Theory (design section 2). A trio task for each connection costs 30 µs a request; one task that drains every ready
socket costs a third of it, and gathers the writes of all clients into one log entry and one fsync. So sockets are
registered with an epoll of our own, and trio waits for the epoll's descriptor. A wake-up runs ticks as long as sockets
stay ready, and goes through trio's scheduler at least every `SCHEDULE_NS`, so that other tasks get their turn.

Persistence. An fsync of a fast disk (some hundred µs) is awaited inline, because a thread that comes back from its
fsync must wait for the GIL; on a slow disk it runs in the persister thread, ticks go on, and writes gather
meanwhile. Which of the two is measured all the time (`Persistence`).

Invariants: nothing here blocks but an inline fsync that was measured to be short; a connection with unsent bytes is
registered for EPOLLOUT; a session is closed exactly once.

A client at a TLS port has a session only after its handshake (`handshakes`), and is from then on a connection like any
other, whose socket is a `tls.TlsSocket`.

The file is longer than most, since what is done with a socket in one tick is one loop, flat for speed.

What this leaves out: what bytes mean (the node), opening listeners and the node's parts (`app`).
"""

from __future__ import annotations

import errno
import logging
import os
import select
import ssl
import time
from collections.abc import Callable
from itertools import islice

import trio

from redraft.ids import NodeId
from redraft.node.jobs import Job
from redraft.node.node import Node
from redraft.node.session import Session
from redraft.server.certificates import Certificates
from redraft.server.connection import (
    RECEIVE_BYTES,
    TOO_MANY_CLIENTS,
    ByteSocket,
    Connection,
    Listener,
    prepare,
    refusal_of,
    send_and_close,
)
from redraft.server.handshakes import Handshake, Handshakes
from redraft.server.links import OutgoingLink
from redraft.server.persistence import Persistence
from redraft.server.surplus import Surplus

log = logging.getLogger("redraft.server")

RECEIVE_LARGE_BYTES = 1024 * 1024
"""The size of a read after one that filled the smaller buffer: a large value is on its way."""
EVENTS_A_TICK = 1024
SCHEDULE_NS = 5_000_000
"""The longest that ticks go on without a turn for trio's other tasks."""
SEND_PIECES = 64
"""Pieces of unsent replies that are handed to the system at once."""
LINK_READS = 16
"""Reads of each link, of `RECEIVE_LARGE_BYTES`, before Raft's clock ticks."""
ACCEPTS_A_TICK = 256
MOST_BACKLOG = 1000
"""A client with more commands waiting than this is not read until some are done."""
LAST_POLL_SECONDS = 0.001
"""How often a server that stops looks whether its last fsync has ended."""
GATHER_NS = 1_000_000
"""How long a tick with writes goes on looking for ready sockets before its fsync, as long as there are any."""
EXPECT_NS = 3_000_000
EXPECT_SECONDS = 0.001
"""Likewise, in all and for the next one, where the writes go to other nodes, and the clients that were just answered
may send more. (PostgreSQL's commit_delay is the same bet.)"""
LARGE_CHUNK_BYTES = 2048
"""After a read of this much the time is looked at: there may be thousands of commands in it."""
UNAUTHENTICATED_UNSENT_BYTES = 1024
"""As Redis's REPLY_BUFFER_SIZE_UNAUTHENTICATED_CLIENT (CVE-2025-21605)."""
INPUT_NS = 20_000_000
"""So long after its begin a tick reads no more from clients; what other nodes send it reads all the same."""
TELL_AGAIN_NS = 60_000_000_000
"""How long nothing more is said of connections that cannot be accepted."""
LONG_TICK_NS = 1_000_000
"""A tick that is looked at by LATENCY; its threshold is in whole milliseconds."""

_READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP
_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)


class Reactor:
    """Sockets of one node."""

    def __init__(
        self,
        node: Node,
        persistence: Persistence,
        listeners: list[Listener],
        certificates: Certificates | None = None,
    ) -> None:
        """`certificates` are needed where one of the listeners is for TLS."""
        self._node = node
        self.certificates = certificates
        self._persistence = persistence
        self._epoll = select.epoll()
        self._handshakes = Handshakes(self._epoll, certificates)
        self._connections: dict[int, Connection] = {}
        self._listeners = {listener.socket.fileno(): listener for listener in listeners}
        self._paused: set[Connection] = set()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        self._persisting = False
        self._follows = False
        """Whether the last tick kept something for a leader, whose next entry is likely to come within a moment: to
        wait for that here is cheaper than by way of trio."""
        self._input_ends_ns = 0
        """When the present tick reads no more from clients."""
        self._links: dict[int, OutgoingLink] = {}
        self._links_by_peer: dict[NodeId, OutgoingLink] = {}
        for fd in self._listeners:
            self._epoll.register(fd, select.EPOLLIN)
        self._left_alone: list[int] = []
        """Listening sockets at which nobody could be accepted; housekeeping looks at them again."""
        self._tell_again_ns = 0
        self._surplus = Surplus(node)
        self.stopping = False
        self.on_job: Callable[[Job], None] = lambda job: None
        """Starts a background job of the node."""
        self.on_wanting_snapshot: Callable[[NodeId], None] = lambda peer: None
        """Begins to send a snapshot to a node."""
        self._raft_ticks = False
        """Whether Raft's clock has ticked, and the node was not told yet."""
        self._raft_ticked = trio.Event()

    def wake(self) -> None:
        """Have a tick run soon; from any thread."""
        os.eventfd_write(self._wake_fd, 1)

    def raft_tick(self) -> trio.Event:
        """Raft's clock ticks: tell the node so, as soon as it has read what others have sent by now. What is returned
        tells when; the next tick is counted from then, since a promise to a leader is so many whole ticks."""
        self._raft_ticks = True
        self._raft_ticked = trio.Event()
        self.wake()
        return self._raft_ticked

    async def run(self) -> None:
        """Run ticks until `stopping`. Raises StorageError when the disk refuses."""
        node = self._node
        epoll = self._epoll
        try:
            while not self.stopping:
                await self._wait()
                turn_ends_ns = time.monotonic_ns() + SCHEDULE_NS
                self.tick(epoll.poll(0, EVENTS_A_TICK))
                while not self.stopping and time.monotonic_ns() < turn_ends_ns:
                    events = epoll.poll(EXPECT_SECONDS if self._follows else 0, EVENTS_A_TICK)
                    if not events and not node.has_rest() and (self._persisting or not node.wants_tick()):
                        break
                    self.tick(events)
            await self._answer_all()
        finally:
            self._close_all()

    async def _answer_all(self) -> None:
        """Apply and answer what came in before the end."""
        while self._persisting or self._node.has_writes():
            while self._persisting and not self._persistence.finished():
                await trio.sleep(LAST_POLL_SECONDS)
            self._persist()
        self._send_all()

    async def _wait(self) -> None:
        node = self._node
        deadline_ns = node.timers.next_ns()
        if node.has_rest() or (node.wants_tick() and not self._persisting):
            await trio.lowlevel.checkpoint()
            return
        if deadline_ns is None:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            return
        with trio.move_on_after(max(0.0, (deadline_ns - node.clock.monotonic_ns()) / 1e9)):
            await trio.lowlevel.wait_readable(self._epoll.fileno())

    def tick(self, events: list[tuple[int, int]]) -> None:
        """One tick: read, route, propose, persist, apply, reply."""
        node = self._node
        started_ns = time.monotonic_ns()
        self._follows = False
        self._input_ends_ns = started_ns + INPUT_NS
        node.begin_tick()
        self._handshakes.seen = 0
        self._serve(events)
        if self._raft_ticks:
            self._raft_ticks = False
            self._read_links()
            node.raft_tick()
            self._raft_ticked.set()
        # What came in meanwhile may share the entry and the fsync of what came in first.
        while node.has_writes() and not self._persisting:
            expects = node.shard.expects_more()
            if time.monotonic_ns() - started_ns >= (EXPECT_NS if expects else GATHER_NS):
                break
            more = self._epoll.poll(EXPECT_SECONDS if expects else 0, EVENTS_A_TICK)
            if not more:
                break
            self._serve(more)
        self._persist()
        node.end_tick(idle=not events)
        self._send_frames()
        node.liveness.progressed()
        self._send_all()
        self._apply_back_pressure()
        while (job := node.jobs.take()) is not None:
            self.on_job(job)
        while node.wanting_snapshot:
            self.on_wanting_snapshot(node.wanting_snapshot.pop())
        if node.shutdown_requested is not None and node.stopping.may_stop():
            self.stopping = True
        took_ns = time.monotonic_ns() - started_ns
        node.statistics.tick_took(took_ns // 1000)
        if took_ns > LONG_TICK_NS:
            node.observer.took("tick", took_ns)

    def _serve(self, events: list[tuple[int, int]]) -> None:
        """Accept, read and write what is ready."""
        connections = self._connections
        receive = self._node.receive
        late = False
        for fd, event in events:
            connection = connections.get(fd)
            if connection is None:
                self._other_event(fd, event)
                continue
            if late and connection.session.link is None:
                continue
            if event & _READABLE:
                try:
                    data = connection.recv(connection.receive_bytes)
                except OSError as error:
                    if error.errno not in _AGAIN:
                        self.close(connection)
                    continue
                if not data:
                    self._end_of_input(connection)
                    continue
                size = len(data)
                if size >= RECEIVE_BYTES or connection.receive_bytes != RECEIVE_BYTES:
                    self._adapt(connection, size)
                session = connection.session
                receive(session, data)
                if size >= LARGE_CHUNK_BYTES:
                    late = time.monotonic_ns() >= self._input_ends_ns
                if (session.backlog or session.unread) and self._is_behind(session):
                    self._stop_reading(connection)
            if event & select.EPOLLOUT and not connection.session.closed:
                self._send(connection)

    # Reading.

    def _other_event(self, fd: int, event: int) -> None:
        if fd == self._wake_fd:
            os.eventfd_read(fd)
        elif fd in self._listeners:
            self._accept(self._listeners[fd])
        elif fd in self._links:
            self._look_at_link(self._links[fd], event)
        elif fd in self._handshakes and (handshake := self._handshakes.maybe_finish(fd)) is not None:
            self._welcome(handshake)

    def _adapt(self, connection: Connection, size: int) -> None:
        """Choose how much to ask for next: more after a read that filled its buffer."""
        if size == connection.receive_bytes:
            connection.receive_bytes = RECEIVE_LARGE_BYTES
        elif size < RECEIVE_BYTES:
            connection.receive_bytes = RECEIVE_BYTES

    def _end_of_input(self, connection: Connection) -> None:
        """A client sends no more. One that is owed replies gets them first (`printf 'INCR n\\r\\n' | nc` does so)."""
        if not connection.ended and connection.session.is_owed():
            connection.ended = True
            self._watch(connection, connection.watching & ~select.EPOLLIN)
        else:
            self.close(connection)

    def _accept(self, listener: Listener) -> None:
        for _ in range(ACCEPTS_A_TICK):
            try:
                sock, peer = listener.socket.accept()
            except OSError as error:
                if error.errno not in _AGAIN:
                    self._leave_alone(listener, error)
                return
            sock.setblocking(False)
            is_full = self._clients() >= self._node.settings.maxclients
            if listener.tls and is_full and not self._surplus.has_room():
                # Nothing can be said to it before a handshake.
                self._node.statistics.connections_rejected += 1
                sock.close()
            elif listener.tls:
                addresses = prepare(sock, listener, peer, self._node.settings.tcp_keepalive)
                self._handshakes.begin(sock, listener, peer, addresses)
            elif not self._is_refused(sock, listener, peer):
                addresses = prepare(sock, listener, peer, self._node.settings.tcp_keepalive)
                self._epoll.register(sock.fileno(), select.EPOLLIN)
                self._open(sock, addresses, unix=listener.unix)

    def _clients(self) -> int:
        """The connections that `maxclients` bounds: other nodes' links are none of them."""
        return len(self._connections) + len(self._handshakes) - len(self._node.incoming.linked_from())

    def _leave_alone(self, listener: Listener, error: OSError) -> None:
        """A connection cannot be accepted (no descriptor is left, most likely), and waits: so does the socket, for a
        moment, or each tick would begin with it."""
        fd = listener.socket.fileno()
        self._left_alone.append(fd)
        self._epoll.unregister(fd)
        now_ns = time.monotonic_ns()
        if now_ns >= self._tell_again_ns:
            self._tell_again_ns = now_ns + TELL_AGAIN_NS
            log.warning("connections wait, since none can be accepted now: %s", error.strerror)

    def _is_refused(self, sock: ByteSocket, listener: Listener, peer: object) -> bool:
        """Whether a client may not come in; it was told so, and is gone."""
        refusal = refusal_of(self._node.settings, self._clients(), listener, peer)
        if refusal is None or (refusal is TOO_MANY_CLIENTS and self._surplus.has_room()):
            return False
        self._node.statistics.connections_rejected += 1
        send_and_close(sock, refusal)
        return True

    def _open(self, sock: ByteSocket, addresses: tuple[str, str], *, unix: bool) -> Connection:
        session = self._node.open_session(*addresses, unix=unix)
        connection = Connection(sock, session)
        session.transport = connection
        if self._clients() >= self._node.settings.maxclients:
            self._surplus.add(connection)
        self._connections[connection.fd] = connection
        return connection

    def _welcome(self, handshake: Handshake) -> None:
        """A TLS handshake is done: from here on its client is like any other."""
        if self._is_refused(handshake.socket, handshake.listener, handshake.peer):
            return
        self._open(handshake.socket, handshake.addresses, unix=False).session.encrypted = True
        # Commands that came together with the end of the handshake are read already: no event will tell of them.
        self._serve([(handshake.socket.fileno(), select.EPOLLIN)])

    # Persisting.

    def _persist(self) -> None:
        node = self._node
        if self._persisting:
            if not self._persistence.finished():
                node.speak()
                return
            self._persisting = False
            node.persisted(self._persistence.take())
        # In the thread an fsync takes long: what is committed is not kept waiting for it.
        while persists := node.collect(entries_first=not self._persistence.threaded):
            # Entries leave while this node's own fsync runs.
            self._send_frames()
            if not self._persistence.write(persists, self.wake, patient=not node.serves):
                self._persisting = True
                return
            node.persisted(persists)
            if not node.serves:
                # The leader waits for the acknowledgement.
                self._send_frames()
                self._follows = True

    # Other nodes.

    def _read_links(self) -> None:
        """Read what other nodes have sent: whoever was held up must not take them for silent."""
        for session in self._node.incoming.linked_sessions():
            connection = session.transport
            for _ in range(LINK_READS):
                if connection is None or session.closed or not self._read_link(connection):
                    break

    def _read_link(self, connection: Connection) -> bool:
        """Read a link once; whether there may be more. Its end is left to the event that tells of it."""
        try:
            data = connection.recv(RECEIVE_LARGE_BYTES)
        except OSError:
            return False
        if data:
            self._node.receive(connection.session, data)
        return bool(data)

    def peer_context(self) -> ssl.SSLContext | None:
        """What other nodes are dialled with; None without TLS."""
        return None if self.certificates is None else self.certificates.peer

    def add_link(self, link: OutgoingLink) -> None:
        """A node was dialled and has answered: send it what there is from now on. When this one has just stopped, the
        link is lost at once."""
        if self._epoll.closed:
            link.socket.close()
            link.lost.set()
            return
        self._links[link.fd] = self._links_by_peer[link.peer] = link
        link.watched = link.events
        self._epoll.register(link.fd, link.watched)
        self._node.link_opened(link.peer)
        self.wake()

    def drop_link(self, peer: NodeId) -> None:
        """A node is no member any more, or somewhere else."""
        link = self._links_by_peer.get(peer)
        if link is not None:
            self._lose_link(link)

    def _look_at_link(self, link: OutgoingLink, event: int) -> None:
        try:
            if event & select.EPOLLOUT:
                link.flush()
                self._watch_link(link)
            if event & _READABLE and link.is_closed():
                self._lose_link(link)
        except OSError:
            self._lose_link(link)

    def _watch_link(self, link: OutgoingLink) -> None:
        if link.watched != link.events:
            link.watched = link.events
            self._epoll.modify(link.fd, link.watched)

    def _lose_link(self, link: OutgoingLink) -> None:
        del self._links[link.fd], self._links_by_peer[link.peer]
        self._epoll.unregister(link.fd)
        link.socket.close()
        link.lost.set()
        self._node.link_lost(link.peer)

    def _send_frames(self) -> None:
        """Send what the node has to say to others: one frame each."""
        for peer, frame in self._node.take_frames():
            link = self._links_by_peer[peer]
            try:
                link.send(frame)
                self._watch_link(link)
            except OSError as error:
                log.warning("the link to node %d is cut: %s", peer, error)
                self._lose_link(link)

    # Writing.

    def _send_all(self) -> None:
        """Send what is ready: one call of the system a connection. Flat, since every reply passes here."""
        node = self._node
        while node.outgoing:
            sessions, node.outgoing = node.outgoing, {}
            sent_bytes = 0
            for session in sessions:
                if session.closed:
                    continue
                out = session.out
                connection: Connection = session.transport
                if out and not connection.unsent:
                    data = out[0] if len(out) == 1 else b"".join(out)
                    out.clear()
                    try:
                        sent = connection.send(data)
                    except OSError as error:
                        if error.errno not in _AGAIN:
                            self.close(connection)
                            continue
                        sent = 0
                    sent_bytes += sent
                    if sent < len(data):
                        self._keep(connection, memoryview(data)[sent:])
                if session.killed or session.close_after_reply or out or connection.ended:
                    self._finish(connection)
            node.statistics.output_bytes += sent_bytes

    def _finish(self, connection: Connection) -> None:
        """Look after a session that has more to say than its socket takes, or that is to be closed."""
        session = connection.session
        if session.closed:
            return
        if session.out:
            self._keep(connection, memoryview(b"".join(session.out)))
            session.out.clear()
        if session.killed or self._is_done(connection):
            self.close(connection)

    @staticmethod
    def _is_done(connection: Connection) -> bool:
        """Whether nothing is left to be said to a client that is to be closed."""
        session = connection.session
        return (
            (
                (connection.ended and not session.is_owed())
                or (session.close_after_reply and session.blocked is None and not session.segments)
            )
            and not session.out
            and not connection.unsent
        )

    def _keep(self, connection: Connection, data: memoryview) -> None:
        """Send bytes as soon as the socket takes more."""
        connection.unsent.append(data)
        connection.unsent_bytes += len(data)
        self._watch(connection, connection.watching | select.EPOLLOUT)
        self._check_output_limit(connection)

    def _send(self, connection: Connection) -> None:
        """Go on sending what the socket did not take before."""
        unsent = connection.unsent
        try:
            sent = connection.socket.sendmsg(islice(unsent, SEND_PIECES))
        except OSError as error:
            if error.errno not in _AGAIN:
                self.close(connection)
            return
        self._node.statistics.output_bytes += sent
        connection.unsent_bytes -= sent
        while sent:
            size = len(unsent[0])
            if sent < size:
                unsent[0] = unsent[0][sent:]
                break
            unsent.popleft()
            sent -= size
        if not unsent:
            self._watch(connection, connection.watching & ~select.EPOLLOUT)
            if self._is_done(connection):
                self.close(connection)

    def _check_output_limit(self, connection: Connection) -> None:
        """Close a client that does not read its replies (client-output-buffer-limit normal); one that is not in, as
        soon as it is owed more than a few errors."""
        hard, soft, soft_seconds = self._node.settings.output_limit_normal
        size = connection.unsent_bytes
        if not connection.session.authenticated:
            hard = UNAUTHENTICATED_UNSENT_BYTES
        over = bool(hard and size > hard)
        if soft and size > soft:
            now_ns = time.monotonic_ns()
            connection.soft_limit_since_ns = connection.soft_limit_since_ns or now_ns
            over = over or now_ns - connection.soft_limit_since_ns > soft_seconds * 1_000_000_000
        else:
            connection.soft_limit_since_ns = 0
        if over:
            log.warning("client %s is closed: it left %d bytes of replies unread", connection.session.address, size)
            self.close(connection)

    def _watch(self, connection: Connection, events: int) -> None:
        if connection.watching != events and not connection.session.closed:
            connection.watching = events
            self._epoll.modify(connection.fd, events)

    # Back-pressure, idle clients, closing.

    def _apply_back_pressure(self) -> None:
        """Do not read clients while too much is proposed and not committed, nor one that has sent too much that must
        wait (it is blocked, has had its turn, or CLIENT PAUSE is in force). Other nodes are always read: what they send
        is what ends the congestion."""
        if self._node.congested():
            for connection in self._connections.values():
                if connection.session.link is None:
                    self._stop_reading(connection)
        elif self._paused:
            for connection in [each for each in self._paused if not self._is_behind(each.session)]:
                self._paused.remove(connection)
                if not connection.ended:
                    self._watch(connection, connection.watching | select.EPOLLIN)

    @staticmethod
    def _is_behind(session: Session) -> bool:
        """Whether a client has sent so much that is not looked at yet that no more is read."""
        return bool(session.unread) or len(session.backlog) > MOST_BACKLOG

    def _stop_reading(self, connection: Connection) -> None:
        if connection.watching & select.EPOLLIN:
            self._watch(connection, connection.watching & ~select.EPOLLIN)
            self._paused.add(connection)

    def close_idle(self) -> None:
        """Close the clients that have left their replies unread for too long, those that are not done with a handshake,
        and those that sent nothing for `timeout` seconds; blocked and monitoring ones may be silent."""
        if self._node.settings.output_limit_normal.soft_bytes:
            for connection in [each for each in self._connections.values() if each.unsent]:
                self._check_output_limit(connection)
        self._handshakes.cut_overdue(time.monotonic_ns())
        for connection in self._surplus.overdue():
            self._node.statistics.connections_rejected += 1
            try:
                connection.send(TOO_MANY_CLIENTS)
            except OSError as error:
                log.debug("a client too many could not be told so: %s", error)
            self.close(connection)
        while self._left_alone:
            self._epoll.register(self._left_alone.pop(), select.EPOLLIN)
        timeout_ms = self._node.settings.timeout * 1000
        if not timeout_ms:
            return
        before_ms = self._node.clock.monotonic_ns() // 1_000_000 - timeout_ms
        for connection in list(self._connections.values()):
            session = connection.session
            if session.last_active_ms < before_ms and session.blocked is None and not session.monitor:
                self.close(connection)

    def close(self, connection: Connection) -> None:
        """Close a connection and its session."""
        if self._connections.pop(connection.fd, None) is None:
            return
        self._epoll.unregister(connection.fd)
        self._paused.discard(connection)
        connection.socket.close()
        self._node.close_session(connection.session)
        # Each holds the other, and old garbage is not collected (`app`): what is left here would stay for ever.
        connection.session.transport = None

    def _close_all(self) -> None:
        for connection in list(self._connections.values()):
            self.close(connection)
        self._handshakes.close_all()
        for link in self._links.values():
            link.socket.close()
            link.lost.set()
        self._links.clear()
        self._links_by_peer.clear()
        for listener in self._listeners.values():
            listener.socket.close()
        self._epoll.close()

    def dispose(self) -> None:
        """Let go of what `wake` needs: when neither the persister nor a job is left that may call it."""
        os.close(self._wake_fd)
