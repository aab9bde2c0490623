"""LCS: what two strings have in common (Redis: t_string.c). The work is done by `values.subsequence`."""

from __future__ import annotations

from typing import Any

from redraft.commands import errors, parse
from redraft.commands.context import Context
from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.resp.reply import Map
from redraft.values.subsequence import Match, Table

TABLE_BYTES_MAX = 512 * 1024 * 1024
"""Redis's table has four bytes a cell and may take as much as proto-max-bulk-len, here its default."""

_NO_STRINGS = "ERR The specified keys must contain string values"
_BOTH = "ERR If you want both the length and indexes, please just use IDX."
_TOO_LARGE = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"


@command(
    "LCS", -3, "readonly", group="string", since="7.0.0", keys=(1, 2, 1), access="RO access", acl="string",
    summary="Find the longest common subsequence of two strings",
    complexity="O(N*M/64) where N and M are the lengths of the strings.",
)  # fmt: skip
def lcs(context: Context, argv: list[bytes]) -> Any:
    try:
        first, second = (bytes(context.string(key) or b"") for key in argv[1:3])
    except CommandError:
        raise CommandError(_NO_STRINGS) from None
    words = set()
    least = 0
    at = 3
    while at < len(argv):
        word = argv[at].lower()
        if word == b"minmatchlen" and at + 1 < len(argv):
            least = parse.integer(argv[at + 1])
            at += 1
        elif word in (b"len", b"idx", b"withmatchlen"):
            words.add(word)
        else:
            raise CommandError(errors.SYNTAX)
        at += 1
    if {b"len", b"idx"} <= words:
        raise CommandError(_BOTH)
    if (len(first) + 1) * (len(second) + 1) * 4 > TABLE_BYTES_MAX:
        raise CommandError(_TOO_LARGE)
    table = Table(first, second)
    if b"len" in words:
        return table.length()
    common, matches = table.walk()
    if b"idx" not in words:
        return common
    shown = [_shown(match, with_size=b"withmatchlen" in words) for match in matches if match.size >= least]
    return Map([(b"matches", shown), (b"len", len(common))])


def _shown(match: Match, *, with_size: bool) -> list[Any]:
    ranges: list[Any] = [list(match.first), list(match.second)]
    return [*ranges, match.size] if with_size else ranges
