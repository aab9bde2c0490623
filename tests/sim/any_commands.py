"""Any command of the table, as tests/oracle draws them, and those that it does not draw.

Keys, values and options are those of the comparison with Redis, so that commands meet, and meet what does not fit. Left
out is what ends or mutes a connection, what another client would have to undo (SHUTDOWN, CLIENT PAUSE, MONITOR), what
takes hundreds of megabytes, and what would touch the keys whose histories are checked: these are in the databases 0
and 1, and the databases from `FIRST_FREE` on may be emptied and swapped.
"""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from oracle import (
    bit_commands,
    blocking_commands,
    commands,
    geo_commands,
    hash_commands,
    hyperloglog_commands,
    list_commands,
    node_commands,
    set_commands,
    sort_commands,
    sorted_set_commands,
    stream_commands,
)
from oracle.commands import Command, words
from redraft.rdb import payload
from redraft.rdb.contents import ListContent, SortedSetContent, StringContent
from sim.drawing import draw

FIRST_FREE = 2
DATABASES = 4
"""As many as every node has at least."""
LONGEST_BYTES = 600
"""Of all words of a command."""
MOST_WORDS = 40
GREATEST_OFFSET = 100_000
"""In bits or bytes: what is larger would be a large value."""

key = commands.key
_PAYLOADS = [
    payload.dump(each) for each in (StringContent(b"12"), ListContent([b"a"]), SortedSetContent([(1.5, b"a")]))
]
others: st.SearchStrategy[Command] = st.one_of(
    words("DUMP", key), words("RANDOMKEY"), words("INFO"), words("TIME"), words("ROLE"), words("LOLWUT"),
    words("RESTORE", key, st.just(b"0"), st.sampled_from(_PAYLOADS)), words("LASTSAVE"), words("ASKING"),
    words("RESTORE", key, st.sampled_from([b"100", b"100000"]), st.sampled_from(_PAYLOADS), "REPLACE"),
    words("WAIT", st.sampled_from([b"0", b"1", b"2"]), st.sampled_from([b"10", b"200"])), words("BGSAVE"),
    words("CLUSTER", "INFO"), words("CLUSTER", "SLOTS"), words("CLUSTER", "NODES"), words("CLUSTER", "SHARDS"),
    words("CLUSTER", "KEYSLOT", key), words("CLUSTER", "COUNTKEYSINSLOT", st.just(b"1")), words("COMMAND"),
    words("MODULE", "LIST"), words("BGREWRITEAOF"), words("WAITAOF", st.just(b"0"), st.just(b"0"), st.just(b"10")),
    words("CLIENT", "LIST"), words("CLIENT", "KILL", "ID", st.just(b"0")), words("CONFIG", "GET", st.just(b"*")),
    words("REDRAFT", "MEMBERS"), words("REDRAFT", "STATUS"), words("OBJECT", "HELP"), words("MEMORY", "STATS"),
    words("REDRAFT", "REAP", st.sampled_from([b"1", b"100", b"x"])), words("REDRAFT", "UNBLOCK", st.just(b"1")),
    words("REDRAFT", "DATABASES", st.sampled_from([b"1", b"5", b"x"])), words("REDRAFT", "WAITER", st.just(b"1")),
    words("REDRAFT", "THRESHOLDS", *[st.just(b"1")] * 8),
)  # fmt: skip
"""Among them the log's own words, which are no client's to send."""
_FAMILIES = (
    commands.command, commands.command, list_commands.command, hash_commands.command, set_commands.command,
    sorted_set_commands.command, stream_commands.command, geo_commands.command, bit_commands.command,
    hyperloglog_commands.command, sort_commands.command, node_commands.command, others,
    blocking_commands.feeds, blocking_commands.feeds, blocking_commands.changes,
)  # fmt: skip
_NEVER = (
    b"DEBUG", b"SHUTDOWN", b"QUIT", b"MONITOR", b"FLUSHALL", b"AUTH", b"SAVE", b"SETNEWER",
)  # fmt: skip
_NEVER_OF_CLIENT = (b"PAUSE", b"REPLY", b"TRACKING")
_WITH_OFFSETS = (b"SETBIT", b"SETRANGE", b"BITFIELD")
_TIMEOUTS = (b"0.02", b"0.3", b"1")


def any_command(random: Random) -> Command:
    """One command of any kind."""
    while True:
        found: Command = draw(random.choice(_FAMILIES), random)
        if found and _is_allowed(found):
            # Some generators draw words that are no bytes.
            return _in_free_databases(tuple(map(as_bytes, found)), random)


def any_wait(random: Random) -> Command:
    """One command that may wait, not for long."""
    found: Command = draw(blocking_commands.waits, random)
    timeout = random.choice(_TIMEOUTS)
    name = found[0].upper()
    if name == b"BLMPOP" or name == b"BZMPOP":
        return (found[0], timeout, *found[2:])
    if name.startswith(b"X"):
        return tuple(b"300" if word == b"0" and found[at - 1].upper() == b"BLOCK" else word
                     for at, word in enumerate(found))  # fmt: skip
    return (*found[:-1], timeout)


def as_bytes(word: bytes | str) -> bytes:
    """A word as it is sent."""
    return word if isinstance(word, bytes) else word.encode()


def _is_allowed(argv: Command) -> bool:
    name = argv[0].upper()
    if name in _NEVER or len(argv) > MOST_WORDS or sum(map(len, argv)) > LONGEST_BYTES:
        return False
    if name == b"CLIENT" and len(argv) > 1 and argv[1].upper() in _NEVER_OF_CLIENT:
        return False
    if name == b"CONFIG" and len(argv) > 2 and argv[1].upper() == b"SET":
        return False
    if name in _WITH_OFFSETS:
        return all(not word.lstrip(b"#").isdigit() or int(word.lstrip(b"#")) <= GREATEST_OFFSET for word in argv[2:])
    return True


def _in_free_databases(argv: Command, random: Random) -> Command:
    """The command, or one like it that spares the databases whose keys have checked histories."""
    name = argv[0].upper()
    if name == b"SWAPDB":
        return (argv[0], *[b"%d" % random.randrange(FIRST_FREE, DATABASES) for _ in range(2)])
    if name == b"FLUSHDB":
        return (b"DBSIZE",)
    return argv
