"""Fixtures for every folder: real processes that end with the test, whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.processes import RedisServer, Server

# The suite tries the same examples every time; tools/fuzz tries others.
settings.register_profile("redraft", derandomize=True, print_blob=True, deadline=None)
settings.load_profile("redraft")


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


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real redis-server to compare with; its tests skip where it is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    real = RedisServer(tmp_path_factory.mktemp("redis"))
    yield real
    real.stop()
