"""A shell that runs data commands on a keyspace, with time that the test moves."""

from __future__ import annotations

from typing import Any

import pytest

from redraft.commands.all import TABLE
from redraft.commands.context import Context
from redraft.errors import CommandError
from redraft.keyspace.keyspace import Keyspace


class Shell:
    """Runs one command after the other; each is its own log entry.

    A reply is the handler's value; an error reply is returned, not raised, so that tests can compare its text.
    """

    def __init__(self) -> None:
        self.context = Context(Keyspace())
        self.now_ms = 1_700_000_000_000
        self.entries = 0

    def __call__(self, *words: Any) -> Any:
        argv = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.entries += 1
        self.context.begin(self.now_ms, seed=self.entries)
        self.context.select(self.context.database)
        try:
            command = TABLE.lookup(argv)
            assert command.handler is not None
            reply = command.handler(self.context, argv)
        except CommandError as error:
            reply = error
        self.context.keyspace.check()
        return reply

    def error(self, *words: Any) -> str:
        """The error text that the command answers."""
        reply = self(*words)
        assert isinstance(reply, CommandError), reply
        return reply.text


@pytest.fixture
def shell() -> Shell:
    return Shell()
