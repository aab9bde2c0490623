"""Real sockets: bytes cut anywhere, long pipelines, telnet, broken protocol, values of 100 MB, clients that leave."""

from __future__ import annotations

import errno
import random
import socket
import time
from collections.abc import Callable, Iterator

import hiredis
import pytest

from support.processes import Connection, RedisServer, ReplyError, Server

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of the file that leave it as they found it."""
    server = Server(tmp_path_factory.mktemp("sockets"), "--enable-debug-command", "yes").wait_ready()
    yield server
    if server.process.poll() is None:
        server.kill()


@pytest.fixture
def client(shared: Server) -> Iterator[Connection]:
    """A connection to an empty server; afterwards the server must still serve."""
    connection = Connection(shared.port)
    connection("FLUSHALL")
    yield connection
    connection.close()
    after = Connection(shared.port)
    assert after("PING") == b"PONG"
    after.close()


def rss_bytes(server: Server) -> int:
    """The server's resident memory."""
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


# Bytes.


def test_a_request_may_be_cut_at_any_byte(client: Connection) -> None:
    data = hiredis.pack_command((b"SET", b"key", b"a\r\nb")) + b"GET key\r\n" + hiredis.pack_command((b"PING",))
    for cut in range(1, len(data)):
        client.send(data[:cut])
        # A round trip on another road makes sure that the first part was read alone.
        time.sleep(0.001)
        client.send(data[cut:])
        assert [client.read() for _ in range(3)] == [b"OK", b"a\r\nb", b"PONG"], cut


def test_a_request_may_come_byte_by_byte(client: Connection) -> None:
    for byte in hiredis.pack_command((b"SET", b"key", b"value")) + b"GET key\r\n":
        client.send(bytes([byte]))
    assert [client.read(), client.read()] == [b"OK", b"value"]


def test_a_pipeline_of_ten_thousand_is_answered_in_order(client: Connection) -> None:
    commands = [(b"SET", b"key:%d" % number, b"%d" % number) for number in range(10_000)]
    assert client.pipeline(commands) == [b"OK"] * 10_000
    assert client.pipeline([(b"GET", key) for _, key, _ in commands]) == [value for _, _, value in commands]
    mixed = [(b"INCR", b"n") if number % 2 else (b"GET", b"n") for number in range(10_000)]
    expected = [
        (number + 1) // 2 if number % 2 else (b"%d" % (number // 2) if number else None) for number in range(10_000)
    ]
    assert client.pipeline(mixed) == expected


def test_many_clients_at_once_each_get_their_own_replies(shared: Server, client: Connection) -> None:
    clients = [Connection(shared.port) for _ in range(200)]
    for number, each in enumerate(clients):
        each.send(b"SET key:%d %d\r\nGET key:%d\r\nINCR sum\r\n" % (number, number, number))
    replies = [[each.read() for _ in range(3)] for each in clients]
    assert [reply[:2] for reply in replies] == [[b"OK", b"%d" % number] for number in range(200)]
    assert sorted(reply[2] for reply in replies) == list(range(1, 201))
    for each in clients:
        each.close()


def test_a_value_of_100_mb_goes_in_and_out(client: Connection) -> None:
    value = random.Random(20261124).randbytes(MEGABYTE) * 100
    assert client(b"SET", b"large", value) == b"OK"
    started = time.monotonic()
    assert client(b"GET", b"large") == value
    assert time.monotonic() - started < 5
    assert client(b"STRLEN", b"large") == len(value)
    assert client(b"GETRANGE", b"large", b"-4", b"-1") == value[-4:]
    assert client(b"DEL", b"large") == 1


def test_others_are_served_while_a_large_value_is_on_its_way(shared: Server, client: Connection) -> None:
    client.send(b"*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$20000000\r\n" + b"x" * 10_000_000)
    other = Connection(shared.port)
    assert other("SET", "key", "1") == b"OK"
    assert other("GET", "large") is None
    client.send(b"x" * 10_000_000 + b"\r\n")
    assert client.read() == b"OK"
    assert other("STRLEN", "large") == 20_000_000


# Telnet.


def test_inline_commands_are_taken_as_people_type_them(client: Connection) -> None:
    client.send(b"PING\r\n")
    assert client.read() == b"PONG"
    client.send(b"set \"a key\" 'single' \n")
    assert client.read() == b"OK"
    client.send(b'\r\n  \r\nGET "a\\x20key"\r\n')
    assert client.read() == b"single"
    client.send(b'SET key "\\r\\n\\t\\"\\\\"\r\nGET key\r\n')
    assert [client.read(), client.read()] == [b"OK", b'\r\n\t"\\']


# Broken protocol.

BROKEN = [
    b"*1\r\n!bad\r\n",
    b"*x\r\n",
    b"*2147483648\r\n",
    b"*1\r\n$-5\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$600000000\r\n",
    b"*2\r\n$3\r\nGET\r\nkey\r\n",
    b'PING "unbalanced\r\n',
    b"x" * 70_000,
    b"*1\r\n$" + b"1" * 70_000,
    b"*" + b"1" * 70_000,
]


def answers(port: int, data: bytes) -> list[object]:
    """All replies to bytes until the connection is closed by the other side."""
    connection = Connection(port)
    connection.send(data)
    found: list[object] = []
    try:
        while True:
            found.append(connection.read())
    except EOFError:
        return found
    finally:
        connection.close()


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: repr(data[:30]))
def test_a_broken_request_is_answered_in_words_and_closed(client: Connection, shared: Server, data: bytes) -> None:
    replies = answers(shared.port, b"PING\r\n" + data)
    assert replies[0] == b"PONG"
    assert len(replies) == 2
    assert str(replies[1]).startswith("ERR Protocol error: ")


@pytest.mark.redis_server
@pytest.mark.parametrize("data", BROKEN, ids=lambda data: repr(data[:30]))
def test_the_words_are_redis_s(client: Connection, shared: Server, redis_server: RedisServer, data: bytes) -> None:
    assert answers(shared.port, b"PING\r\n" + data) == answers(redis_server.port, b"PING\r\n" + data)


def noise(source: random.Random) -> bytes:
    """Bytes that look like requests to begin with, more or less."""
    pieces = [
        b"*1\r\n$4\r\nPING\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n", b"*2\r\n$3\r\nGET\r\n", b"*-1\r\n",
        b"*0\r\n", b"$-1\r\n", b"GET k\r\n", b"\r\n", b"\n", b"\x00", b"*3\r\n", b"$5\r\nhello\r\n", b"*1000000\r\n",
        b"+OK\r\n", b":1\r\n", b"%1\r\n", b"~1\r\n", b"HELLO 3\r\n", b"MULTI\r\n", b"EXEC\r\n", b"DISCARD\r\n",
        b"CLIENT REPLY SKIP\r\n", b"RESET\r\n", b"SET k 'a b'\r\n", b'"', b"'", b"*1\r\n$3\r\nfoo",
        b"CLIENT LIST\r\n", b"INFO all\r\n", b"COMMAND COUNT\r\n", b"QUIT", b"SUBSCRIBE c\r\n", b"OBJECT HELP\r\n",
        b"DEBUG ERROR x\r\n", b"SELECT 99999999999999999999\r\n",
    ]  # fmt: skip
    parts = []
    for _ in range(source.randrange(1, 30)):
        part = source.choice(pieces) if source.random() < 0.85 else source.randbytes(source.randrange(1, 40))
        if source.random() < 0.15:
            spot = source.randrange(len(part))
            part = part[:spot] + source.randbytes(1) + part[spot + 1 :]
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_crash_or_hang_the_server(client: Connection, shared: Server, seed: int) -> None:
    source = random.Random(seed)
    for round_ in range(50):
        data = noise(source)
        with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as sock:
            try:
                for part in (data[: len(data) // 2], data[len(data) // 2 :]):
                    sock.sendall(part)
                if source.random() < 0.5:
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(1 << 16):
                        pass
            except (BrokenPipeError, ConnectionResetError):
                pass
            except OSError as error:
                if error.errno != errno.ENOTCONN:  # closed before this end could say that it sends no more
                    raise
        assert client("PING") == b"PONG", f"seed {seed}, round {round_}: {data!r}"


# Clients that leave.


def test_who_stops_sending_still_gets_the_replies(client: Connection, shared: Server) -> None:
    """As `printf 'INCR n\\r\\n' | nc` does."""
    for number in range(1, 51):
        with socket.create_connection(("127.0.0.1", shared.port), timeout=30) as sock:
            sock.sendall(b"INCR n\r\nGET n\r\nPING\r\n")
            sock.shutdown(socket.SHUT_WR)
            received = b""
            while data := sock.recv(1 << 16):
                received += data
        text = b"%d" % number
        assert received == b":%s\r\n$%d\r\n%s\r\n+PONG\r\n" % (text, len(text), text)


def test_who_resets_the_connection_harms_nobody(client: Connection, shared: Server) -> None:
    for number in range(50):
        sock = socket.create_connection(("127.0.0.1", shared.port))
        # With this option close() sends RST.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.sendall(b"SET key:%d 1\r\nGET key:%d\r\nPING\r\n*3\r\n$3\r\n" % (number, number))
        sock.close()
    assert client("PING") == b"PONG"


def test_a_closed_client_is_not_listed_any_more(shared: Server, client: Connection) -> None:
    others = [Connection(shared.port) for _ in range(20)]
    for each in others:
        assert each("PING") == b"PONG"
        each.close()
    deadline = time.monotonic() + 10
    while client("CLIENT", "LIST").count(b"\n") > 1:
        assert time.monotonic() < deadline


# Clients that do not read.


def test_a_client_that_does_not_read_is_closed_and_takes_no_more_memory(start: Callable[..., Server]) -> None:
    server = start("--client-output-buffer-limit", "normal 20mb 0 0")
    client = Connection(server.port)
    client(b"SET", b"key", b"x" * 100_000)
    before = rss_bytes(server)
    greedy = Connection(server.port)
    greedy.send(b"GET key\r\n" * 20_000)
    assert greedy.closed_by_server()
    assert client("PING") == b"PONG"
    assert rss_bytes(server) - before < 200 * MEGABYTE
    server.wait_printed("is closed")


def test_a_client_that_is_not_in_and_does_not_read_is_closed_at_once(start: Callable[..., Server]) -> None:
    server = start("--requirepass", "secret")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.settimeout(10)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client.sendall(b"PING\r\n" * 10_000_000)
    server.wait_printed("is closed")
    other = Connection(server.port)
    assert other("AUTH", "secret") == b"OK"
    assert other("PING") == b"PONG"


def test_a_soft_limit_closes_only_after_its_time(start: Callable[..., Server]) -> None:
    server = start("--client-output-buffer-limit", "normal 0 1mb 1")
    client = Connection(server.port)
    client(b"SET", b"key", b"x" * MEGABYTE)
    slow = Connection(server.port)
    slow.send(b"GET key\r\n" * 30)
    assert client("PING") == b"PONG"
    assert client("CLIENT", "LIST").count(b"\n") == 2, "over the limit, but not for long enough"
    deadline = time.monotonic() + 10
    while client("CLIENT", "LIST").count(b"\n") > 1:
        time.sleep(0.05)
        assert time.monotonic() < deadline


def test_a_client_that_reads_slowly_gets_everything(shared: Server, client: Connection) -> None:
    client(b"SET", b"key", bytes(range(256)) * 4096)
    client.send(b"GET key\r\n" * 50)
    time.sleep(0.2)
    assert {client.read() for _ in range(50)} == {bytes(range(256)) * 4096}


def test_an_unfinished_request_over_the_query_buffer_limit_is_closed(start: Callable[..., Server]) -> None:
    server = start("--client-query-buffer-limit", "1mb")
    greedy = Connection(server.port)
    greedy.send(b"*2\r\n$4\r\nECHO\r\n$100000000\r\n")
    with pytest.raises((BrokenPipeError, ConnectionResetError, EOFError)):  # noqa: PT012 - whichever comes first
        for _ in range(100):
            greedy.send(b"x" * MEGABYTE)
        greedy.read()
        greedy.read()
    assert Connection(server.port)("PING") == b"PONG"


def test_an_argument_longer_than_proto_max_bulk_len_is_refused(start: Callable[..., Server]) -> None:
    server = start("--proto-max-bulk-len", "2mb")
    client = Connection(server.port)
    assert client(b"SET", b"key", b"x" * 2 * MEGABYTE) == b"OK"
    client.send(b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$%d\r\n" % (2 * MEGABYTE + 1))
    assert client.read() == ReplyError("ERR Protocol error: invalid bulk length")
    assert client.closed_by_server()
    assert Connection(server.port)("STRLEN", "key") == 2 * MEGABYTE


# Idle.


def test_keys_are_removed_in_time_though_nobody_calls(client: Connection) -> None:
    for _ in range(3):  # after the first key there is still work that makes ticks
        client("SET", "key", "value", "PX", "20")
        time.sleep(0.3)
        # INFO counts what is in memory, and is answered before the tick that it wakes can remove anything.
        assert b"db0" not in client("INFO", "keyspace")
