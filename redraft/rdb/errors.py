"""What is wrong with a payload: a client's mistake, or an accident on its way."""

from __future__ import annotations

from redraft.errors import RedraftError


class PayloadError(RedraftError):
    """The payload holds no value."""


class SealError(PayloadError):
    """The payload's version is unknown, or its checksum wrong."""
