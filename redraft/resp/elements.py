"""An encoded array taken apart into its elements, each as it stands: for whoever puts it together anew.

Only a node's own replies are taken apart here, so what is no reply is a `ValueError` and no more is said of it.
"""

from __future__ import annotations

_LINES = frozenset(b"+-:#,(_")
_STRINGS = frozenset(b"$=!")
_AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2}
"""How many elements stand behind each that their headers count."""


def is_array(data: bytes) -> bool:
    """Whether a reply is an array, and not the one that is none."""
    return data[:1] == b"*" and not data.startswith(b"*-1")


def elements(data: bytes) -> list[bytes]:
    """The elements of an array; O(n), n with all that they hold. Raises ValueError."""
    if not is_array(data):
        raise ValueError("no array")
    line_end = data.index(b"\r\n")
    found = []
    at = line_end + 2
    for _ in range(int(data[1:line_end])):
        end = _end(data, at)
        found.append(data[at:end])
        at = end
    if at != len(data):
        raise ValueError("something stands behind the array")
    return found


def array(parts: list[bytes]) -> bytes:
    """The array of encoded elements."""
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def _end(data: bytes, at: int) -> int:
    """Where the reply ends that begins at a place."""
    left = 1
    while left:
        line_end = data.index(b"\r\n", at)
        kind = data[at]
        left -= 1
        if kind in _STRINGS:
            size = int(data[at + 1 : line_end])
            at = line_end + 2 + (size + 2 if size >= 0 else 0)
        elif kind in _AGGREGATES:
            left += max(0, int(data[at + 1 : line_end])) * _AGGREGATES[kind]
            at = line_end + 2
        elif kind in _LINES:
            at = line_end + 2
        else:
            raise ValueError(f"a reply that begins with {kind}")
    if at > len(data):
        raise ValueError("a reply that has no end")
    return at
