"""The reactor in this process, with real sockets and a disk that the test holds back."""

from __future__ import annotations

import errno
import gc
import select
import socket
from collections.abc import Callable, Iterator

import pytest
import trio

from redraft.ids import NodeId
from redraft.node.links import Frames
from redraft.node.node import Persist, ShutdownRequest
from redraft.node.session import Session
from redraft.server.connection import Connection
from redraft.server.links import COPIED_BYTES, STUCK_SECONDS, OutgoingLink
from redraft.server.listeners import bind_listeners
from redraft.server.reactor import MOST_BACKLOG, Reactor
from redraft.settings import Settings
from support.world import World

REPLY_SECONDS = 10


class SlowDisk:
    """A `server.persistence.Persistence` whose fsyncs end when the test says so."""

    threaded = True

    def __init__(self, world: World) -> None:
        self._world = world
        self.held = False
        self.looks = 0
        self._pending: list[Persist] = []
        self._done = False
        self._wake: Callable[[], None] = lambda: None

    def write(self, persists: list[Persist], wake: Callable[[], None], *, patient: bool = False) -> bool:
        for persist in persists:
            self._world.log.write(persist.ready.hard_state, persist.ready.entries)
        if not self.held:
            return True
        self._pending, self._done, self._wake = persists, False, wake
        return False

    def finished(self) -> bool:
        self.looks += 1
        return self._done

    def take(self) -> list[Persist]:
        persists, self._pending = self._pending, []
        return persists

    def waiting(self) -> bool:
        """Whether an fsync is under way."""
        return bool(self._pending)

    def release(self) -> None:
        """The fsync under way ends; later ones are instant."""
        self.held = False
        self._done = True
        self._wake()


class House:
    """A reactor on a free port, its node, and its disk."""

    def __init__(self) -> None:
        self.world = World()
        self.disk = SlowDisk(self.world)
        listeners = bind_listeners(Settings(port=0, bind="127.0.0.1"))
        self.address = listeners[0].socket.getsockname()
        self.reactor = Reactor(self.world.node, self.disk, listeners)  # type: ignore[arg-type]

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self.address)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the reactor is to bring about."""
        with trio.fail_after(REPLY_SECONDS):
            while not condition():
                await trio.sleep(0.001)


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.reactor.dispose()


async def read(stream: trio.SocketStream, size: int) -> bytes:
    """So many bytes, or fewer when the stream ends before."""
    data = b""
    with trio.fail_after(REPLY_SECONDS):
        while len(data) < size and (more := await stream.receive_some(size - len(data))):
            data += more
    return data


async def test_reads_are_served_while_an_fsync_is_under_way(house: House, nursery: trio.Nursery) -> None:
    nursery.start_soon(house.reactor.run)
    writer, reader = await house.connect(), await house.connect()
    house.disk.held = True
    await writer.send_all(b"PING\r\nSET key 1\r\nGET key\r\n")
    assert await read(writer, 7) == b"+PONG\r\n"
    await house.until(house.disk.waiting)
    await reader.send_all(b"GET key\r\n")
    assert await read(reader, 5) == b"$-1\r\n"
    house.disk.release()
    assert await read(writer, 12) == b"+OK\r\n$1\r\n1\r\n"
    house.reactor.stopping = True
    house.reactor.wake()


async def test_nothing_is_left_of_a_connection_that_is_closed(house: House, nursery: trio.Nursery) -> None:
    """Old garbage is not collected in a server, so it must not come to be."""
    nursery.start_soon(house.reactor.run)

    def there() -> int:
        return sum(isinstance(each, (Connection, Session)) for each in gc.get_objects())

    gc.collect()
    left = []
    gc.disable()
    try:
        for number in range(3):
            stream = await house.connect()
            await stream.send_all(b"SET key %d\r\nGET key\r\nWATCH key\r\nMULTI\r\nINCR key\r\n" % number)
            assert await read(stream, 31) == b"+OK\r\n$1\r\n%d\r\n+OK\r\n+OK\r\n+QUEUED\r\n" % number
            await stream.aclose()
            await house.until(lambda: not house.world.node.sessions)
            left.append(there())
        # The node may remember the last one, but not all of them.
        assert left[0] == left[1] == left[2] <= 1
    finally:
        gc.enable()
    house.reactor.stopping = True
    house.reactor.wake()


async def test_what_was_proposed_before_the_end_is_answered(house: House) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.reactor.run)
        first, second = await house.connect(), await house.connect()
        house.disk.held = True
        await first.send_all(b"SET a 1\r\n")
        await house.until(house.disk.waiting)
        await second.send_all(b"SET b 2\r\n")
        await house.until(lambda: bool(house.world.node.shard.batch.items))
        house.world.node.shutdown_requested = ShutdownRequest(flush=True, force=False, session=None)
        house.reactor.stopping = True
        house.reactor.wake()
        looks = house.disk.looks
        await house.until(lambda: house.disk.looks > looks + 1)
        house.disk.release()
        assert await read(first, 100) == b"+OK\r\n"
        assert await read(second, 100) == b"+OK\r\n"


async def test_a_client_that_stops_sending_gets_what_it_is_owed(house: House, nursery: trio.Nursery) -> None:
    nursery.start_soon(house.reactor.run)
    house.disk.held = True
    client = await house.connect()
    await client.send_all(b"SET key 1\r\nHELLO 2\r\nGET key\r\n")
    await client.send_eof()
    await house.until(house.disk.waiting)
    await house.until(lambda: not readable(house))
    house.disk.release()
    received = await read(client, 10_000)
    assert received.startswith(b"+OK\r\n*")
    assert received.endswith(b"$1\r\n1\r\n")
    assert house.world.node.sessions == {}
    house.reactor.stopping = True
    house.reactor.wake()


def readable(house: House) -> bool:
    """Whether the reactor has something to read."""
    return bool(select.select([house.reactor._epoll.fileno()], [], [], 0)[0])


async def test_a_client_whose_commands_must_wait_is_not_read_without_end(house: House, nursery: trio.Nursery) -> None:
    nursery.start_soon(house.reactor.run)
    client, other = await house.connect(), await house.connect()
    await other.send_all(b"CLIENT PAUSE 1000000\r\n")
    assert await read(other, 5) == b"+OK\r\n"
    count = 100 * MOST_BACKLOG
    sent = trio.Event()

    async def send() -> None:
        await client.send_all(b"*1\r\n$4\r\nPING\r\n" * count)
        sent.set()

    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    nursery.start_soon(send)
    await house.until(lambda: bool(house.reactor._paused))
    waiting = max(len(each.backlog) for each in house.world.node.sessions.values())
    assert waiting < count, "it was read on and on"
    house.world.clock.ns += 1_000_000 * 1_000_000
    house.reactor.wake()
    assert await read(client, 7 * count) == b"+PONG\r\n" * count
    await house.until(sent.is_set)
    house.reactor.stopping = True
    house.reactor.wake()


async def test_clients_are_not_read_while_too_much_waits_for_the_disk(house: House, nursery: trio.Nursery) -> None:
    nursery.start_soon(house.reactor.run)
    house.disk.held = True
    client = await house.connect()
    await client.send_all(b"SET first 1\r\n")
    await house.until(house.disk.waiting)
    value = b"x" * 10_000_000
    request = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%d\r\n%s\r\n" % (len(value), value)
    answered = 0

    async def send() -> None:
        for _ in range(20):
            await client.send_all(request)

    nursery.start_soon(send)
    await house.until(lambda: bool(house.reactor._paused))
    held = sum(len(fragment) for batch in house.world.node.shard.unapplied() for fragment in batch.fragments)
    assert held < 100_000_000
    house.disk.release()
    answered = len(await read(client, 21 * 5)) // 5
    assert answered == 21
    house.reactor.stopping = True
    house.reactor.wake()


class Listening:
    """A `node.links.Link` that only counts."""

    peer = NodeId(2)

    def __init__(self) -> None:
        self.received = 0

    def receive(self, data: bytes) -> None:
        self.received += len(data)

    def close(self) -> None:
        pass


async def test_other_nodes_are_read_while_too_much_waits_for_the_disk(house: House, nursery: trio.Nursery) -> None:
    # What they send, acknowledgements among it, is what makes less wait.
    nursery.start_soon(house.reactor.run)
    peer, client = await house.connect(), await house.connect()
    await peer.send_all(b"PING\r\n")
    assert await read(peer, 7) == b"+PONG\r\n"
    link = Listening()
    next(iter(house.world.node.sessions.values())).link = link
    house.disk.held = True
    await client.send_all(b"SET first 1\r\n")
    await house.until(house.disk.waiting)
    value = b"x" * 10_000_000
    request = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%d\r\n%s\r\n" % (len(value), value)
    nursery.start_soon(client.send_all, request * 10)
    await house.until(lambda: house.world.node.congested() and bool(house.reactor._paused))
    await peer.send_all(b"frame")
    await house.until(lambda: link.received == 5)
    house.disk.release()
    assert await read(client, 11 * 5) == b"+OK\r\n" * 11
    house.reactor.stopping = True
    house.reactor.wake()


async def test_a_client_that_sends_a_flood_and_stops_gets_all_that_it_is_owed(
    house: House, nursery: trio.Nursery
) -> None:
    nursery.start_soon(house.reactor.run)
    house.world.clock.look_ns = 1_000_000
    client = await house.connect()
    await client.send_all(b"PING\r\n" * 1000)
    await client.send_eof()
    assert await read(client, 10_000) == b"+PONG\r\n" * 1000
    house.reactor.stopping = True
    house.reactor.wake()


async def test_a_link_that_is_made_as_the_node_stops_is_lost_at_once(house: House) -> None:
    house.reactor.stopping = True
    await house.reactor.run()
    ours, theirs = socket.socketpair()
    link = OutgoingLink(NodeId(2), ours)
    house.reactor.add_link(link)
    assert link.lost.is_set()
    assert ours.fileno() == -1
    theirs.close()


async def test_a_link_is_lost_when_the_node_stops(house: House) -> None:
    ours, theirs = socket.socketpair()
    link = OutgoingLink(NodeId(2), ours)
    house.reactor.add_link(link)
    house.reactor.stopping = True
    await house.reactor.run()
    assert link.lost.is_set()
    house.reactor.drop_link(NodeId(2))
    theirs.close()


def test_raft_hears_that_time_has_passed_after_all_that_others_have_sent(house: House) -> None:
    """Many events are ready, and the link is not among those that this tick was told of."""
    here, there = socket.socketpair()
    here.setblocking(False)
    node = house.world.node
    connection = house.reactor._open(here, ("a", "b"), unix=False)
    heard: list[bytes] = []

    class Listening:
        peer = NodeId(2)

        def receive(self, data: bytes) -> None:
            heard.append(data)

        def close(self) -> None:
            pass

    node.incoming.accept(connection.session, Listening())  # type: ignore[arg-type]
    there.sendall(b"x" * 100_000)
    node.raft_tick = lambda: heard.append(b"tick")  # type: ignore[method-assign]
    house.reactor.raft_tick()
    house.reactor.tick([])
    assert heard[-1] == b"tick"
    assert len(b"".join(heard[:-1])) == 100_000
    there.close()
    here.close()


def test_what_does_not_wait_for_an_fsync_is_said_while_one_is_under_way(house: House) -> None:
    said: list[str] = []
    node = house.world.node
    node.speak = lambda: said.append("spoken")  # type: ignore[method-assign]
    house.reactor._persisting = True
    house.reactor.tick([])
    assert said == ["spoken"]


def test_a_link_is_cut_when_it_holds_much_and_nothing_leaves_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    now = [100.0]
    monkeypatch.setattr("redraft.server.links.time.monotonic", lambda: now[0])
    monkeypatch.setattr("redraft.server.links.MOST_UNSENT_BYTES", 1 << 20)
    link = OutgoingLink(NodeId(2), ours)
    link.send(b"v" * (4 << 20))
    now[0] += STUCK_SECONDS - 1
    link.send(b"heartbeat")
    theirs.recv(1 << 20)
    link.flush()
    now[0] += STUCK_SECONDS - 1
    link.send(b"heartbeat")
    now[0] += 2
    with pytest.raises(OSError, match="it does not read what is sent"):
        link.send(b"heartbeat")
    ours.close()
    theirs.close()


async def test_frames_arrive_as_they_were_sent_whatever_their_size() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    link = OutgoingLink(NodeId(2), ours)
    sizes = [0, 1, COPIED_BYTES, COPIED_BYTES + 1, 3 << 20, 5]
    for size in sizes:
        link.send(b"x" * size)
    frames = Frames(1 << 30, bytes)
    arrived: list[bytes] = []
    while link.events & select.EPOLLOUT:
        arrived += frames.feed(theirs.recv(1 << 20))
        link.flush()
    while len(arrived) < len(sizes):
        arrived += frames.feed(theirs.recv(1 << 20))
    assert [len(frame) for frame in arrived] == sizes
    ours.close()
    theirs.close()


async def test_the_next_tick_of_rafts_clock_is_counted_from_when_the_last_was_taken(house: House) -> None:
    """A promise to a leader is so many ticks long; two that come at once, behind a long tick, would shorten it."""
    house.world.node.raft_tick = lambda: None  # type: ignore[method-assign]
    taken = house.reactor.raft_tick()
    assert not taken.is_set()
    house.reactor.tick([])
    assert taken.is_set()


class TiredSocket:
    """A listening socket at which nobody can be accepted."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.asked = 0
        self.is_tired = True

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> object:
        self.asked += 1
        if self.is_tired:
            raise OSError(errno.EMFILE, "Too many open files")
        return self._socket.accept()

    def close(self) -> None:
        self._socket.close()


async def test_where_no_connection_can_be_accepted_that_is_said_once_and_tried_again_later(
    house: House, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    (fd, listener) = next(iter(house.reactor._listeners.items()))
    tired = TiredSocket(listener.socket)
    house.reactor._listeners[fd] = listener._replace(socket=tired)  # type: ignore[arg-type]
    nursery.start_soon(house.reactor.run)
    client = await house.connect()
    await client.send_all(b"PING\r\n")
    await house.until(lambda: tired.asked == 1)
    for _ in range(20):
        house.reactor.wake()
        await trio.sleep(0.001)
    assert tired.asked == 1
    house.reactor.close_idle()
    await house.until(lambda: tired.asked == 2)
    assert [record.getMessage() for record in caplog.records if "connections wait" in record.getMessage()] == [
        "connections wait, since none can be accepted now: Too many open files"
    ]
    tired.is_tired = False
    house.reactor.close_idle()
    assert await read(client, 7) == b"+PONG\r\n"
    house.reactor.stopping = True
    house.reactor.wake()


TOO_MANY = b"-ERR max number of clients reached\r\n"


async def test_a_node_that_is_full_of_clients_still_lets_other_nodes_in(
    house: House, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = house.world
    world.settings.maxclients = 1
    nursery.start_soon(house.reactor.run)
    first = await house.connect()
    await first.send_all(b"PING\r\n")
    assert await read(first, 7) == b"+PONG\r\n"
    alone = await house.connect()
    assert await read(alone, 100) == TOO_MANY, "nobody else is expected"
    monkeypatch.setattr(world.node.members, "others", lambda: {NodeId(2): "10.0.0.2:7000"})
    client, silent = await house.connect(), await house.connect()
    await client.send_all(b"PING\r\nPING\r\n")
    assert await read(client, 100) == TOO_MANY
    peer = await house.connect()
    await peer.send_all(b"REDRAFT PEER 2 1 x y z\r\n")
    with trio.fail_after(REPLY_SECONDS):
        assert b"max number" not in await peer.receive_some(100)
    world.clock.ns += 2_000_000_000
    house.reactor.close_idle()
    assert await read(silent, 100) == TOO_MANY
    await first.send_all(b"PING\r\n")
    assert await read(first, 7) == b"+PONG\r\n"
    house.reactor.stopping = True
    house.reactor.wake()


async def test_links_of_other_nodes_are_no_clients(
    house: House, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.world.settings.maxclients = 2
    monkeypatch.setattr(house.world.node.incoming, "linked_from", lambda: [NodeId(2)])
    nursery.start_soon(house.reactor.run)
    clients = [await house.connect() for _ in range(3)]
    for client in clients:
        await client.send_all(b"PING\r\n")
        assert await read(client, 7) == b"+PONG\r\n"
    assert await read(await house.connect(), 100) == TOO_MANY
    house.reactor.stopping = True
    house.reactor.wake()
