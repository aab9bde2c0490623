"""HOST:PORT, as people and nodes write it."""

from __future__ import annotations

LAST_PORT = 65535


def split_address(address: str) -> tuple[str, int]:
    """The host, without the brackets of `[HOST]:PORT`, and the port. Raises ValueError when it is none."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or not 1 <= int(port) <= LAST_PORT:
        raise ValueError(f"'{address}' is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
