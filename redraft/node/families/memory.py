"""What MEMORY tells of a whole node (Redis: object.c, zmalloc.c): of Python's allocator, since there is no jemalloc."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from redraft.commands.table import command
from redraft.node.context import SessionContext
from redraft.node.families.info import human
from redraft.resp.reply import OK, Verbatim

LITTLE_BYTES = 5 * 1024 * 1024
"""With less than this in it a server has no problem that is worth a word (as in Redis)."""
HIGH_SHARE = 1.5
HIGH_CLIENT_BYTES = 200 * 1024

_memory = partial(command, group="server", since="4.0.0")


@_memory(
    "MEMORY DOCTOR", 2, summary="Tell in words what is remarkable about memory",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)  # fmt: skip
def doctor(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    rss = node.process.rss_bytes()
    peak, limit = max(node.process.peak_rss_bytes, rss), node.settings.maxmemory
    sessions = [session for session in node.sessions.values() if session.link is None]
    held = sum(session.input_bytes() + sum(map(len, session.out)) for session in sessions)
    words = []
    if rss < LITTLE_BYTES:
        words.append("This node takes very little memory: there is nothing to be said about it.")
    if peak > rss * HIGH_SHARE:
        words.append(f"It took {human(peak)} once and takes {human(rss)} now; MEMORY PURGE gives back what is free.")
    if limit and rss > limit * 9 // 10:
        words.append(f"It takes {human(rss)} of the {human(limit)} that maxmemory allows.")
    if sessions and held / len(sessions) > HIGH_CLIENT_BYTES:
        words.append(f"Its {len(sessions)} clients have {human(held)} waiting for them; CLIENT LIST shows whose.")
    return Verbatim("txt", (" ".join(words) or "Nothing is remarkable about this node's memory.").encode())


@_memory(
    "MEMORY PURGE", 2, summary="Give memory that is free back to the system",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)  # fmt: skip
def purge(context: SessionContext, argv: list[bytes]) -> Any:
    context.node.process.release_memory()
    return OK


@_memory(
    "MEMORY MALLOC-STATS", 2, summary="Tell how many blocks Python's allocator holds",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)  # fmt: skip
def malloc_stats(context: SessionContext, argv: list[bytes]) -> Any:
    blocks, rss = sys.getallocatedblocks(), context.node.process.rss_bytes()
    return Verbatim("txt", f"Python holds {blocks} blocks of 512 bytes or less; {rss} bytes are resident.".encode())
