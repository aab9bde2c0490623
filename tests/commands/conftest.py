"""Shells that run data commands: redraft's own, and one that may be a real redis-server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redraft.values import codec
from support.processes import RedisServer
from support.shell import AnyShell, Crowd, RealShell, Shell


@pytest.fixture(autouse=True)
def crowd(monkeypatch: pytest.MonkeyPatch) -> type[Crowd]:
    """A collection type, known to the codec while the test runs."""
    monkeypatch.setitem(codec.COLLECTIONS, Crowd.tag, Crowd)
    return Crowd


@pytest.fixture
def shell() -> Shell:
    """Commands on a keyspace, with time that the test moves."""
    return Shell()


@pytest.fixture(params=["redraft", pytest.param("redis", marks=pytest.mark.redis_server)])
def either(request: pytest.FixtureRequest) -> Iterator[AnyShell]:
    """Redraft's shell, and then a real redis-server: what the test expects is what Redis answers."""
    if request.param == "redraft":
        yield Shell()
        return
    real: RedisServer = request.getfixturevalue("redis_server")
    shell = RealShell(real.port)
    yield shell
    shell.close()
