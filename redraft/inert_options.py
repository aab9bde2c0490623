"""The options of Redis 7.0 that are accepted and change nothing, each group with the reason.

People bring the configuration files, the tools and the test suites that they have; most set an option or two that speak
of machinery redraft does not have (a fork, an append-only file, a replica link, jemalloc). Refusing them would help
nobody; to accept them in silence would be a lie. So they are kept, told by CONFIG GET, and mentioned once in the log
when they are set to something else than the default.

An option that gets an effect moves from here to options.py. Left out: what would weaken security if it were ignored
(see there).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from redraft.option_kinds import (
    LONG_MAX,
    Bool,
    Enum,
    Flags,
    Int,
    Ints,
    Kind,
    Memory,
    MemoryOrPercent,
    Percentiles,
    Save,
    Secret,
    Text,
)


class Row(NamedTuple):
    """One option; the fields are those of `options.Option`."""

    name: str
    kind: Kind
    default: tuple[str, ...]
    alias: str = ""
    mutable: bool = True
    hidden: bool = False


class Group(NamedTuple):
    """Options that mean nothing for one reason."""

    reason: str
    rows: tuple[Row, ...]


def _row(
    name: str, kind: Kind, default: str | Sequence[str], alias: str = "", *, fixed: bool = False, hidden: bool = False
) -> Row:
    return Row(name, kind, (default,) if isinstance(default, str) else tuple(default), alias, not fixed, hidden)


def _group(reason: str, *rows: Row) -> Group:
    return Group(reason, rows)


_YES_NO = Bool()
_SIZE = Memory()
_INT = Int()
_LONG = Int(0, LONG_MAX)
_PORT = Int(0, 65535)
_TEXT = Text()
_ON_SIGNAL = Flags(("default", "save", "nosave", "now", "force"))

INERT = (
    _group(
        "Every write is in the Raft log before it is acknowledged; there is no second append-only file to switch on or "
        "off (Redis's default of appendonly is no).",
        _row("appendonly", _YES_NO, "yes"),
        _row("appendfilename", _TEXT, "appendonly.aof", fixed=True),
        _row("appenddirname", _TEXT, "appendonlydir", fixed=True),
        _row("no-appendfsync-on-rewrite", _YES_NO, "no"),
        _row("auto-aof-rewrite-percentage", _INT, "100"),
        _row("auto-aof-rewrite-min-size", _SIZE, "64mb"),
        _row("aof-load-truncated", _YES_NO, "yes"),
        _row("aof-use-rdb-preamble", _YES_NO, "yes"),
        _row("aof-timestamp-enabled", _YES_NO, "no"),
        _row("aof-rewrite-incremental-fsync", _YES_NO, "yes"),
        _row("aof-disable-auto-gc", _YES_NO, "no", hidden=True),
    ),
    _group(
        "There is no RDB file. SAVE and BGSAVE flush memory to the image; flush-dirty-keys and flush-log-bytes say "
        "when that happens by itself, save does not, and save \"\" switches nothing off.",
        _row("save", Save(), ("3600", "1", "300", "100", "60", "10000")),
        _row("dbfilename", _TEXT, "dump.rdb"),
        _row("rdbcompression", _YES_NO, "yes"),
        _row("rdbchecksum", _YES_NO, "yes", fixed=True),
        _row("rdb-del-sync-files", _YES_NO, "no"),
        _row("rdb-save-incremental-fsync", _YES_NO, "yes"),
        _row("stop-writes-on-bgsave-error", _YES_NO, "yes"),
        _row("sanitize-dump-payload", Enum(("no", "yes", "clients")), "no"),
        _row("rdb-key-save-delay", Int(-(2**31)), "0", hidden=True),
        _row("key-load-delay", Int(-(2**31)), "0", hidden=True),
    ),
    _group(
        "A replica here is a member of a Raft group, not a follower over a replication link.",
        _row("replica-serve-stale-data", _YES_NO, "yes", "slave-serve-stale-data"),
        _row("replica-read-only", _YES_NO, "yes", "slave-read-only"),
        _row("replica-priority", _INT, "100", "slave-priority"),
        _row("replica-ignore-maxmemory", _YES_NO, "yes", "slave-ignore-maxmemory"),
        _row("replica-ignore-disk-write-errors", _YES_NO, "no"),
        _row("replica-announced", _YES_NO, "yes"),
        _row("replica-announce-ip", _TEXT, "", "slave-announce-ip"),
        _row("replica-announce-port", _PORT, "0", "slave-announce-port"),
        _row("min-replicas-to-write", _INT, "0", "min-slaves-to-write"),
        _row("min-replicas-max-lag", _INT, "10", "min-slaves-max-lag"),
        _row("repl-diskless-sync", _YES_NO, "yes"),
        _row("repl-diskless-sync-delay", _INT, "5"),
        _row("repl-diskless-sync-max-replicas", _INT, "0"),
        _row("repl-diskless-load", Enum(("disabled", "on-empty-db", "swapdb")), "disabled"),
        _row("repl-ping-replica-period", Int(1), "10", "repl-ping-slave-period"),
        _row("repl-timeout", Int(1), "60"),
        _row("repl-disable-tcp-nodelay", _YES_NO, "no"),
        _row("repl-backlog-size", _SIZE, "1mb"),
        _row("repl-backlog-ttl", _LONG, "3600"),
        _row("masterauth", Secret(), ""),
        _row("masteruser", _TEXT, ""),
        _row("propagation-error-behavior", Enum(("ignore", "panic", "panic-on-replicas")), "ignore"),
    ),
    _group(
        "redraft's cluster is kept by Raft, not by gossip; it needs none of these.",
        _row("cluster-enabled", _YES_NO, "no", fixed=True),
        _row("cluster-config-file", _TEXT, "nodes.conf", fixed=True),
        _row("cluster-port", _PORT, "0", fixed=True),
        _row("cluster-node-timeout", _LONG, "15000"),
        _row("cluster-announce-ip", _TEXT, ""),
        _row("cluster-announce-port", _PORT, "0"),
        _row("cluster-announce-tls-port", _PORT, "0"),
        _row("cluster-announce-bus-port", _PORT, "0"),
        _row("cluster-announce-hostname", _TEXT, ""),
        _row("cluster-preferred-endpoint-type", Enum(("ip", "hostname", "unknown-endpoint")), "ip"),
        _row("cluster-require-full-coverage", _YES_NO, "yes"),
        _row("cluster-migration-barrier", _INT, "1"),
        _row("cluster-allow-replica-migration", _YES_NO, "yes"),
        _row("cluster-replica-no-failover", _YES_NO, "no", "cluster-slave-no-failover"),
        _row("cluster-replica-validity-factor", _INT, "10", "cluster-slave-validity-factor"),
        _row("cluster-allow-reads-when-down", _YES_NO, "no"),
        _row("cluster-allow-pubsubshard-when-down", _YES_NO, "yes"),
        _row("cluster-link-sendbuf-limit", _SIZE, "0"),
    ),
    _group(
        "TLS sessions are resumed by tickets that the clients keep; the server has no cache of them.",
        _row("tls-session-caching", _YES_NO, "yes"),
        _row("tls-session-cache-size", _INT, "20480"),
        _row("tls-session-cache-timeout", _INT, "300"),
    ),
    _group(
        "Keys are freed as they go, in slices of a tick; nothing is handed to another thread.",
        _row("lazyfree-lazy-eviction", _YES_NO, "no"),
        _row("lazyfree-lazy-expire", _YES_NO, "no"),
        _row("lazyfree-lazy-server-del", _YES_NO, "no"),
        _row("lazyfree-lazy-user-del", _YES_NO, "no"),
        _row("lazyfree-lazy-user-flush", _YES_NO, "no"),
        _row("replica-lazy-flush", _YES_NO, "no", "slave-lazy-flush"),
    ),
    _group(
        "Python's memory is not jemalloc's, and its dictionaries grow by themselves.",
        _row("activerehashing", _YES_NO, "yes"),
        _row("activedefrag", _YES_NO, "no"),
        _row("active-defrag-ignore-bytes", _SIZE, "100mb"),
        _row("active-defrag-threshold-lower", Int(0, 1000), "10"),
        _row("active-defrag-threshold-upper", Int(0, 1000), "100"),
        _row("active-defrag-cycle-min", Int(1, 99), "1"),
        _row("active-defrag-cycle-max", Int(1, 99), "25"),
        _row("active-defrag-max-scan-fields", Int(1, LONG_MAX), "1000"),
        _row("jemalloc-bg-thread", _YES_NO, "yes"),
        _row("disable-thp", _YES_NO, "yes", fixed=True),
        _row("list-compress-depth", _INT, "0"),
        _row("maxmemory-eviction-tenacity", Int(0, 100), "10"),
        _row("maxmemory-clients", MemoryOrPercent(), "0"),
        _row("tracking-table-max-keys", _LONG, "1000000"),
        _row("active-expire-effort", Int(1, 10), "1"),
        _row("dynamic-hz", _YES_NO, "yes"),
    ),
    _group(
        "The process stays in the foreground and is one process; a supervisor (systemd, a container) does the rest.",
        _row("daemonize", _YES_NO, "no", fixed=True),
        _row("supervised", Enum(("upstart", "systemd", "auto", "no")), "no", fixed=True),
        _row("pidfile", _TEXT, "", fixed=True),
        _row("always-show-logo", _YES_NO, "no", fixed=True),
        _row("set-proc-title", _YES_NO, "yes", fixed=True),
        _row("proc-title-template", _TEXT, "{title} {listen-addr} {server-mode}"),
        _row("shutdown-timeout", _INT, "10"),
        _row("shutdown-on-sigint", _ON_SIGNAL, "default"),
        _row("shutdown-on-sigterm", _ON_SIGNAL, "default"),
        _row("oom-score-adj", Enum(("no", "yes", "relative", "absolute")), "no"),
        _row("oom-score-adj-values", Ints(3, -2000, 2000), ("0", "200", "800")),
        _row("io-threads", Int(1, 128), "1", fixed=True),
        _row("io-threads-do-reads", _YES_NO, "no", fixed=True),
        _row("server_cpulist", _TEXT, "", fixed=True),
        _row("bio_cpulist", _TEXT, "", fixed=True),
        _row("aof_rewrite_cpulist", _TEXT, "", fixed=True),
        _row("bgsave_cpulist", _TEXT, "", fixed=True),
        _row("socket-mark-id", Int(0, 2**32 - 1), "0", fixed=True),
        _row("bind-source-addr", _TEXT, ""),
        _row("ignore-warnings", _TEXT, ""),
    ),
    _group(
        "The server writes its log itself (logfile, log-format); an error of its own is logged there with all that is "
        "known.",
        _row("syslog-enabled", _YES_NO, "no", fixed=True),
        _row("syslog-ident", _TEXT, "redis", fixed=True),
        _row("syslog-facility", Enum(("user", *(f"local{number}" for number in range(8)))), "local0", fixed=True),
        _row("crash-log-enabled", _YES_NO, "yes"),
        _row("crash-memcheck-enabled", _YES_NO, "yes"),
        _row("latency-tracking", _YES_NO, "yes"),
        _row("latency-tracking-info-percentiles", Percentiles(), ("50", "99", "99.9")),
    ),
    _group(
        "What is in a value must be the same on every replica, whatever each node's configuration says at the moment: "
        "Redis's defaults are constants here.",
        _row("hll-sparse-max-bytes", _SIZE, "3000"),
        _row("stream-node-max-bytes", _SIZE, "4096"),
        _row("stream-node-max-entries", _LONG, "100"),
    ),
    _group(
        "There is one user, and modules are not loaded.",
        _row("acl-pubsub-default", Enum(("allchannels", "resetchannels")), "resetchannels"),
        _row("acllog-max-len", _LONG, "128"),
        _row("enable-protected-configs", Enum(("no", "yes", "local")), "no", fixed=True),
        _row("enable-module-command", Enum(("no", "yes", "local")), "no", fixed=True),
    ),
)  # fmt: skip
"""Every group, in the order of conf/redraft.conf."""
