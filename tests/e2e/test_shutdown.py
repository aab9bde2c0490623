"""An orderly end, whatever the node is doing just then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.processes import Connection, Server

VALUE = b"x" * 100
PIPELINE = 1000


@pytest.mark.parametrize("phase", ["writing", "finishing"])
def test_a_shutdown_in_the_middle_of_a_flush_loses_nothing_and_ends_well(
    start: Callable[..., Server], phase: str
) -> None:
    server = start("--flush-dirty-keys", "20000")
    client = Connection(server.port)
    written = 0
    while f"flush_phase:{phase}".encode() not in client("INFO", "storage"):
        client.pipeline([(b"SET", b"key:%d" % number, VALUE) for number in range(written, written + PIPELINE)])
        written += PIPELINE
        assert written < 2_000_000, "no flush was seen"
    with pytest.raises(EOFError):
        client("SHUTDOWN")
    assert server.wait() == 0, server.output
    assert "Traceback" not in server.output
    assert Connection(start().port)("DBSIZE") == written
