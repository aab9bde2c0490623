"""Redis's glob patterns, compiled to regular expressions; and the prefix that a pattern fixes.

Redis's matcher (util.c, stringmatchlen) is byte-wise: `*` any run, `?` one byte, `[abc]`, `[^abc]`, `[a-z]` (either
order), `\\x` the byte x. A `[` without `]` ends its class at the end; a lone `\\` at the end stands for itself.

What stands between two stars is matched at its first place and never again (an atomic group), which is enough, since
the second star takes up whatever is left: `a*a*a*b` on a long run of `a` does not try every split (Redis:
CVE-2022-36021).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache


@lru_cache(maxsize=512)
def matcher(pattern: bytes) -> Callable[[bytes], object]:
    """A function that is truthy for the byte strings that `pattern` matches whole."""
    if pattern == b"*":
        return lambda _: True
    return re.compile(_translate(pattern), re.DOTALL).fullmatch


@lru_cache(maxsize=512)
def prefix(pattern: bytes) -> bytes:
    """The literal bytes with which everything that `pattern` matches begins: a scan may start there."""
    out = bytearray()
    i = 0
    while i < len(pattern):
        c = pattern[i : i + 1]
        if c in b"*?[":
            break
        if c == b"\\" and i + 1 < len(pattern):
            i += 1
            c = pattern[i : i + 1]
        out += c
        i += 1
    return bytes(out)


def _translate(pattern: bytes) -> bytes:
    """The pattern as a regular expression whose cost is bounded by the product of both lengths.

    What stands between two `*` has a fixed length, so its leftmost match is as good as any: an atomic group keeps it,
    and a hostile pattern (`a*a*a*a*b`) cannot make the matcher try every combination.
    """
    runs: list[bytearray] = [bytearray()]
    i = 0
    n = len(pattern)
    while i < n:
        c = pattern[i : i + 1]
        i += 1
        if c == b"*":
            while pattern[i : i + 1] == b"*":
                i += 1
            runs.append(bytearray())
        elif c == b"?":
            runs[-1] += b"."
        elif c == b"[":
            i = _translate_class(pattern, i, runs[-1])
        else:
            if c == b"\\" and i < n:
                c = pattern[i : i + 1]
                i += 1
            runs[-1] += re.escape(c)
    if len(runs) == 1:
        return bytes(runs[0])
    middle = b"".join(b"(?>.*?%b)" % bytes(run) for run in runs[1:-1] if run)
    return bytes(runs[0]) + middle + b".*" + bytes(runs[-1])


def _translate_class(pattern: bytes, i: int, out: bytearray) -> int:
    n = len(pattern)
    negated = pattern[i : i + 1] == b"^"
    if negated:
        i += 1
    members: set[int] = set()
    while i < n:
        c = pattern[i]
        if c == ord("\\") and i + 1 < n:
            members.add(pattern[i + 1])
            i += 2
        elif c == ord("]"):
            break
        elif i + 2 < n and pattern[i + 1] == ord("-"):
            low, high = sorted((c, pattern[i + 2]))
            members.update(range(low, high + 1))
            i += 3
        else:
            members.add(c)
            i += 1
    if negated:
        members = set(range(256)) - members
    if members:
        out += b"[" + b"".join(b"\\x%02x" % m for m in sorted(members)) + b"]"
    else:
        out += b"(?!)"
    return i + 1
