"""INFO: the node in figures, in Redis's sections and three of its own: `raft`, `shards`, `storage` (Redis: server.c).

A section is a function that gives its lines. Fields keep Redis's names where they mean the same; what Redis has and
redraft has not (an allocator's inside, replicas' buffers, Lua) is left out rather than shown as 0.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from redraft import __version__
from redraft.commands.table import command
from redraft.node.context import SessionContext
from redraft.node.families.connection import REDIS_VERSION
from redraft.node.flusher import Phase
from redraft.node.node import Node
from redraft.node.redirect import host_and_port
from redraft.node.statistics import TICK_BUCKETS
from redraft.resp.reply import Verbatim

Lines = dict[str, Any]
DEFAULT_EXCEPT = ("commandstats",)
"""Sections that only `INFO all` and `INFO everything` show."""


@command(
    "INFO", -1, "loading stale", group="server", since="1.0.0", acl="dangerous",
    summary="Tell about the node: all default sections, or the named ones",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)  # fmt: skip
def info(context: SessionContext, argv: list[bytes]) -> Any:
    asked = {word.lower().decode("latin-1") for word in argv[1:]} or {"default"}
    wanted = {name for name in SECTIONS if name in asked}
    if asked & {"all", "everything"}:
        wanted = set(SECTIONS)
    elif "default" in asked:
        wanted |= {name for name in SECTIONS if name not in DEFAULT_EXCEPT}
    parts = []
    for name, (title, section) in SECTIONS.items():
        if name in wanted:
            lines = "".join(f"{field}:{value}\r\n" for field, value in section(context.node).items())
            parts.append(f"# {title}\r\n{lines}")
    return Verbatim("txt", "\r\n".join(parts).encode())


def human(size: float) -> str:
    """Bytes for people, as Redis writes them (util.c, bytesToHuman)."""
    if size < 1024:
        return f"{int(size)}B"
    for unit in "KMGT":
        size /= 1024
        if size < 1024 or unit == "T":
            break
    return f"{size:.2f}{unit}"


def _server(node: Node) -> Lines:
    settings = node.settings
    uptime_s = (node.clock.monotonic_ns() - node.started_ns) // 1_000_000_000
    return {
        "redis_version": REDIS_VERSION,
        "redraft_version": __version__,
        "redis_mode": node.redirect.mode,
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": 64,
        "multiplexing_api": "epoll",
        "python_version": platform.python_version(),
        "process_id": node.process.pid,
        "run_id": node.run_id,
        "tcp_port": node.process.tcp_port,
        "server_time_usec": node.state_us(),
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s // 86_400,
        "hz": settings.hz,
        "configured_hz": settings.hz,
        "config_file": settings.config_file,
    }


def _clients(node: Node) -> Lines:
    return {
        "connected_clients": sum(session.link is None for session in node.sessions.values()),
        "cluster_connections": sum(session.link is not None for session in node.sessions.values()),
        "maxclients": node.settings.maxclients,
        "blocked_clients": sum(session.waits() for session in node.sessions.values()),
        "tracking_clients": 0,
        "watching_clients": sum(bool(session.watched) for session in node.sessions.values()),
        "monitors": len(node.observer.monitors),
    }


def _memory(node: Node) -> Lines:
    rss = node.process.rss_bytes()
    peak = max(node.process.peak_rss_bytes, rss)
    limit = node.settings.maxmemory
    return {
        "used_memory": rss,
        "used_memory_human": human(rss),
        "used_memory_rss": rss,
        "used_memory_rss_human": human(rss),
        "used_memory_peak": peak,
        "used_memory_peak_human": human(peak),
        "maxmemory": limit,
        "maxmemory_human": human(limit),
        "maxmemory_policy": node.settings.maxmemory_policy,
        "mem_fragmentation_ratio": 1.0,
        "mem_allocator": "python",
        "lazyfree_pending_objects": len(node.shard.keyspace.graveyard),
    }


def _persistence(node: Node) -> Lines:
    flusher = node.flusher
    flush = node.shard.flush
    return {
        "loading": int(node.loading),
        "async_loading": 0,
        "rdb_changes_since_last_save": node.shard.keyspace.changes,
        "rdb_bgsave_in_progress": int(flusher.phase is not Phase.IDLE),
        "rdb_last_save_time": flusher.last_flush_ms // 1000,
        "rdb_last_bgsave_status": "ok",
        "rdb_last_bgsave_time_sec": flusher.last_duration_ms // 1000 if flusher.flushes else -1,
        "rdb_saves": flusher.flushes,
        "current_save_keys_total": flush.keys if flush is not None else 0,
        "current_save_keys_processed": flush.keys - flush.remaining() if flush is not None else 0,
        "aof_enabled": 1,
        "aof_rewrite_in_progress": 0,
        "aof_last_bgrewrite_status": "ok",
        "aof_last_write_status": "ok",
        "aof_current_size": node.shard.logged_bytes_since_flush,
    }


def _stats(node: Node) -> Lines:
    counts = node.statistics
    return {
        "total_connections_received": counts.connections_received,
        "total_commands_processed": node.observer.commands_processed(),
        "instantaneous_ops_per_sec": counts.operations_a_second,
        "total_net_input_bytes": counts.input_bytes,
        "total_net_output_bytes": counts.output_bytes,
        "rejected_connections": counts.connections_rejected,
        "expired_keys": node.shard.keyspace.statistics()["expired"],
        "evicted_keys": 0,
        "total_error_replies": sum(node.observer.errors().values()),
        "ticks": counts.ticks,
        "tick_max_usec": counts.tick_max_us,
        "tick_histogram_usec": ",".join(
            f"lt_{1 << bucket}={counts.tick_histogram[bucket]}"
            for bucket in range(TICK_BUCKETS)
            if counts.tick_histogram[bucket]
        ),
    }


def _replication(node: Node) -> Lines:
    leader = node.shard.raft.leader
    lines: Lines = {"role": node.redirect.role}
    if node.redirect.role != "master":
        known = node.redirect.leader()
        host, port = host_and_port(node.members.address(known) if known else "")
        lines |= {"master_host": host, "master_port": port, "master_link_status": "up" if known else "down"}
    return lines | {
        "connected_slaves": 0 if leader is None else sum(map(node.peers.linked, leader.followers)),
        "master_replid": node.run_id,
        "master_repl_offset": node.shard.applied.index,
        "replica_lag_entries": node.reads.lag_entries(),
        "replica_lag_ms": node.reads.lag_ms(),
    }


def _cpu(node: Node) -> Lines:
    user, system = node.process.cpu_seconds()
    return {"used_cpu_sys": f"{system:.6f}", "used_cpu_user": f"{user:.6f}"}


def _commandstats(node: Node) -> Lines:
    lines: Lines = {}
    for declared in node.table:
        for each in (declared, *declared.subcommands.values()):
            if each.calls or each.rejected_calls:
                usec = each.nanoseconds // 1000
                mean = each.nanoseconds / 1000 / each.calls if each.calls else 0.0
                lines[f"cmdstat_{each.name}"] = (
                    f"calls={each.calls},usec={usec},usec_per_call={mean:.2f},"
                    f"rejected_calls={each.rejected_calls},failed_calls={each.failed_calls}"
                )
    return lines


def _errorstats(node: Node) -> Lines:
    return {f"errorstat_{code}": f"count={count}" for code, count in sorted(node.observer.errors().items())}


def _keyspace(node: Node) -> Lines:
    lines: Lines = {}
    for number, database in enumerate(node.shard.keyspace.databases):
        if len(database):
            lines[f"db{number}"] = f"keys={len(database)},expires={len(database.deadlines)},avg_ttl=0"
    return lines


def _raft(node: Node) -> Lines:
    status = node.shard.raft.status()
    return {
        "raft_role": status.role.value,
        "raft_node_id": status.id,
        "raft_leader_id": status.leader,
        "raft_term": status.term,
        "raft_commit_index": status.commit_index,
        "raft_applied_index": status.applied_index,
        "raft_last_index": status.last_index,
        "raft_stable_index": status.stable_index,
        "raft_pulses": len(node.incoming.pulses_from()),
        "raft_forgetful": int(node.memory.is_forgetful(status.id)),
        "cluster_feature_level": node.config.table.level,
        "clock_offset_ms": node.clocks.offset_ms,
        "clock_is_wrong": int(node.clocks.is_wrong),
        "state_clock_offset_ms": node.clocks.state_offset_ms,
    }


def _shards(node: Node) -> Lines:
    statistics = node.shard.statistics()
    fields = ",".join(f"{name}={value}" for name, value in statistics.items() if name != "group")
    return {"shards": 1, f"shard{statistics['group']}": "slots=0-16383," + fields}


def _storage(node: Node) -> Lines:
    return {
        "appendfsync": node.settings.appendfsync,
        **node.process.storage_statistics(),
        "flushes": node.flusher.flushes,
        "flush_phase": node.flusher.phase.value,
        "flush_last_ms": node.flusher.last_duration_ms,
    }


SECTIONS: dict[str, tuple[str, Callable[[Node], Lines]]] = {
    "server": ("Server", _server),
    "clients": ("Clients", _clients),
    "memory": ("Memory", _memory),
    "persistence": ("Persistence", _persistence),
    "stats": ("Stats", _stats),
    "replication": ("Replication", _replication),
    "cpu": ("CPU", _cpu),
    "modules": ("Modules", lambda node: {}),
    "commandstats": ("Commandstats", _commandstats),
    "errorstats": ("Errorstats", _errorstats),
    "cluster": ("Cluster", lambda node: {"cluster_enabled": int(node.redirect.in_force)}),
    "keyspace": ("Keyspace", _keyspace),
    "raft": ("Raft", _raft),
    "shards": ("Shards", _shards),
    "storage": ("Storage", _storage),
}
