"""A connection of redis-py that sends what it is told, once, and gives every reply as it came.

redis-py takes the first word away from errors that it knows, and retries by itself where it is let; neither would do
for clients that must know exactly what became of a command.
"""

from __future__ import annotations

from typing import Any

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from support.processes import ReplyError

FIRST_WORDS: dict[type[Exception], str] = {
    exceptions.ClusterDownError: "CLUSTERDOWN",
    exceptions.MovedError: "MOVED",
    exceptions.AskError: "ASK",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.BusyLoadingError: "LOADING",
    exceptions.ExecAbortError: "EXECABORT",
    exceptions.ReadOnlyError: "READONLY",
}
BROKEN = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
"""Nothing more comes over the connection."""


class Client:
    """One connection; commands are sent in one go, and their replies read in order."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        """Connect. Raises one of BROKEN."""
        self._connection = redis.Connection(
            host=host, port=port, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        self._connection.connect()

    def pipeline(self, commands: list[list[str]]) -> list[Any]:
        """The replies; an error is a `ReplyError`. Raises one of BROKEN."""
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [self._read() for _ in commands]

    def _read(self) -> Any:
        try:
            reply = self._connection.read_response()
        except BROKEN as error:
            if isinstance(error, exceptions.BusyLoadingError):
                return _as_reply(error)
            raise
        except exceptions.RedisError as error:
            return _as_reply(error)
        if isinstance(reply, list):
            return [_as_reply(each) if isinstance(each, Exception) else each for each in reply]
        return reply

    def close(self) -> None:
        """Hang up."""
        self._connection.disconnect()


def _as_reply(error: Exception) -> ReplyError:
    word = FIRST_WORDS.get(type(error), "")
    return ReplyError(f"{word} {error}".strip())
