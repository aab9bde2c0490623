"""The nodes of a cluster as processes: started, killed, stopped for a while, started again; each with its own disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import hiredis

from chaos.network import Network
from support.processes import Connection

SHIM = Path(__file__).parents[1] / "support" / "slow_fsync.c"
START_SECONDS = 30
SECRET = "chaos"


class Nodes:
    """Nodes 1 to `size` of one cluster."""

    def __init__(self, size: int, directory: Path, network: Network, *arguments: str) -> None:
        self.ids = list(range(1, size + 1))
        self.network = network
        self.directory = directory
        self._arguments = arguments
        self.paused: set[int] = set()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._shim = _build_shim(directory)
        self.places = {node: network.place(node) for node in self.ids}
        self._members = ",".join(f"{node}={host}:{port}" for node, (host, port) in self.places.items())

    # Processes.

    def start(self, node: int) -> None:
        """Start a node, the first time or again."""
        host, port = self.places[node]
        command = [
            *self.network.command(node), sys.executable, "-m", "redraft", "server", "--port", str(port), "--bind", host,
            "--dir", str(self.home(node) / "data"), "--node-id", str(node), "--initial-cluster", self._members,
            "--cluster-secret", SECRET, "--protected-mode", "no", "--enable-debug-command", "yes",
            "--loglevel", "verbose", "--flush-dirty-keys", "500", "--log-retain-entries", "300", *self._arguments,
        ]  # fmt: skip
        self.home(node).mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ)
        if self._shim is not None:
            environment |= {"LD_PRELOAD": str(self._shim), "SLOW_FSYNC_FILE": str(self._delay_file(node))}
        with self.log(node).open("ab") as log:
            self._processes[node] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )

    def start_all(self) -> None:
        """Start those that do not run, and have those go on that are stopped."""
        for node in self.ids:
            self.resume(node)
            if not self.runs(node):
                self.start(node)

    def pid(self, node: int) -> int:
        """Of its process."""
        return self._processes[node].pid

    def runs(self, node: int) -> bool:
        """Whether its process is there."""
        process = self._processes.get(node)
        return process is not None and process.poll() is None

    def kill(self, node: int) -> None:
        """kill -9."""
        self._signal(node, signal.SIGKILL)
        self._processes[node].wait()
        self.paused.discard(node)

    def stop(self, node: int) -> int:
        """Ask it to stop, and wait; its exit status."""
        self._signal(node, signal.SIGTERM)
        return self._processes[node].wait(START_SECONDS)

    def pause(self, node: int) -> None:
        """SIGSTOP."""
        self._signal(node, signal.SIGSTOP)
        self.paused.add(node)

    def resume(self, node: int) -> None:
        """SIGCONT."""
        if node in self.paused:
            self._signal(node, signal.SIGCONT)
            self.paused.discard(node)

    def _signal(self, node: int, number: int) -> None:
        with suppress(ProcessLookupError):
            self._processes[node].send_signal(number)

    def close(self) -> None:
        """End all processes, and take the network away."""
        for node in list(self._processes):
            if self.runs(node):
                self.kill(node)
        self.network.close()

    # Disks.

    def home(self, node: int) -> Path:
        """A node's own directory."""
        return self.directory / f"n{node}"

    def log(self, node: int) -> Path:
        """What a node has printed."""
        return self.directory / f"n{node}.log"

    def _delay_file(self, node: int) -> Path:
        return self.directory / f"n{node}.fsync"

    @property
    def has_shim(self) -> bool:
        """Whether fsyncs can be made slow or fail."""
        return self._shim is not None

    def set_fsync(self, node: int, text: str) -> None:
        """From now on each fsync of a node takes so many microseconds more, or fails ("EIO")."""
        path = self._delay_file(node)
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)

    # Asking.

    def ask(self, node: int, *words: str, timeout: float = 2.0) -> Any:
        """One command to a node; None when there is no answer."""
        try:
            connection = Connection(self.places[node][1], self.places[node][0], timeout=timeout)
        except OSError:
            return None
        try:
            return connection(*words)
        except (OSError, EOFError, hiredis.ProtocolError):
            return None
        finally:
            connection.close()

    def status(self, node: int) -> dict[str, Any]:
        """What a node says of itself; empty when it says nothing."""
        reply = self.ask(node, "REDRAFT", "STATUS") if self.runs(node) and node not in self.paused else None
        if not isinstance(reply, list):
            return {}
        return {key.decode(): value for key, value in zip(reply[::2], reply[1::2], strict=True)}

    def leader(self) -> int | None:
        """The node that serves, if one does."""
        serving = [(status["term"], node) for node in self.ids if (status := self.status(node)) and status["serves"]]
        return max(serving)[1] if serving else None

    def wait_for_leader(self, seconds: float = START_SECONDS) -> int:
        """The leader, once there is one. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (leader := self.leader()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no leader after {seconds} s")
            time.sleep(0.05)
        return leader

    def wait_until_it_follows(self, node: int, seconds: float = START_SECONDS) -> None:
        """Until a node that was started knows a leader, and has applied what it knows of. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not ((status := self.status(node)) and status["leader-id"] and status["applied-index"]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"node {node} knows no leader after {seconds} s")
            time.sleep(0.05)

    def wait_for_agreement(self, seconds: float = START_SECONDS) -> dict[int, str]:
        """What each node says of its data, once all are equally far. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            before = [self.status(node).get("applied-index") for node in self.ids]
            digests = {node: self.ask(node, "DEBUG", "DIGEST") for node in self.ids}
            after = [self.status(node).get("applied-index") for node in self.ids]
            if None not in before and len({*before, *after}) == 1:
                return {node: _shown(digest) for node, digest in digests.items()}
            if time.monotonic() > deadline:
                raise TimeoutError(f"the nodes are not equally far after {seconds} s: {after}")
            time.sleep(0.2)


def _shown(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def _build_shim(directory: Path) -> Path | None:
    """The library that makes fsyncs slow; None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = directory / "slow_fsync.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SHIM), "-ldl"], check=True)
    return library
