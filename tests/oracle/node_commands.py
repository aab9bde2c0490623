"""Random commands about the node itself: what suites and client libraries call beside the data commands.

Commands that both servers have, with arguments that mean the same to both. What exists in one of them only (Lua, users
of ACL, tracking itself, DEBUG's insides) is left out; so is what tells about the machine. A sequence begins and ends
with the settings as they were.
"""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import Command, cased, extended, words

KEYS = [b"text", b"number", b"hash", b"list", b"set", b"none", b"\x00\xff"]
WORDS = [b"", b"x", b"0", b"-1", b"99999999999999999999", b"a b", b"\x00\xff", b"default", b"x" * 200, b"a\x00b"]
SETTINGS = {
    b"hz": [b"10", b"50", b"x", b""],
    b"maxclients": [b"10000", b"1000", b"0", b"-1", b"x"],
    b"timeout": [b"0", b"100", b"-1", b"1.5"],
    b"slowlog-max-len": [b"128", b"5", b"x"],
    b"latency-monitor-threshold": [b"0", b"10000", b"-1"],
    b"maxmemory-policy": [b"noeviction", b"allkeys-lfu", b"volatile-lru", b"VOLATILE-TTL", b"lfu"],
    b"hash-max-listpack-entries": [b"512", b"0", b"-1", b"9223372036854775808"],
    b"list-max-listpack-size": [b"-2", b"10", b"-6", b"99999999999"],
    b"lfu-log-factor": [b"10", b"-1"],
}
"""The first value of each is the default."""
OTHERS = {b"hash-max-ziplist-entries": [b"100"], b"databases": [b"16"], b"nosuch": [b"1"], b"": [b""]}
PATTERNS = [
    b"hz", b"HZ", b"maxmemory-policy", b"hash-max-*", b"hash-max-listpack-entries", b"slowlog-max-le?", b"nosuch",
    b"tim[aeiou]out", b"", b"latency-monitor-[a-z]*", b"lfu-log-factor",
]  # fmt: skip

AS_THEY_WERE: Command = (b"CONFIG", b"SET", *(word for name, row in SETTINGS.items() for word in (name, row[0])))


def said(line: str, *rest: st.SearchStrategy[bytes]) -> st.SearchStrategy[Command]:
    """A command that begins with the words of `line`."""
    return words(*line.split(), *rest)


key = st.sampled_from(KEYS)
word = st.sampled_from(WORDS)
mode = cased("SYNC") | cased("ASYNC") | word
switch = cased("ON") | cased("OFF") | word
setting = st.sampled_from(sorted((SETTINGS | OTHERS).items())).flatmap(
    lambda row: st.tuples(st.sampled_from([row[0], row[0].upper()]), st.sampled_from(row[1]))
)
pattern = st.tuples(st.sampled_from(PATTERNS))

functions = [
    said("FUNCTION FLUSH"), said("FUNCTION FLUSH", mode), said("FUNCTION FLUSH", mode, word), said("FUNCTION STATS"),
    extended(said("FUNCTION LIST"), said("WITHCODE") | said("LIBRARYNAME", word) | said("LIBRARYNAME") | said("x")),
    said("FUNCTION STATS", word), said("FUNCTION DUMP"), said("FUNCTION KILL"), said("FUNCTION DELETE", word),
    said("FUNCTION DELETE"), said("FUNCTION"), said("FUNCTION", word),
]  # fmt: skip
scripts = [
    said("SCRIPT FLUSH"), said("SCRIPT FLUSH", mode), said("SCRIPT FLUSH", mode, word), said("SCRIPT KILL"),
    extended(said("SCRIPT EXISTS"), st.tuples(word)), said("SCRIPT"), said("SCRIPT", word),
]  # fmt: skip
users = [
    said("ACL WHOAMI"), said("ACL WHOAMI", word), said("ACL USERS"), said("ACL LIST"), said("ACL CAT"),
    said("ACL CAT", st.sampled_from([b"nothing", b"", b"@read", b"x\x00y"])), said("ACL CAT", word, word),
    said("ACL GETUSER", word), said("ACL GETUSER", st.just(b"default")), said("ACL GETUSER"), said("ACL"),
    said("ACL", word),
]  # fmt: skip
tracking_option = st.one_of(
    said("BCAST"), said("OPTIN"), said("OPTOUT"), said("NOLOOP"), said("PREFIX"), said("PREFIX", word), said("what"),
    said("REDIRECT"), said("REDIRECT", st.sampled_from([b"999999999", b"x", b"-1"])),
)  # fmt: skip
clients = [
    said("CLIENT CACHING", word), said("CLIENT CACHING"), said("CLIENT GETREDIR"), said("CLIENT TRACKINGINFO"),
    extended(said("CLIENT TRACKING", cased("OFF") | word), tracking_option), said("CLIENT TRACKING"),
    said("CLIENT TRACKING ON OPTIN OPTOUT"), said("CLIENT TRACKING ON BCAST OPTOUT"), said("CLIENT GETNAME"),
    said("CLIENT TRACKING ON PREFIX", word), said("CLIENT NO-EVICT", switch), said("CLIENT SETNAME", word),
    said("CLIENT UNBLOCK", word), said("CLIENT PAUSE", word, word), said("CLIENT", word), said("CLIENT UNPAUSE"),
    said("CLIENT REPLY", word),
]  # fmt: skip
observation = [
    said("LATENCY RESET"), extended(said("LATENCY RESET"), st.tuples(word)), said("LATENCY LATEST"),
    said("LATENCY", word), said("LATENCY HISTORY", word), said("LATENCY HISTORY"), said("LATENCY LATEST", word),
    said("SLOWLOG RESET"), said("SLOWLOG GET", word), said("SLOWLOG GET", word, word), said("SLOWLOG LEN", word),
]  # fmt: skip
configuration = [
    extended(said("CONFIG GET"), pattern), extended(said("CONFIG GET"), pattern), extended(said("CONFIG SET"), setting),
    extended(said("CONFIG SET"), setting), extended(said("CONFIG SET", word), setting), said("CONFIG RESETSTAT"),
    said("CONFIG"), said("CONFIG", word),
]  # fmt: skip
objects = [
    said("OBJECT FREQ", key), said("OBJECT IDLETIME", key), said("OBJECT REFCOUNT", key), said("OBJECT ENCODING", key),
    said("OBJECT FREQ"), said("OBJECT", word, key), said("MEMORY USAGE"), said("MEMORY USAGE", st.just(b"none")),
    said("MEMORY", word), said("SET", st.just(b"text"), word), said("SET", st.just(b"number"), st.just(b"7")),
    said("DEL", key), said("HSET", st.just(b"hash"), word, word), said("SADD", st.just(b"set"), word),
    said("RPUSH", st.just(b"list"), word),
]  # fmt: skip
debug = [
    said("DEBUG CHANGE-REPL-ID"), said("DEBUG REPLYBUFFER RESIZING 1"), said("DEBUG REPLYBUFFER what", word),
    said("DEBUG QUICKLIST-PACKED-THRESHOLD", st.sampled_from([b"0", b"1gb", b"5gb", b"x"])),
    said("DEBUG LISTPACK", key), said("DEBUG REPLYBUFFER PEAK-RESET-TIME reset"), said("DEBUG ERROR", word),
    said("DEBUG SET-ACTIVE-EXPIRE 1"), said("DEBUG HTSTATS", st.sampled_from([b"16", b"-1", b"x"])),
]  # fmt: skip
table = [
    said("COMMAND COUNT", word), said("COMMAND GETKEYS GET", word), said("COMMAND GETKEYS MSET", word, word),
    said("COMMAND GETKEYSANDFLAGS SET", word, word), said("COMMAND INFO", st.sampled_from([b"nosuch", b"get"])),
    said("COMMAND", word), said("COMMAND LIST FILTERBY", word, word), said("COMMAND DOCS nosuch"),
    said("COMMAND LIST FILTERBY PATTERN", st.sampled_from([b"nosuch*", b"config|s*", b"GETR*"])),
]  # fmt: skip
connections = [
    said("MULTI"), said("EXEC"), said("EXEC"), said("DISCARD"), said("PING", word), said("ECHO", word), said("RESET"),
    said("HELLO", st.sampled_from([b"2", b"3", b"4", b"x"])),
]  # fmt: skip

command: st.SearchStrategy[Command] = st.one_of(
    *map(
        st.one_of, (functions, scripts, users, clients, observation, configuration, objects, debug, table, connections)
    )
)


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """From half of `most` commands to `most`, and three more."""
    drawn = st.lists(command, min_size=most // 2, max_size=most)
    return drawn.map(lambda commands: [AS_THEY_WERE, *commands, (b"RESET",), AS_THEY_WERE])
