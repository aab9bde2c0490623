"""Links to the other nodes: one that this node dials to each of them, and says what it has to say.

Each has a trio task that connects, greets (`node.links`), hands the socket to the reactor, and begins anew with a
growing pause when it breaks. Names are looked up at each attempt, since a node may come back under another address.

With `tls-cluster` all of it goes through TLS (`tls`), greeting included; the context is asked for at each attempt,
since certificates may have been read anew.
"""

from __future__ import annotations

import logging
import os
import random
import select
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING

import trio

from redraft.addresses import split_address
from redraft.errors import UserError
from redraft.ids import NodeId
from redraft.node.calling import Call, NodeCaller, OutcastError
from redraft.node.links import NONCE_BYTES, GreetingError, frame_head, framed
from redraft.resp.client import NOTHING, BadReplyError, ErrorReply, ReplyReader
from redraft.server.connection import ByteSocket
from redraft.server.stream import Stream, connect
from redraft.shard.entry import pack

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.server.reactor import Reactor

log = logging.getLogger("redraft.peers")

FIRST_PAUSE_SECONDS = 0.05
LAST_PAUSE_SECONDS = 1.0
GREETING_SECONDS = 5.0
LOOK_SECONDS = 0.1
"""Between two looks at who the members are."""
MOST_UNSENT_BYTES = 256 << 20
STUCK_SECONDS = 60.0
"""A link that holds more than `MOST_UNSENT_BYTES`, of which nothing has left for so long, is cut: its node does not
read. One value may be more than that, and a node may be held up for a while."""
COPIED_BYTES = 64 << 10
"""A frame of no more than this is put behind its length in one piece; a larger one is not copied."""


class OutgoingLink:
    """The socket of a link that this node has dialled."""

    def __init__(self, peer: NodeId, sock: ByteSocket) -> None:
        self.peer = peer
        self.socket = sock
        self.fd = sock.fileno()
        self.lost = trio.Event()
        self._unsent: deque[memoryview] = deque()
        self._unsent_bytes = 0
        self._moved_at = time.monotonic()
        """When bytes left last, or there were none."""
        self.watched = 0
        """The events that the reactor waits for now."""

    @property
    def events(self) -> int:
        """What the reactor should wait for."""
        return select.EPOLLIN | (select.EPOLLOUT if self._unsent else 0)

    def send(self, frame: bytes) -> None:
        """Send a frame, as far as the socket takes it. Raises OSError."""
        idle = not self._unsent
        if idle:
            self._moved_at = time.monotonic()
        elif self._unsent_bytes > MOST_UNSENT_BYTES and time.monotonic() - self._moved_at > STUCK_SECONDS:
            raise OSError("it does not read what is sent")
        if len(frame) <= COPIED_BYTES:
            self._unsent.append(memoryview(framed(frame)))
        else:
            self._unsent += (memoryview(frame_head(len(frame))), memoryview(frame))
        self._unsent_bytes += len(frame_head(0)) + len(frame)
        if idle:
            self.flush()

    def flush(self) -> None:
        """Go on sending. Raises OSError."""
        while self._unsent:
            first = self._unsent[0]
            try:
                sent = self.socket.send(first)
            except BlockingIOError:
                return
            self._unsent_bytes -= sent
            self._moved_at = time.monotonic()
            if sent < len(first):
                self._unsent[0] = first[sent:]
                return
            self._unsent.popleft()

    def is_closed(self) -> bool:
        """Read what comes, which is only the end."""
        try:
            return not self.socket.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            return True


def parse_members(text: str) -> dict[NodeId, str]:
    """`1=host:port,2=host:port` as a dict. Raises UserError."""
    members: dict[NodeId, str] = {}
    for word in text.split(","):
        number, equals, address = word.strip().partition("=")
        try:
            split_address(address)
        except ValueError:
            equals = ""
        if not (equals and number.isascii() and number.isdecimal() and int(number)):
            raise UserError(f"redraft: initial-cluster: '{word.strip()}' is not ID=HOST:PORT", exit_code=2)
        if NodeId(int(number)) in members:
            raise UserError(f"redraft: initial-cluster: the node {number} is there twice", exit_code=2)
        members[NodeId(int(number))] = address
    return members


async def keep_links(node: Node, reactor: Reactor) -> None:
    """Keep a link to every other member, as members come and go and move, for ever. Raises OutcastError."""
    kept: dict[NodeId, tuple[str, trio.CancelScope]] = {}
    outcast: list[OutcastError] = []
    """What the others have said; it leaves the nursery as it is, and not in a group of several."""
    async with trio.open_nursery() as nursery:
        while True:
            wanted = node.members.others()
            for peer in [peer for peer, (address, _) in kept.items() if wanted.get(peer) != address]:
                kept.pop(peer)[1].cancel()
            for peer, address in wanted.items():
                if peer not in kept:
                    scope = trio.CancelScope()
                    kept[peer] = address, scope
                    nursery.start_soon(_keep_until, scope, reactor, node, peer, address, outcast)
            if outcast:
                nursery.cancel_scope.cancel()
            await trio.sleep(LOOK_SECONDS)
    raise outcast[0]


async def _keep_until(
    scope: trio.CancelScope, reactor: Reactor, node: Node, peer: NodeId, address: str, outcast: list[OutcastError]
) -> None:
    with scope:
        try:
            await keep_link(reactor, node, peer, address)
        except OutcastError as error:
            outcast.append(error)
    reactor.drop_link(peer)


async def keep_link(reactor: Reactor, node: Node, peer: NodeId, address: str) -> None:
    """Keep a link to a node, for ever. Raises OutcastError."""
    pause = FIRST_PAUSE_SECONDS
    told = ""
    while True:
        try:
            with trio.fail_after(GREETING_SECONDS):
                stream = await dial(node, peer, address, b"FRAMES", reactor.peer_context())
        except (OSError, GreetingError, trio.TooSlowError) as error:
            reason = str(error) or "it does not answer"
            if reason != told:
                log.warning("node %d at %s is not reached: %s", peer, address, reason)
                told = reason
            await trio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LAST_PAUSE_SECONDS)
            continue
        link = OutgoingLink(peer, stream.socket)
        log.info("node %d at %s is reached", peer, address)
        reactor.add_link(link)
        pause, told = FIRST_PAUSE_SECONDS, ""
        await link.lost.wait()
        log.info("the link to node %d is lost", peer)


async def dial(node: Node, peer: NodeId, address: str, purpose: bytes, context: ssl.SSLContext | None = None) -> Stream:
    """Connect and greet. Raises OSError, GreetingError, OutcastError."""
    stream = await connect(address, context)
    try:
        call = Call(NodeCaller(node), peer, purpose, os.urandom(NONCE_BYTES))
        reply = await ask_or_error(stream, *call.greeting())
        if isinstance(reply, ErrorReply):
            reply = await ask(stream, *call.refused(str(reply)))
        reply = await ask_or_error(stream, *call.answered(reply))
        if isinstance(reply, ErrorReply):
            call.refused(str(reply))
        call.accepted()
        return stream
    except BaseException:
        stream.socket.close()
        raise


async def ask(stream: Stream, *words: bytes) -> object:
    """Send a command and read the reply. Raises OSError, GreetingError."""
    await stream.send_all(pack(words))
    return await read_reply(stream)


async def ask_or_error(stream: Stream, *words: bytes) -> object:
    """Send a command and read the reply, which may be an error. Raises OSError, GreetingError."""
    await stream.send_all(pack(words))
    return await read_reply_or_error(stream)


async def read_reply(stream: Stream) -> object:
    """The next reply, behind which nothing comes before it is asked for. Raises OSError, GreetingError."""
    reply = await read_reply_or_error(stream)
    if isinstance(reply, ErrorReply):
        raise GreetingError(f"it says: {reply}")
    return reply


async def read_reply_or_error(stream: Stream) -> object:
    """The next reply, as `read_reply`, or the error that was answered. Raises OSError, GreetingError."""
    reader = ReplyReader()
    try:
        while (reply := reader.next()) is NOTHING:
            data = await stream.receive_some()
            if not data:
                raise GreetingError("it closes the connection")
            reader.feed(data)
    except BadReplyError as error:
        raise GreetingError("it does not speak the protocol") from error
    return reply
