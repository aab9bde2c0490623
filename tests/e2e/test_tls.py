"""TLS with real processes: redis-cli, redis-py and openssl as clients, nodes that talk to nodes, certificates that are
wrong in each way, files that change."""

from __future__ import annotations

import json
import random
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from support.certificates import HOST, Authority
from support.processes import START_SECONDS, Connection, Server, free_port
from support.real_cluster import PATIENCE_SECONDS, RealCluster, digest, eventually, insist

MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The CA that all believe."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that nobody believes."""
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def start(tmp_path: Path, authority: Authority) -> Iterator[Callable[..., Server]]:
    """Starts servers with a TLS port only, and ends them."""
    servers: list[Server] = []

    def start_one(*arguments: str) -> Server:
        server = Server(
            tmp_path / f"n{len(servers)}", "--tls-port", str(free_port()), "--loglevel", "verbose",
            *authority.options(f"server{len(servers)}"), *arguments,
        )  # fmt: skip
        servers.append(server)
        return server.wait_ready()

    yield start_one
    for server in servers:
        if server.process.poll() is None:
            server.kill()


def redis_cli(server: Server, authority: Authority, *words: str) -> str:
    """What `redis-cli --tls` prints; its errors too."""
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is not installed")
    done = subprocess.run(
        ["redis-cli", "-p", str(server.tls_port), "--tls", "--cacert", str(authority.path), *words],
        capture_output=True, text=True, timeout=START_SECONDS, check=False,
    )  # fmt: skip
    return (done.stdout + done.stderr).strip()


def certificate_words(authority: Authority, *, expired: bool = False) -> list[str]:
    """redis-cli's options for a certificate of an authority."""
    certificate, key = authority.issue("expired" if expired else "client", expired=expired)
    return ["--cert", str(certificate), "--key", str(key)]


# Clients.


def test_who_must_show_a_certificate_and_which(
    start: Callable[..., Server], authority: Authority, stranger: Authority
) -> None:
    good, bad = certificate_words(authority), certificate_words(stranger)
    expired = certificate_words(authority, expired=True)
    for ask, without in (("yes", False), ("optional", True), ("no", True)):
        server = start("--tls-auth-clients", ask)
        assert redis_cli(server, authority, *good, "PING") == "PONG"
        assert (redis_cli(server, authority, "PING") == "PONG") is without
        for words in (bad, expired):
            assert (redis_cli(server, authority, *words, "PING") == "PONG") is (ask == "no")
    # A client that does not believe the server's certificate goes away.
    assert "certificate verify failed" in redis_cli(server, stranger, "PING")
    server.wait_printed("is cut: TLS: ")


def test_redis_py_and_values_of_megabytes_both_ways(start: Callable[..., Server], authority: Authority) -> None:
    client = start().client(**authority.client_options(), socket_timeout=PATIENCE_SECONDS)
    source = random.Random(1)
    values = {f"key:{number}": source.randbytes(size) for number, size in enumerate(
        [0, 1, 16383, 16384, 16385, 262143, 262144, 262145, 3 * MEGABYTE, 12 * MEGABYTE]
    )}  # fmt: skip
    with client.pipeline(transaction=False) as pipe:
        for name, value in values.items():
            pipe.set(name, value)
        for name in [*values, *values]:
            pipe.get(name)
        assert pipe.execute() == [True] * len(values) + list(values.values()) * 2


def test_a_client_that_sends_much_before_it_reads(start: Callable[..., Server], authority: Authority) -> None:
    """Both directions are full at once: neither may wait for the other."""
    server = start("--tls-auth-clients", "no")
    context = ssl.create_default_context(cafile=str(authority.path))
    value = b"x" * MEGABYTE
    with context.wrap_socket(socket.create_connection((HOST, server.tls_port)), server_hostname=HOST) as client:
        client.settimeout(PATIENCE_SECONDS)
        client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (len(value), value))
        assert client.recv(5) == b"+OK\r\n"
        client.sendall(b"GET k\r\n" * 32)
        expected = b"$%d\r\n%s\r\n" % (len(value), value)
        received = bytearray()
        while len(received) < 32 * len(expected):
            part = client.recv(100_000)
            assert part
            received += part
        assert received == expected * 32


def test_many_small_commands_at_once(start: Callable[..., Server], authority: Authority) -> None:
    client = start().client(**authority.client_options())
    with client.pipeline(transaction=False) as pipe:
        for _ in range(20_000):
            pipe.incr("n")
        assert pipe.execute() == list(range(1, 20_001))


def test_both_ports_side_by_side(start: Callable[..., Server], authority: Authority) -> None:
    server = start("--port", str(free_port()), "--tls-auth-clients", "no")
    server.wait_printed("Ready to accept TLS connections")
    plain = Connection(server.port)
    assert plain("SET", "k", "v") == b"OK"
    assert redis_cli(server, authority, "GET", "k") == "v"
    assert f"tcp_port:{server.port}" in redis_cli(server, authority, "INFO", "server")
    options = authority.client_options()
    with server.client(**options) as encrypted:
        ports = {client["laddr"].rpartition(":")[2] for client in encrypted.client_list()}
    assert ports == {str(server.port), str(server.tls_port)}


def test_only_the_tls_port_with_port_0(start: Callable[..., Server], authority: Authority) -> None:
    server = start("--tls-auth-clients", "no")
    assert server.port == 0
    assert f"tcp_port:{server.tls_port}" in redis_cli(server, authority, "INFO", "server")


def test_whoever_does_not_speak_tls_is_cut_and_told_of_quietly(
    start: Callable[..., Server], authority: Authority
) -> None:
    server = start("--tls-auth-clients", "no")
    source = random.Random(seed := random.randrange(1 << 32))
    hello = client_hello()
    for number in range(300):
        data = b"PING\r\n" if number == 0 else source.randbytes(source.randint(1, 500))
        if number % 3 == 1:
            broken = bytearray(hello)
            for _ in range(source.randint(1, 20)):
                broken[source.randrange(len(broken))] = source.randrange(256)
            data = bytes(broken[: source.randint(1, len(broken))])
        with socket.create_connection((HOST, server.tls_port)) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(PATIENCE_SECONDS)
            try:
                while sock.recv(1 << 16):
                    pass
            except ConnectionResetError:
                continue
            except TimeoutError:
                pytest.fail(f"it is not cut: {data!r}, seed {seed}")
    assert redis_cli(server, authority, "PING") == "PONG"
    assert "Traceback" not in server.output, f"seed {seed}"
    server.wait_printed("is cut: TLS: wrong version number")
    assert all(" - client 127.0.0.1:" in line for line in server.lines if " is cut: " in line)


def client_hello() -> bytes:
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="node")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_tls_protocols_and_ciphers(start: Callable[..., Server], authority: Authority) -> None:
    server = start(
        "--tls-auth-clients", "no", "--tls-protocols", "TLSv1.2", "--tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"
    )
    context = ssl.create_default_context(cafile=str(authority.path))
    with context.wrap_socket(socket.create_connection((HOST, server.tls_port)), server_hostname=HOST) as client:
        assert client.version() == "TLSv1.2"
        assert client.cipher() is not None
        assert client.cipher()[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"  # type: ignore[index]
        client.sendall(b"PING\r\n")
        assert client.recv(7) == b"+PONG\r\n"
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with socket.create_connection((HOST, server.tls_port)) as sock, pytest.raises(ssl.SSLError, match="VERSION"):
        context.wrap_socket(sock, server_hostname=HOST)


# Files.


def served_serial(server: Server, authority: Authority) -> str:
    """The serial number of the certificate that a server shows."""
    context = ssl.create_default_context(cafile=str(authority.path))
    with context.wrap_socket(socket.create_connection((HOST, server.tls_port)), server_hostname=HOST) as client:
        shown = client.getpeercert()
        assert shown is not None
        return str(shown["serialNumber"])


def test_certificates_are_read_again_by_config_set_all_or_none(
    start: Callable[..., Server], authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    server = start("--tls-auth-clients", "no")
    client = server.client(**authority.client_options())
    first = served_serial(server, authority)
    certificate, key = authority.issue("renewed")
    refusal = "Unable to update TLS configuration"
    for wrong in (
        {"tls-cert-file": str(tmp_path / "absent")},
        {"tls-cert-file": str(certificate)},  # not of the present key
        {"tls-key-file": str(key)},
        {"tls-cert-file": str(certificate), "tls-key-file": str(key), "tls-ca-cert-file": str(key)},
        {"tls-protocols": "SSLv3"},
        {"tls-ciphers": "none"},
    ):
        if "tls-ca-cert-file" in wrong:
            wrong["tls-auth-clients"] = "yes"
        before = client.config_get("tls-*")
        with pytest.raises(redis.ResponseError, match=refusal):
            client.execute_command("CONFIG", "SET", *[word for pair in wrong.items() for word in pair])
        assert client.config_get("tls-*") == before
        assert served_serial(server, authority) == first
    server.wait_printed("is not the key of the certificate")
    client.execute_command("CONFIG", "SET", "tls-cert-file", str(certificate), "tls-key-file", str(key))
    second = served_serial(server, authority)
    assert second != first
    # The same names, other contents.
    authority.issue("renewed")
    client.execute_command("CONFIG", "SET", "tls-cert-file", str(certificate))
    assert served_serial(server, authority) not in (first, second)
    # Who is asked for a certificate changes at once, for those who come then.
    assert redis_cli(server, authority, "PING") == "PONG"
    assert client.config_set("tls-auth-clients", "yes")
    assert redis_cli(server, authority, "PING") != "PONG"
    assert client.ping()


def test_what_is_wrong_with_the_files_is_told_in_a_sentence(
    tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    certificate, key = authority.issue("told")
    other_key = stranger.issue("other")[1]
    absent, garbage = tmp_path / "absent", tmp_path / "garbage"
    garbage.write_text("no PEM")
    locked = tmp_path / "locked"
    subprocess.run(
        ["openssl", "ec", "-in", str(key), "-aes128", "-passout", "pass:word", "-out", str(locked)],
        check=True, capture_output=True,
    )  # fmt: skip
    ca = ("--tls-ca-cert-file", str(authority.path))
    pair = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    for words, said in (
        ((), "redraft: TLS needs a tls-cert-file"),
        (pair[:2], "redraft: TLS needs a tls-key-file"),
        (pair, "redraft: TLS needs a tls-ca-cert-file or a tls-ca-cert-dir unless tls-auth-clients is no"),
        ((*pair, *ca, "--tls-cert-file", str(absent)), f"redraft: tls-cert-file: '{absent}' cannot be read: No such"),
        ((*pair, *ca, "--tls-key-file", str(tmp_path)), f"redraft: tls-key-file: '{tmp_path}' cannot be read: Is a"),
        ((*pair, *ca, "--tls-ca-cert-file", str(absent)), f"redraft: tls-ca-cert-file: '{absent}' cannot be read"),
        ((*pair, *ca, "--tls-ca-cert-file", str(garbage)), f"redraft: tls-ca-cert-file: '{garbage}' has no cert"),
        ((*pair, "--tls-ca-cert-dir", str(absent)), f"redraft: tls-ca-cert-dir: '{absent}' is not a directory"),
        ((*pair, *ca, "--tls-key-file", str(other_key)), f"tls-key-file: '{other_key}' is not the key of the cert"),
        ((*pair, *ca, "--tls-cert-file", str(garbage)), f"'{garbage}' and tls-key-file '{key}' are not a certificate"),
        ((*pair, *ca, "--tls-key-file", str(locked)), "or the password is wrong"),
        ((*pair, *ca, "--tls-protocols", "SSLv3"), "redraft: tls-protocols: use a combination of"),
        ((*pair, *ca, "--tls-protocols", "TLSv1.1 TLSv1.3"), "leaves out a version between others"),
        ((*pair, *ca, "--tls-ciphers", "none"), "redraft: tls-ciphers: OpenSSL finds no cipher in 'none'"),
        ((*pair, *ca, "--tls-dh-params-file", str(garbage)), f"redraft: tls-dh-params-file: '{garbage}' has no param"),
        ((*pair, *ca, "--tls-cluster", "yes", "--tls-client-cert-file", str(certificate)), "needs a tls-client-key"),
        ((*pair, *ca, "--join", "127.0.0.1:1"), "redraft: with port 0 other nodes can come by TLS only"),
        ((*pair, *ca, "--tls-port", "0", "--tls-cluster", "yes"), "redraft: tls-cluster needs a tls-port"),
    ):
        server = Server(tmp_path / "data", "--tls-port", str(free_port()), *words)
        assert server.wait() == 1
        assert said in server.output
        assert len(server.lines) == 1, server.output
    server = Server(
        tmp_path / "data", "--tls-port", str(free_port()), *pair, *ca, "--tls-key-file", str(locked),
        "--tls-key-file-pass", "word",
    )  # fmt: skip
    try:
        assert server.wait_ready().client(**authority.client_options()).ping()
    finally:
        server.kill()


# Between nodes.


@pytest.fixture
def cluster(tmp_path: Path, authority: Authority) -> Iterator[RealCluster]:
    """Three nodes that speak TLS only."""
    cluster = RealCluster(tmp_path, authority=authority)
    for node in cluster.ports:
        cluster.start(node)
    cluster.leader()
    yield cluster
    cluster.stop()


def test_a_cluster_over_tls_loses_its_leader(cluster: RealCluster) -> None:
    for node in cluster.ports:
        assert cluster.client(node).incr("n") == node
    leader = cluster.leader()
    client = cluster.client(cluster.others(leader)[0])
    cluster.servers[leader].kill()

    def goes_on() -> bool:
        try:
            return bool(client.set("k", "v"))
        except redis.ResponseError as error:
            if not str(error).startswith(("UNKNOWN", "CLUSTERDOWN")):
                raise
            return False

    eventually(goes_on)
    cluster.start(leader)
    eventually(
        lambda: cluster.raft(leader)["raft_applied_index"] == cluster.raft(cluster.leader())["raft_applied_index"]
    )
    assert cluster.client(leader).mget("n", "k") == [b"3", b"v"]


def test_a_snapshot_is_installed_over_tls(tmp_path: Path, authority: Authority) -> None:
    few = ("--log-retain-entries", "10", "--flush-dirty-keys", "200")
    cluster = RealCluster(tmp_path, authority=authority)
    try:
        for node in cluster.ports:
            cluster.start(node, *few)
        leader = cluster.leader()
        away = cluster.others(leader)[0]
        cluster.servers[away].kill()
        client = cluster.client(leader)
        value = random.Random(1).randbytes(20_000)
        for number in range(600):
            insist(client, "SET", f"key:{number}", value + b"%d" % number)
        server = cluster.start(away, *few)
        server.wait_printed("is installed")
        applied = "raft_applied_index"
        eventually(lambda: cluster.raft(away)[applied] == cluster.raft(cluster.leader())[applied])
        assert digest(cluster, away) == digest(cluster, leader)
    finally:
        cluster.stop()


def test_a_node_joins_over_tls_and_the_command_line_sees_it(start: Callable[..., Server], authority: Authority) -> None:
    secret = ("--cluster-secret", "s", "--tls-cluster", "yes")
    first = start(*secret, "--bootstrap")
    second = start(*secret, "--join", f"{HOST}:{first.tls_port}")
    words = ["--tls", "--cacert", str(authority.path), *certificate_words(authority)]
    command = [sys.executable, "-m", "redraft", "members", "--json", "-a", f"{HOST}:{first.tls_port}"]

    def members() -> list[dict[str, object]]:
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=START_SECONDS, check=True)
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found

    eventually(lambda: [member["role"] for member in members()] == ["leader", "voter"])
    assert [member["address"] for member in members()] == [f"{HOST}:{first.tls_port}", f"{HOST}:{second.tls_port}"]
    wrong = subprocess.run([*command, "--tls"], capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert wrong.returncode == 3
    assert "certificate verify failed" in wrong.stderr


def test_a_node_with_a_certificate_of_another_ca_is_not_believed(cluster: RealCluster, stranger: Authority) -> None:
    follower = cluster.others(cluster.leader())[0]
    cluster.servers[follower].kill()
    server = cluster.start(follower, *stranger.options(f"n{follower}"))
    server.wait_printed("is not reached: TLS: ")
    for other in cluster.others(follower):
        said = f"node {follower} at {HOST}:{cluster.ports[follower]} is not reached: TLS: "
        cluster.servers[other].wait_printed(said)
        assert cluster.client(other).set("k", "v")
