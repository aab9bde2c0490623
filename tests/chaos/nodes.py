"""The nodes of a cluster as processes: started, killed, stopped for a while, started again; each with its own disk.

Nodes are numbered as they are made. The first ones begin the cluster together; later ones join it, and the cluster
gives them an id of its own, which their directory tells (`id_of`). A node that ends although nobody has ended it, and
nothing was done to it that would end it, is a finding (`surprises`).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import hiredis

from chaos.network import Network
from support.processes import Connection

SHIMS = ("slow_fsync", "clock_jump")
"""Libraries that are loaded before all others: tests/support/*.c."""
START_SECONDS = 30
SECRET = "chaos"


class Nodes:
    """Nodes 1 to `size` of one cluster, and those that join it."""

    def __init__(self, size: int, directory: Path, network: Network, *arguments: str) -> None:
        self.ids = list(range(1, size + 1))
        """Those that should be members."""
        self.surprises: list[str] = []
        self.leaving: set[int] = set()
        """Those that are members no more, as the cluster says, and are not started again."""
        self.doubtful: set[int] = set()
        """Those of which nobody can tell whether they were removed: who asked for it got no certain answer."""
        self._first = size
        self._joins_by: dict[int, int] = {}
        self._last = size
        self._may_end: set[int] = set()
        """Those to which something was done that may end them, now or later."""
        self.network = network
        self.directory = directory
        self._arguments = arguments
        self.paused: set[int] = set()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._shims = _build_shims(directory)
        self.places = {node: network.place(node) for node in self.ids}
        self._members = ",".join(f"{node}={host}:{port}" for node, (host, port) in self.places.items())

    # Processes.

    def start(self, node: int) -> None:
        """Start a node, the first time or again."""
        host, port = self.places[node]
        command = [
            *self.network.command(node), sys.executable, "-m", "redraft", "server", "--port", str(port), "--bind", host,
            "--dir", str(self.data(node)), *self._membership(node),
            "--cluster-secret", SECRET, "--protected-mode", "no", "--enable-debug-command", "yes",
            "--loglevel", "verbose", "--flush-dirty-keys", "500", "--log-retain-entries", "300",
            # Some pauses shall cost the lead, others not.
            "--node-stall-timeout", "1000", *self._arguments,
        ]  # fmt: skip
        self.home(node).mkdir(parents=True, exist_ok=True)
        environment = dict(os.environ)
        if self._shims:
            if not self._clock_file(node).exists():
                self.set_clock(node, 0.0)
            environment |= {
                "LD_PRELOAD": ":".join(map(str, self._shims)),
                "SLOW_FSYNC_FILE": str(self._delay_file(node)),
                "CLOCK_JUMP_FILE": str(self._clock_file(node)),
            }
        self._may_end.discard(node)
        with self.log(node).open("ab") as log:
            self._processes[node] = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )

    def _membership(self, node: int) -> list[str]:
        if node <= self._first:
            return ["--node-id", str(node), "--initial-cluster", self._members]
        if (self.data(node) / "node.json").exists():
            return []
        host, port = self.places[self._joins_by[node]]
        return ["--join", f"{host}:{port}"]

    def is_founder(self, node: int) -> bool:
        """Whether a node is one of the list by which the cluster was founded."""
        return node <= self._first

    def twin(self, node: int) -> int:
        """Make a node whose directory is a copy of another's, which does not run; it is no member of its own."""
        self._last += 1
        self.places[self._last] = self.network.place(self._last)
        shutil.copytree(self.data(node), self.data(self._last))
        return self._last

    def add(self, to: int) -> int:
        """Make a node that joins by way of another when it is started. It should be a member once it is in `ids`."""
        self._last += 1
        self._joins_by[self._last] = to
        self.places[self._last] = self.network.place(self._last)
        return self._last

    def retire(self, node: int) -> None:
        """A node is a member no more: end it, and forget its data."""
        self.may_end(node)
        self.ids = [each for each in self.ids if each != node]
        self.leaving.discard(node)
        self.doubtful.discard(node)
        if self.runs(node):
            self.kill(node)
        shutil.rmtree(self.home(node), ignore_errors=True)

    def id_of(self, node: int) -> int | None:
        """The id that the cluster knows a node by; None while it has none."""
        try:
            found: int = json.loads((self.data(node) / "node.json").read_text())["node_id"]
        except (OSError, ValueError):
            return None
        return found

    def may_end(self, node: int) -> None:
        """Something is done to a node that may end it."""
        self._may_end.add(node)

    def look_for_surprises(self) -> None:
        """Whether a node has ended by itself though nothing was done to it."""
        for node, process in self._processes.items():
            if process.poll() is not None and node not in self._may_end and not self._was_removed(node):
                self.surprises.append(f"node {node} has ended with status {process.returncode}: {self.last_line(node)}")
                self._may_end.add(node)

    def _was_removed(self, node: int) -> bool:
        """Whether a removal that nobody was sure of is what has ended a node."""
        return node in self.doubtful and "removed from the cluster" in self.log(node).read_text("utf-8", "replace")

    def start_all(self) -> None:
        """Start those that do not run, and have those go on that are stopped."""
        self.look_for_surprises()
        for node in self.ids:
            self.resume(node)
            if not self.runs(node) and node not in self.leaving:
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
        self.may_end(node)
        self._signal(node, signal.SIGKILL)
        self._processes[node].wait()
        self.paused.discard(node)

    def stop(self, node: int) -> int:
        """Ask it to stop, and wait; its exit status."""
        self.may_end(node)
        self._signal(node, signal.SIGTERM)
        return self._processes[node].wait(START_SECONDS)

    def wait_until_it_ends(self, node: int, seconds: float) -> int | None:
        """The exit status of a node that ends by itself; None when it does not."""
        self.may_end(node)
        try:
            return self._processes[node].wait(seconds)
        except subprocess.TimeoutExpired:
            return None

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

    def data(self, node: int) -> Path:
        """Where a node keeps its data."""
        return self.home(node) / "data"

    def log(self, node: int) -> Path:
        """What a node has printed."""
        return self.directory / f"n{node}.log"

    def last_line(self, node: int) -> str:
        """The last that a node has printed."""
        lines = self.log(node).read_text(errors="replace").splitlines() if self.log(node).exists() else []
        return lines[-1] if lines else ""

    @property
    def everyone(self) -> list[int]:
        """All nodes that there ever were."""
        return list(range(1, self._last + 1))

    def _delay_file(self, node: int) -> Path:
        return self.directory / f"n{node}.fsync"

    def _clock_file(self, node: int) -> Path:
        return self.directory / f"n{node}.clock"

    @property
    def has_shims(self) -> bool:
        """Whether fsyncs can be made slow or fail, and clocks be set."""
        return bool(self._shims)

    def set_clock(self, node: int, seconds: float) -> None:
        """A node's wall clock is so far ahead from now on, or behind. The file is mapped, so it is written in place."""
        data = struct.pack("<q", round(seconds * 1e9))
        descriptor = os.open(self._clock_file(node), os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            if os.pwrite(descriptor, data, 0) != len(data):
                raise OSError("the clock file was not written whole")
        finally:
            os.close(descriptor)

    def set_fsync(self, node: int, text: str) -> None:
        """From now on each fsync of a node takes so many microseconds more, or fails ("EIO")."""
        if text == "EIO":
            self.may_end(node)
        path = self._delay_file(node)
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)

    # Asking.

    def ask(self, node: int, *words: str, seconds: float = 2.0) -> Any:
        """One command to a node; None when there is no answer."""
        try:
            connection = Connection(self.places[node][1], self.places[node][0], timeout=seconds)
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

    def wait_until_it_ends_or_follows(self, node: int, seconds: float = START_SECONDS) -> int | None:
        """The exit status of a node that was started and ended; None if it follows. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            ended = self.wait_until_it_ends(node, 0.1)
            status = self.status(node)
            if ended is not None or (status and status["leader-id"] and status["applied-index"]):
                return ended
            if time.monotonic() > deadline:
                raise TimeoutError(f"node {node} neither ends nor follows after {seconds} s")

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


def _build_shims(directory: Path) -> list[Path]:
    """The libraries that make fsyncs slow and set clocks; none where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return []
    built = []
    for name in SHIMS:
        source, library = Path(__file__).parents[1] / "support" / f"{name}.c", directory / f"{name}.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)
        built.append(library)
    return built
