"""Commands of Redis 7.0 that are not here, and why: what a client that calls one is told.

The text begins as Redis's for an unknown command does, since libraries look at that to find out what a server can do.
docs/compatibility.md gives the same reasons, which a test compares.
"""

from __future__ import annotations

SCRIPTS = "Lua scripts and functions"
PUBSUB = "publish and subscribe"
USERS = "users other than `default`"
RAFT = "replaced by Raft"
CLUSTER = "replaced by the cluster"

NOT_YET: dict[str, str] = {
    "acl|deluser": USERS,
    "acl|dryrun": USERS,
    "acl|load": USERS,
    "acl|save": USERS,
    "acl|setuser": USERS,
    "cluster|links": "the links between nodes; see REDRAFT MEMBERS",
    "eval": SCRIPTS,
    "eval_ro": SCRIPTS,
    "evalsha": SCRIPTS,
    "evalsha_ro": SCRIPTS,
    "failover": "replaced by the transfer of leadership",
    "fcall": SCRIPTS,
    "fcall_ro": SCRIPTS,
    "function|load": SCRIPTS,
    "function|restore": SCRIPTS,
    "latency|graph": "a picture of an event's samples; see LATENCY HISTORY",
    "latency|histogram": "histograms of commands' latency",
    "memory|stats": "figures of the allocator",
    "migrate": "moving keys between servers",
    "pfselftest": "a self test of Redis's own code",
    "psubscribe": PUBSUB,
    "publish": PUBSUB,
    "pubsub": PUBSUB,
    "punsubscribe": PUBSUB,
    "restore-asking": "belongs to slot migration",
    "script|debug": "the Lua debugger",
    "script|load": SCRIPTS,
    "spublish": PUBSUB,
    "ssubscribe": PUBSUB,
    "subscribe": PUBSUB,
    "sunsubscribe": PUBSUB,
    "unsubscribe": PUBSUB,
}
NOT_OFFERED: dict[str, str] = {
    "psync": RAFT,
    "replconf": RAFT,
    "replicaof": CLUSTER,
    "slaveof": CLUSTER,
    "sync": RAFT,
}


def maybe_reason(name: str) -> str | None:
    """Why a command of that full name (`eval`, `script|load`) is not here, for the end of a sentence."""
    if (reason := NOT_YET.get(name)) is not None:
        return f"not offered yet: {reason}"
    reason = NOT_OFFERED.get(name)
    return None if reason is None else f"not offered: {reason}"
