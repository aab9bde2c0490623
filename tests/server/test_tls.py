"""TLS over sockets in this process: every byte of a handshake alone, ends and refusals, full sockets, a reactor that
nobody shakes hands with."""

from __future__ import annotations

import errno
import random
import select
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from cryptography import x509

from redraft.node.links import VERSION
from redraft.server import handshakes
from redraft.server.certificates import Certificates
from redraft.server.connection import PROTECTED_MODE_REFUSAL, refusal_of
from redraft.server.links import OutgoingLink
from redraft.server.listeners import bind_listeners
from redraft.server.reactor import Reactor
from redraft.server.tls import SEND_BYTES, TlsError, TlsSocket
from redraft.settings import Settings
from support.certificates import HOST, Authority
from support.processes import free_port
from support.world import World

PATIENCE_SECONDS = 10


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificates(authority: Authority) -> Certificates:
    return Certificates(settings_of(authority, 1))


def settings_of(authority: Authority, tls_port: int, **more: object) -> Settings:
    """Those of a node with a TLS port, and links by TLS."""
    words = ["--port", "0", "--tls-port", str(tls_port), "--tls-cluster", "yes", *authority.options("node")]
    more = {"bind": HOST, "tls-auth-clients": "no", **more}
    return Settings.from_command_line([*words, *(f"--{key}={value}" for key, value in more.items())])


class Pair:
    """A server's and a client's end of one connection; `steps` of a handshake between them."""

    def __init__(self, certificates: Certificates, buffer_bytes: int = 0) -> None:
        one, other = socket.socketpair()
        for sock in (one, other):
            sock.setblocking(False)
            if buffer_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        assert certificates.peer is not None
        self.server = TlsSocket(one, certificates.server, server_side=True)
        self.client = TlsSocket(other, certificates.peer, server_side=False)

    def shake(self) -> Pair:
        """The whole handshake."""
        ends = [self.client, self.server]
        while ends:
            for end in list(ends):
                try:
                    end.shake()
                    ends.remove(end)
                except BlockingIOError:
                    pass
        return self


def received(end: TlsSocket) -> bytes:
    """All that has come."""
    data = b""
    while True:
        try:
            more = end.recv(1)
        except BlockingIOError:
            return data
        if not more:
            return data
        data += more


# The socket.


def test_a_handshake_and_what_follows_may_come_byte_by_byte(certificates: Certificates) -> None:
    assert certificates.peer is not None
    near, far = socket.socketpair()
    near.setblocking(False)
    server = TlsSocket(near, certificates.server, server_side=True)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificates.peer.wrap_bio(incoming, outgoing)
    shaken = False
    while not shaken:
        try:
            client.do_handshake()
            # What is said at once comes in the same segment as the end of the handshake.
            client.write(b"PING\r\n")
        except ssl.SSLWantReadError:
            pass
        for byte in outgoing.read():
            far.send(bytes([byte]))
            try:
                server.shake()
                shaken = True
            except BlockingIOError:
                assert not shaken
            if shaken:
                try:
                    assert server.recv(1) == b"PING\r\n"
                except BlockingIOError:
                    continue
        if not shaken:
            incoming.write(far.recv(1 << 16))
    far.close()
    server.close()


def test_what_comes_with_the_end_of_the_handshake_is_there_although_the_socket_is_empty(
    certificates: Certificates,
) -> None:
    pair = Pair(certificates)
    with pytest.raises(BlockingIOError):
        pair.client.shake()
    with pytest.raises(BlockingIOError):
        pair.server.shake()
    pair.client.shake()
    # The server has not seen the end of the handshake yet.
    assert pair.client.send(b"one") == 3
    pair.server.shake()
    assert pair.server.recv(1) == b"one"
    with pytest.raises(BlockingIOError):
        pair.server.recv(1)


def test_all_that_came_is_decrypted_at_once(certificates: Certificates) -> None:
    pair = Pair(certificates).shake()
    for number in range(100):
        assert pair.client.send(b"%d," % number)
    assert pair.server.recv(1) == b"".join(b"%d," % number for number in range(100))
    with pytest.raises(BlockingIOError):
        pair.server.recv(1)


def test_after_a_full_socket_the_same_bytes_go_on_and_each_is_counted_once(certificates: Certificates) -> None:
    pair = Pair(certificates, buffer_bytes=8192).shake()
    source = random.Random(seed := random.randrange(1 << 32))
    data = source.randbytes(3_000_000)
    rest, arrived, refused = memoryview(data), b"", 0
    while rest or len(arrived) < len(data):
        if rest:
            try:
                sent = pair.server.send(rest)
                assert 0 < sent <= SEND_BYTES
                rest = rest[sent:]
            except BlockingIOError:
                refused += 1
                pair.server.check()
                assert pair.server.wants_to_write()
        if not rest or source.random() < 0.5:
            arrived += received(pair.client)
    assert refused > 0
    assert arrived == data, f"seed {seed}"


def test_sendmsg_sends_pieces_in_order_and_none_twice(certificates: Certificates) -> None:
    pair = Pair(certificates, buffer_bytes=8192).shake()
    source = random.Random(seed := random.randrange(1 << 32))
    pieces = [memoryview(source.randbytes(source.choice([1, 100, 5000, 40_000, 600_000]))) for _ in range(30)]
    whole, arrived = b"".join(pieces), b""
    while pieces or len(arrived) < len(whole):
        if pieces:
            try:
                sent = pair.server.sendmsg(iter(pieces[:8]))
            except BlockingIOError:
                sent = 0
            while sent:
                taken = min(sent, len(pieces[0]))
                pieces[0], sent = pieces[0][taken:], sent - taken
                if not pieces[0]:
                    pieces.pop(0)
        if not pieces or source.random() < 0.5:
            arrived += received(pair.client)
    assert arrived == whole, f"seed {seed}"


def test_a_goodbye_is_an_end_also_behind_data_and_with_the_socket_still_open(certificates: Certificates) -> None:
    pair = Pair(certificates).shake()
    other = pair.client.socket.dup()
    pair.client.send(b"last words")
    pair.client.close()
    assert pair.server.recv(1) == b"last words"
    # The descriptor is open in another place, so no end of the stream is to come; epoll must report one all the same.
    with select.epoll() as epoll:
        epoll.register(pair.server.fileno(), select.EPOLLIN)
        assert epoll.poll(PATIENCE_SECONDS)
    assert pair.server.recv(1) == b""
    other.close()


def test_whoever_hangs_up_says_goodbye_also_after_the_other(certificates: Certificates) -> None:
    pair = Pair(certificates).shake()
    assert received(pair.client) == b""
    with pytest.raises(ssl.SSLWantReadError):
        pair.client._object.unwrap()
    pair.client.socket.send(pair.client._outgoing.read())
    assert pair.server.recv(1) == b""
    pair.server.close()
    pair.client._incoming.write(pair.client.socket.recv(1 << 16))
    pair.client._object.unwrap()


def test_an_end_without_a_goodbye_is_an_end(certificates: Certificates) -> None:
    pair = Pair(certificates).shake()
    # A socket that is closed with something unread in it tells of an error, not of an end.
    assert received(pair.client) == b""
    pair.client.send(b"x")
    pair.client.socket.close()
    assert received(pair.server) == b"x"
    assert pair.server.recv(1) == b""


def test_a_record_that_was_changed_on_its_way_is_an_error_of_its_own_kind(certificates: Certificates) -> None:
    pair = Pair(certificates).shake()
    pair.client.socket.send(struct.pack(">BHH", 23, 0x0303, 32) + bytes(32))
    with pytest.raises(TlsError) as caught:
        pair.server.recv(1)
    # Its number is none of those after which a socket is tried again.
    assert caught.value.errno == errno.EPROTO
    assert str(caught.value).startswith("TLS: ")
    with pytest.raises(TlsError, match="TLS: "):
        received(pair.client)


def test_a_hang_up_in_the_handshake_is_an_error(certificates: Certificates) -> None:
    pair = Pair(certificates)
    pair.client.socket.close()
    with pytest.raises(ConnectionResetError, match="hung up in the middle of the handshake"):
        pair.server.shake()


def test_a_link_carries_large_frames_over_tls(certificates: Certificates) -> None:
    pair = Pair(certificates, buffer_bytes=8192).shake()
    link = OutgoingLink(2, pair.client)  # type: ignore[arg-type]
    frames = [bytes([number]) * 200_000 for number in range(10)]
    for frame in frames:
        link.send(frame)
    assert link.events & select.EPOLLOUT
    arrived = b""
    while link.events & select.EPOLLOUT:
        arrived += received(pair.server)
        link.flush()
        assert not link.is_closed()
    arrived += received(pair.server)
    assert arrived == b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)
    pair.server.close()
    assert link.is_closed()


# Certificates.


def shown_to_nodes(authority: Authority, **more: object) -> int:
    """The serial number of the certificate that a node shows to one that it dials."""
    pair = Pair(Certificates(settings_of(authority, 1, **{"tls-auth-clients": "yes", **more}))).shake()
    shown = pair.server._object.getpeercert()
    assert shown is not None
    return int(str(shown["serialNumber"]), 16)


def test_nodes_are_shown_the_certificate_for_them_where_there_is_one(authority: Authority) -> None:
    certificate, key = authority.issue("for-nodes")
    more = {"tls-client-cert-file": certificate, "tls-client-key-file": key}
    serial = x509.load_pem_x509_certificates(certificate.read_bytes())[0].serial_number
    assert shown_to_nodes(authority, **more) == serial
    assert shown_to_nodes(authority) != serial


def test_cas_may_stand_in_a_directory(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.path.read_bytes())
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
    words = {"tls-auth-clients": "yes", "tls-ca-cert-file": "", "tls-ca-cert-dir": tmp_path}
    Pair(Certificates(settings_of(authority, 1, **words))).shake()
    for link in tmp_path.glob("*.0"):
        link.unlink()
    with pytest.raises(TlsError, match="unable to get local issuer certificate"):
        Pair(Certificates(settings_of(authority, 1, **words))).shake()


# A reactor.


class NoDisk:
    """A `server.persistence.Persistence` that forgets."""

    threaded = False

    def write(self, persists: list[object], wake: Callable[[], None]) -> bool:
        return True

    def finished(self) -> bool:
        return True


class House:
    """A reactor with a TLS port and a plain one."""

    def __init__(self, authority: Authority) -> None:
        self.world = World()
        settings = settings_of(authority, free_port(), port=free_port())
        listeners = bind_listeners(settings)
        plain, tls = listeners
        assert (plain.tls, tls.tls) == (False, True)
        self.plain_address, self.address = plain.socket.getsockname(), tls.socket.getsockname()
        self.reactor = Reactor(self.world.node, NoDisk(), listeners, Certificates(settings))  # type: ignore[arg-type]

    async def connect(self, authority: Authority) -> trio.SSLStream[trio.SocketStream]:
        context = ssl.create_default_context(cafile=str(authority.path))
        stream = trio.SSLStream(
            await trio.open_tcp_stream(*self.address), context, server_hostname=HOST, https_compatible=True
        )
        with trio.fail_after(PATIENCE_SECONDS):
            await stream.do_handshake()
        return stream

    def stop(self) -> None:
        self.reactor.stopping = True
        self.reactor.wake()


@pytest.fixture
def house(authority: Authority) -> Iterator[House]:
    made = House(authority)
    yield made
    made.reactor.dispose()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the reactor is to bring about."""
    with trio.fail_after(PATIENCE_SECONDS):
        while not condition():
            await trio.sleep(0.001)


async def test_commands_over_tls_and_beside_it(house: House, authority: Authority, nursery: trio.Nursery) -> None:
    nursery.start_soon(house.reactor.run)
    over_tls, plain = await house.connect(authority), await trio.open_tcp_stream(*house.plain_address)
    with trio.fail_after(PATIENCE_SECONDS):
        await over_tls.send_all(b"PING\r\n")
        assert await over_tls.receive_some() == b"+PONG\r\n"
        await plain.send_all(b"PING\r\n")
        assert await plain.receive_some() == b"+PONG\r\n"
    assert [session.encrypted for session in house.world.node.sessions.values()] == [True, False]
    await over_tls.aclose()
    await until(lambda: len(house.world.node.sessions) == 1)
    house.stop()


async def test_another_node_is_not_let_in_without_tls(
    house: House, authority: Authority, nursery: trio.Nursery
) -> None:
    house.world.node.settings.tls_cluster = True
    nursery.start_soon(house.reactor.run)
    greeting = b"REDRAFT PEER " + VERSION + b" another 2 1 00\r\n"
    for stream, said in (
        (await trio.open_tcp_stream(*house.plain_address), b"it takes none but by TLS"),
        (await house.connect(authority), b"it is of another cluster"),
    ):
        with trio.fail_after(PATIENCE_SECONDS):
            await stream.send_all(greeting)
            assert said in await stream.receive_some()
    plain = await trio.open_tcp_stream(*house.plain_address)
    with trio.fail_after(PATIENCE_SECONDS):
        await plain.send_all(b"REDRAFT JOIN 127.0.0.1:1 x x\r\n")
        assert b"by TLS only" in await plain.receive_some()
    house.stop()


async def test_who_never_finishes_a_handshake_is_cut_after_a_time(
    house: House, authority: Authority, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "HANDSHAKE_SECONDS", 0.05)
    nursery.start_soon(house.reactor.run)
    streams = [await trio.open_tcp_stream(*house.address) for _ in range(20)]
    for number, stream in enumerate(streams):
        if number % 2:
            # The head of a record that never comes.
            await stream.send_all(b"\x16\x03\x01\x02\x00\x01")
    with trio.fail_after(PATIENCE_SECONDS):
        await until(lambda: len(house.reactor._handshakes) == 20)
        while len(house.reactor._handshakes):
            await trio.sleep(0.01)
            house.reactor.close_idle()
        for stream in streams:
            assert await stream.receive_some() == b""
    assert not house.world.node.sessions
    house.stop()


async def test_many_handshakes_at_once_are_all_done(house: House, authority: Authority, nursery: trio.Nursery) -> None:
    nursery.start_soon(house.reactor.run)
    answers: list[bytes] = []

    async def ask() -> None:
        stream = await house.connect(authority)
        await stream.send_all(b"PING\r\n")
        answers.append(bytes(await stream.receive_some()))

    async with trio.open_nursery() as clients:
        for _ in range(4 * handshakes.MOST_A_TICK):
            clients.start_soon(ask)
    assert answers == [b"+PONG\r\n"] * 4 * handshakes.MOST_A_TICK
    house.stop()


async def test_a_client_too_many_is_closed_before_its_handshake(
    house: House, authority: Authority, nursery: trio.Nursery
) -> None:
    house.world.node.settings.maxclients = 2
    nursery.start_soon(house.reactor.run)
    # Those that are not done yet count.
    first = await house.connect(authority)
    unfinished = await trio.open_tcp_stream(*house.address)
    await until(lambda: len(house.reactor._handshakes) == len(house.reactor._connections) == 1)
    third = await trio.open_tcp_stream(*house.address)
    with trio.fail_after(PATIENCE_SECONDS):
        assert await third.receive_some() == b""
    assert house.world.node.statistics.connections_rejected == 1
    await unfinished.aclose()
    await first.aclose()
    house.stop()


async def test_a_refusal_is_told_behind_the_handshake(
    house: House, authority: Authority, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    nursery.start_soon(house.reactor.run)
    stranger = ("192.0.2.1", 1)
    monkeypatch.setattr(
        "redraft.server.reactor.refusal_of",
        lambda settings, count, listener, _peer: refusal_of(settings, count, listener, stranger),
    )
    stream = await house.connect(authority)
    told = b""
    with trio.fail_after(PATIENCE_SECONDS):
        while more := await stream.receive_some():
            told += more
    assert told == PROTECTED_MODE_REFUSAL
    assert not house.world.node.sessions
    house.stop()


# Addresses.


@pytest.mark.parametrize(("plain", "tls"), [(False, True), (True, True), (True, False)])
def test_which_ports_are_bound(authority: Authority, plain: bool, tls: bool, tmp_path: Path) -> None:
    ports = {"port": free_port() if plain else 0, "tls-port": free_port() if tls else 0}
    settings = settings_of(authority, 0, bind="127.0.0.1 -::1", **{"tls-cluster": "no"}, **ports)
    listeners = bind_listeners(settings)
    found = {(listener.tls, listener.socket.getsockname()[1]) for listener in listeners}
    for listener in listeners:
        listener.socket.close()
    expected = {(False, ports["port"])} if plain else set()
    assert found == (expected | {(True, ports["tls-port"])} if tls else expected)
