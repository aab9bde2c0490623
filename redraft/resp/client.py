"""Replies as a client reads them: what nodes and `redraft` say to each other is ordinary RESP."""

from __future__ import annotations

from typing import Any

import hiredis

NOTHING: Any = object()
"""There is no whole reply yet."""


class ErrorReply(Exception):
    """An error that the server has answered with."""


class BadReplyError(Exception):
    """What came is not RESP."""


class ReplyReader:
    """Bytes to replies; errors are `ErrorReply` values."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=ErrorReply, protocolError=BadReplyError, notEnoughData=NOTHING)

    def feed(self, data: bytes) -> None:
        """Bytes have come."""
        self._reader.feed(data)

    def next(self) -> Any:
        """The next reply, or NOTHING. Raises BadReplyError."""
        return self._reader.gets()
