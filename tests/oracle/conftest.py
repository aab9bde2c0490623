"""One redraft for all comparisons with a real redis-server: each begins by emptying both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.processes import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with small flushes, so that they go on meanwhile."""
    one = Server(tmp_path_factory.mktemp("redraft"), "--flush-dirty-keys", "50", "--flush-log-bytes", "1mb")
    yield one.wait_ready()
    one.kill()
