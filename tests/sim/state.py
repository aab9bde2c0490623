"""A node from outside: a digest of its bytes, a line, and all of it."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from redraft.cluster.config_group import decode_proposal
from redraft.errors import CommandError
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, NO_NODE, GroupId, Index
from redraft.raft.messages import ConfState, Entry, EntryKind
from redraft.raft.status import Role
from redraft.shard.entry import runs as runs_of
from redraft.values import codec
from sim.disk import GROUPS
from sim.events import MS
from sim.plain import plain

if TYPE_CHECKING:
    from redraft.node.node import Node
    from sim.machine import Machine


def digest_of(machine: Machine) -> str:
    """A digest of all that is replicated: as the image would have it, and how collections are held."""
    keyspace = machine.node.shard.keyspace
    meta = msgspec.msgpack.encode((keyspace.meta(), machine.node.shard.applied.time_ms))
    whole = blake2b(meta, digest_size=16)
    for number, database in enumerate(keyspace.databases):
        if database.size:
            for key in database.keys_from(b""):
                value = database.peek(key)
                assert value is not None
                record = codec.encode(value, database.deadline(key))
                whole.update(b"%d %d %d " % (number, len(key), len(record)) + key + record)
                if not isinstance(value, (bytes, bytearray)):
                    whole.update(value.encoding())
    return whole.hexdigest()


def trace_of(machine: Machine, entry: Entry) -> int:
    """A hash of what an entry has left, as far as it names keys: cheap enough for every entry."""
    if entry.kind is not EntryKind.NORMAL or not entry.data:
        return 0
    shard = machine.node.shard
    keyspace, table = shard.keyspace, machine.node.table
    found: list[Any] = [keyspace.meta(), shard.applied.time_ms]
    for number, argvs in runs_of(entry.data):
        if number >= len(keyspace.databases):
            continue
        database = keyspace.databases[number]
        for argv in argvs:
            try:
                declared = table.lookup_logged(argv)
                keys = [argv[position] for position in declared.key_positions(argv)]
            except CommandError:
                # A mark of a transaction, or a command that was executed only to be refused.
                continue
            for key in keys:
                value = database.peek(key)
                found.append(None if value is None else codec.encode(value, database.deadline(key)))
        found.append(database.size)
    return int.from_bytes(blake2b(msgspec.msgpack.encode(found), digest_size=8).digest(), "big")


def summary(machine: Machine, group: GroupId = FIRST_SHARD_GROUP) -> str:
    """A node in a few words."""
    if not machine.up:
        return "down"
    raft = dict(machine.rafts())[group]
    found = raft.status()
    lease = " lease" if raft.has_lease(machine.clock.monotonic_ns() // MS) else ""
    leader = f" of {found.leader}" if found.role is Role.FOLLOWER and found.leader != NO_NODE else ""
    return (
        f"{found.role.value}{leader} t{found.term}{lease} a{found.applied_index} c{found.commit_index}"
        f" s{found.stable_index} l{found.last_index}"
    )


def state(machine: Machine) -> dict[str, Any]:
    """What matters of a node's state, for people: its disk, groups, log, keys, links and clients. The whole of it:
    `sim.plain`."""
    facts: dict[str, Any] = {
        "machine": machine.number,
        "up": machine.up,
        "paused": machine.paused,
        "why down": machine.why_down if not machine.up else "",
        "node": machine.disk.identity.node if machine.disk.identity else None,
        "incarnation": machine.disk.identity.incarnation if machine.disk.identity else "",
        "disk": {
            str(group): {
                "hard state": msgspec.to_builtins(machine.disk.durable[group].hard_state),
                "log": [machine.disk.durable[group].first_index(), machine.disk.durable[group].last_index()],
                "written log": [machine.disk.logs[group].first_index(), machine.disk.logs[group].last_index()],
            }
            for group in GROUPS
        },
        "unsynced batches": machine.disk.mark(),
        "image": machine.disk.image.point.applied.index if machine.disk.image.point else 0,
        "clock rate, ppm": machine.clock.rate_ppm,
    }
    if not machine.up:
        return facts
    node = machine.node
    for name, group in (("config group", CONFIG_GROUP), ("shard", FIRST_SHARD_GROUP)):
        raft = dict(machine.rafts())[group]
        found = raft.status()
        facts[name] = {
            "role": found.role.value, "term": found.term, "vote": raft._vote, "leader": found.leader,
            "commit": found.commit_index, "applied": found.applied_index, "stable": found.stable_index,
            "last": found.last_index, "conf": _conf(raft.conf), "lease until, ms": raft.lease_until_ms,
            "elapsed ticks": raft._elapsed_ticks, "timeout ticks": raft._timeout_ticks,
            "followers": {
                str(member): {"state": p.state.value, "match": p.match, "next": p.next, "active": p.active}
                for member, p in (raft.leader.followers.items() if raft.leader else ())
            },
        }  # fmt: skip
    facts["serves"] = node.serves
    facts["monotonic, ms"] = machine.clock.monotonic_ns() // 1_000_000
    facts["links"] = sorted(peer for peer, link in machine.keeper.links.items() if link.opened)
    facts["links from"] = sorted(node.incoming.linked_from())
    facts["sessions"] = {str(session.id): session.address for session in node.sessions.values()}
    facts["guests"] = len(node.guests)
    facts["flush"] = node.flusher.phase.value
    facts["keyspace"] = {**node.shard.keyspace.statistics(), "keys": _keys(node)}
    facts["log"] = {str(group): _entries(machine, group) for group in GROUPS}
    facts["digest"] = digest_of(machine)
    facts["table"] = msgspec.to_builtins(node.config.table, str_keys=True)
    return facts


def _keys(node: Node) -> dict[str, dict[str, Any]]:
    """The keys of each database: what type, until when, and what record they would have in an image."""
    return {
        str(number): {
            plain(key): {
                "type": codec.type_name(value).decode(), "until, ms": database.deadline(key),
                "record": plain(codec.encode(value, None)),
            }
            for key in database.keys_from(b"") if (value := database.peek(key)) is not None
        }
        for number, database in enumerate(node.shard.keyspace.databases) if database.size
    }  # fmt: skip


def _entries(machine: Machine, group: GroupId) -> list[str]:
    """The entries of a group's log, as it is in the process: index, term and content."""
    log = dict(machine.rafts())[group]._log
    entries: list[Entry] = []
    while (first := Index(entries[-1].index + 1) if entries else log.first_index) <= log.last_index:
        entries += log.entries(first, 1 << 30)
    return [f"{entry.index} of term {entry.term}: {_content(entry, group)}" for entry in entries]


def _content(entry: Entry, group: GroupId) -> str:
    if entry.kind is not EntryKind.NORMAL or not entry.data:
        return entry.kind.name
    if group == CONFIG_GROUP:
        return str(decode_proposal(entry.data))
    runs = runs_of(entry.data)
    return "; ".join(" ".join(map(plain, argv)) for _, argvs in runs for argv in argvs)


def _conf(conf: ConfState) -> dict[str, list[int]]:
    return {name: list(members) for name, members in msgspec.structs.asdict(conf).items() if isinstance(members, tuple)}
