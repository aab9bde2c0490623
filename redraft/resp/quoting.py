"""Bytes in quotes, as redis-cli and MONITOR show them (Redis: sds.c, sdscatrepr)."""

from __future__ import annotations

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b", '"': '\\"', "\\": "\\\\"}
_SHOWN = [_NAMED.get(chr(byte)) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in range(256)]


def quoted(data: bytes) -> str:
    """Printable ASCII as it is, everything else escaped; in double quotes.

    >>> print(quoted(b'a "b"\\n\\xff'))
    "a \\"b\\"\\n\\xff"
    """
    return f'"{"".join(map(_SHOWN.__getitem__, data))}"'
