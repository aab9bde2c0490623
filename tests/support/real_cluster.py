"""A cluster of real processes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import redis

from support.certificates import Authority
from support.processes import Server, free_port

SECRET = "only the nodes know"
PATIENCE_SECONDS = 30


class RealCluster:
    """Nodes 1 to `size`, each a process with a directory of its own; all by TLS where there is an authority."""

    def __init__(self, directory: Path, size: int = 3, authority: Authority | None = None) -> None:
        self.directory = directory
        self._authority = authority
        self.ports = {node: free_port() for node in range(1, size + 1)}
        self.servers: dict[int, Server] = {}

    def start(self, node: int, *arguments: str, secret: str = SECRET) -> Server:
        """Start a node, the first time or again."""
        members = ",".join(f"{n}=127.0.0.1:{port}" for n, port in self.ports.items())
        server = self.servers[node] = Server(
            self.directory / f"n{node}", *self._ports(node), "--node-id", str(node),
            "--initial-cluster", members, "--cluster-secret", secret, "--loglevel", "verbose", *arguments,
        )  # fmt: skip
        return server.wait_ready()

    def _ports(self, node: int) -> list[str]:
        if self._authority is None:
            return ["--port", str(self.ports[node])]
        port = ["--port", "0", "--tls-port", str(self.ports[node]), "--tls-cluster", "yes"]
        return [*port, *self._authority.options(f"n{node}")]

    def client(self, node: int) -> redis.Redis:
        """A client of a node."""
        options = self._authority.client_options() if self._authority is not None else {}
        return self.servers[node].client(socket_timeout=PATIENCE_SECONDS, **options)

    def raft(self, node: int) -> dict[str, object]:
        """What a node says of its group."""
        found: dict[str, object] = self.client(node).info("raft")  # type: ignore[assignment]
        return found

    def leader(self) -> int:
        """The node that leads, once there is one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            running = [node for node, server in self.servers.items() if server.process.poll() is None]
            leaders = [node for node in running if self.raft(node)["raft_role"] == "leader"]
            if len(leaders) == 1:
                return leaders[0]
            assert time.monotonic() < deadline, "no leader"
            time.sleep(0.02)

    def others(self, node: int) -> list[int]:
        """All nodes but one."""
        return [each for each in self.ports if each != node]

    def stop(self) -> None:
        """End all processes."""
        for server in self.servers.values():
            if server.process.poll() is None:
                server.kill()


def eventually(look: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def insist(client: redis.Redis, *words: object) -> object:
    """Send a command, again if it is not known whether it was executed: a busy machine elects now and then."""
    while True:
        try:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            if not str(error).startswith("UNKNOWN "):
                raise


def digest(cluster: RealCluster, node: int) -> object:
    """A checksum of all that a node has."""
    return cluster.client(node).execute_command("DEBUG", "DIGEST")
