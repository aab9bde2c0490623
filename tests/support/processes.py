"""Real processes: a `redraft server` on a port of its own, in a directory of its own, cleaned up whatever happens."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hiredis
import redis

READY = re.compile(r"Ready to accept connections on (?:[^\s:]+):(\d+)")
READY_TLS = re.compile(r"Ready to accept TLS connections on (?:[^\s:]+):(\d+)")
START_SECONDS = 60


class Server:
    """One `redraft server` process."""

    def __init__(self, directory: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.directory = directory
        command = [sys.executable, "-m", "redraft", "server", "--port", "0", "--dir", str(directory)]
        command += ["--enable-debug-command", "yes", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})}
        )
        self.lines: list[str] = []
        self.port = 0
        """Of plain connections; 0 where only those with TLS are taken."""
        self.tls_port = 0
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
            match = READY_TLS.search(line)
            if match:
                self.tls_port = int(match.group(1))
                self._ready.set()
        self._ready.set()

    @property
    def output(self) -> str:
        """All that the process has printed."""
        return "\n".join(self.lines)

    def wait_printed(self, text: str) -> None:
        """Wait until the process has printed `text`."""
        deadline = time.monotonic() + START_SECONDS
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            time.sleep(0.01)

    def wait_ready(self) -> Server:
        """Wait until it takes connections; fail with its output when it ends instead."""
        assert self._ready.wait(START_SECONDS), self.output
        assert self.port or self.tls_port, f"the server ended with {self.process.wait()}:\n{self.output}"
        return self

    def client(self, **options: object) -> redis.Redis:
        """A redis-py client, of the TLS port with `ssl=True`."""
        port = self.tls_port if options.get("ssl") else self.port
        return redis.Redis(port=port, **options)  # type: ignore[arg-type]

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


class RedisServer:
    """A real redis-server, for comparison."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory), "--save", ""]
        self.process = subprocess.Popen(
            ["redis-server", *where, "--enable-debug-command", "yes", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert self.process.poll() is None, "redis-server did not start"
                assert time.monotonic() < deadline, "redis-server takes no connection"
                time.sleep(0.01)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    """A port that was free a moment ago; for programs that cannot choose one themselves."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Connection:
    """A bare RESP connection: replies as hiredis reads them, errors as `ReplyError` values."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = START_SECONDS) -> None:
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=NOTHING)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def read(self) -> Any:
        """The next reply. Raises EOFError when the server has closed the connection."""
        while (reply := self._reader.gets()) is NOTHING:
            data = self._socket.recv(1 << 16)
            if not data:
                raise EOFError
            self._reader.feed(data)
        return reply

    def __call__(self, *words: bytes | str | int) -> Any:
        """Send one command and read its reply."""
        return self.pipeline([tuple(map(as_bytes, words))])[0]

    def pipeline(self, commands: Sequence[Sequence[bytes]]) -> list[Any]:
        """Send commands at once and read all their replies."""
        self.send(b"".join(hiredis.pack_command(tuple(command)) for command in commands))
        return [self.read() for _ in commands]

    def closed_by_server(self) -> bool:
        """Whether the server has closed the connection, or does so now; what it still sends is dropped."""
        try:
            while self._socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        return True

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


NOTHING = object()


class ReplyError(Exception):
    """An error reply; equal to another of the same text."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReplyError) and self.args == other.args

    def __hash__(self) -> int:
        return hash(self.args)


def as_bytes(word: bytes | str | int) -> bytes:
    """A word of a command."""
    return word if isinstance(word, bytes) else str(word).encode()
