"""The commands of each data type, for tests that want them all, and commands that may wait."""

from __future__ import annotations

from hypothesis import strategies as st

from oracle import (
    bit_commands,
    geo_commands,
    hash_commands,
    hyperloglog_commands,
    list_commands,
    set_commands,
    sort_commands,
    sorted_set_commands,
    stream_commands,
)
from oracle.commands import Command, generic, strings, words

FAMILIES: dict[str, st.SearchStrategy[Command]] = {
    "bits": bit_commands.command,
    "geo": geo_commands.command,
    "hashes": hash_commands.command,
    "hyperloglogs": hyperloglog_commands.command,
    "lists": list_commands.command,
    "sets": set_commands.command,
    "sort": sort_commands.command,
    "sorted sets": sorted_set_commands.command,
    "streams": stream_commands.command,
}
WAITS = st.one_of(
    words("BLPOP", list_commands.key, list_commands.key, st.just(b"0")),
    words("BLMOVE", list_commands.key, list_commands.key, st.just(b"LEFT"), st.just(b"RIGHT"), st.just(b"0")),
    words("BZPOPMIN", st.sampled_from([b"z1", b"z2"]), st.just(b"0")),
    stream_commands.joined(
        words("XREADGROUP"), stream_commands.of_group, words("BLOCK", st.just(b"0")), stream_commands.new_of_one
    ),
)
"""What may wait: of lists, sorted sets and streams."""
PLAIN: st.SearchStrategy[Command] = st.one_of(*strings, *generic)
"""Commands of strings, keys and deadlines."""
