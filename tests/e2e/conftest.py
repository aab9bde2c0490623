"""Real processes: a `redraft server` on a port of its own, in a directory of its own, cleaned up whatever happens."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

READY = re.compile(r"Ready to accept connections on (?:[^\s:]+):(\d+)")
START_SECONDS = 60


class Server:
    """One `redraft server` process."""

    def __init__(self, directory: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.directory = directory
        command = [sys.executable, "-m", "redraft", "server", "--port", "0", "--dir", str(directory), *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})}
        )
        self.lines: list[str] = []
        self.port = 0
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            match = READY.search(line)
            if match:
                self.port = int(match.group(1))
                self._ready.set()
        self._ready.set()

    @property
    def output(self) -> str:
        """All that the process has printed."""
        return "\n".join(self.lines)

    def wait_ready(self) -> Server:
        """Wait until it takes connections; fail with its output when it ends instead."""
        assert self._ready.wait(START_SECONDS), self.output
        assert self.port, f"the server ended with {self.process.wait()}:\n{self.output}"
        return self

    def client(self, **options: object) -> redis.Redis:
        """A redis-py client."""
        return redis.Redis(port=self.port, **options)  # type: ignore[arg-type]

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        self.process.terminate()
        status = self.process.wait(START_SECONDS)
        self._reader.join()
        return status

    def wait(self) -> int:
        """Wait until it ends by itself; its exit status."""
        status = self.process.wait(START_SECONDS)
        self._reader.join()
        return status


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers: `start("--appendfsync", "no")`, by default all in one directory, one after the other."""
    servers: list[Server] = []

    def start_one(*arguments: str, directory: Path | None = None, ready: bool = True, **options: object) -> Server:
        server = Server(directory or tmp_path / "data", *arguments, **options)  # type: ignore[arg-type]
        servers.append(server)
        return server.wait_ready() if ready else server

    yield start_one
    for server in servers:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    """A server with the default settings."""
    return start()
