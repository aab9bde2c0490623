"""The options, declared once: name, kind of value, default, what it does.

Everything else is made from these rows: the attributes of `Settings`, CONFIG GET and SET, `redraft server --help`, and
`conf/redraft.conf` (written by `tools/conf`). Names, aliases, bounds and defaults are Redis 7.0's, except where a row
says why not. An option that Redis has and that means nothing here stands in inert_options.py.

Invariants (checked when the table is built): names and aliases are unique; each default fits its kind.

Left out on purpose, so that a configuration which relies on them is refused, not quietly weakened: `rename-command`,
`aclfile`, `user`, `loadmodule` and `replicaof`, until there is something behind them; `tls-replication`, whose place
`tls-cluster` takes; and `tls-ciphersuites`, since Python's ssl cannot choose among those of TLS 1.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redraft.inert_options import INERT
from redraft.option_kinds import (
    LONG_MAX,
    UINT_MAX,
    Bool,
    Directory,
    Enum,
    EventClasses,
    Int,
    Kind,
    Memory,
    Octal,
    OutputLimitsKind,
    Secret,
    Switch,
    Text,
    Words,
)


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    `default` is written as in a file. `mutable` says whether CONFIG SET may change it. CONFIG GET tells a `hidden`
    option only when it is asked for by its whole name. `inert` says why the option has no effect; empty where it has.
    A `volatile` value is the name of a file whose contents matter: to set it to what it is has them read again.
    """

    name: str
    kind: Kind
    default: tuple[str, ...]
    help: str
    section: str
    alias: str = ""
    mutable: bool = True
    hidden: bool = False
    inert: str = ""
    volatile: bool = False

    @property
    def attribute(self) -> str:
        """The attribute of `Settings` that holds the value."""
        return self.name.replace("-", "_")

    @property
    def default_value(self) -> Any:
        """The default, parsed."""
        return self.kind.parse(self.default)


NETWORK = "Network"
CLIENTS = "Clients and security"
TLS = "TLS"
GENERAL = "General"
LOG = "Log of the server (what it tells people)"
DURABILITY = "Durability"
IMAGE = "Image: the data on disk"
RAFT = "Raft and reads"
MEMORY = "Memory and eviction"
EXPIRY = "Expiry and background work"
WATCHING = "Slow log, latency, events"
ENCODINGS = "Thresholds of compact encodings"
INERT_SECTION = "Options of Redis that change nothing here"

SECTIONS = {
    NETWORK: "Where the server listens.",
    CLIENTS: "What clients may do and how much of the server they may take.",
    TLS: "Encrypted connections, for clients and between nodes; the names are those of Redis. Files are in PEM. "
    "CONFIG SET of one of them reads them all again, or leaves all as it was: set tls-cert-file to what it is after "
    "its file was renewed. Chains are verified, names of hosts are not, as in Redis.",
    GENERAL: "Where the data are and how many databases there are.",
    LOG: "Lines for people or machines, written by a thread of their own, so that no client waits for a disk.",
    DURABILITY: "When a write counts as kept.",
    IMAGE: "Memory is flushed to an image, key by key while writes go on; after that the Raft log before it can go.",
    RAFT: "Times of the consensus and the promise that a read gives.",
    MEMORY: "How much memory the keys may take and which of them go when it is full.",
    EXPIRY: "How keys past their time are removed, and when memory is given back.",
    WATCHING: "What the server writes down about itself for you to read.",
    ENCODINGS: "Up to these sizes OBJECT ENCODING reports the compact form, as Redis does; clients look at it.",
    INERT_SECTION: "They are accepted, kept and told by CONFIG GET, so that tools and files made for Redis work. "
    "A value other than the default is mentioned in the log when the server starts.",
}


def _row(section: str, name: str, kind: Kind, default: str | Sequence[str], text: str, **more: Any) -> Option:
    return Option(name, kind, (default,) if isinstance(default, str) else tuple(default), text, section, **more)


_YES_NO = Bool()
_SIZE = Memory()
_COUNT = Int(0, LONG_MAX)
_TEXT = Text()

_LIVE = (
    _row(NETWORK, "bind", Words(16, "Too many bind addresses specified."), ("127.0.0.1", "-::1"),
         "Addresses to listen on. One that begins with - may be missing on this machine; * is every IPv4 address and "
         "::* every IPv6 address. Redis listens everywhere by default; redraft only on loopback.", mutable=False),
    _row(NETWORK, "port", Int(0, 65535), "6379",
         "TCP port. 0 takes any free one, and the ready line tells which; with tls-port 0 is none at all, as in "
         "Redis.", mutable=False),
    _row(NETWORK, "tcp-backlog", Int(), "511",
         "Connections the system may hold that have not been accepted yet (bounded by net.core.somaxconn).",
         mutable=False),
    _row(NETWORK, "unixsocket", _TEXT, "", "Path of a Unix socket to listen on too; none when empty.", mutable=False),
    _row(NETWORK, "unixsocketperm", Octal(), "0",
         "File mode of that socket, in octal; 0 leaves it to the umask.", mutable=False),
    _row(NETWORK, "protected-mode", _YES_NO, "yes",
         "While there is no password, answer only clients on this machine, even where bind lets others in."),
    _row(NETWORK, "tcp-keepalive", Int(), "300",
         "Seconds of silence after which TCP asks whether a client is still there; 0 never asks."),
    _row(NETWORK, "timeout", Int(), "0", "Close a client that is idle for so many seconds; 0 never does."),

    _row(CLIENTS, "requirepass", Secret(), "",
         "Password of the default user; no AUTH is needed when empty. Without a cluster-secret it is the secret of the "
         "nodes' links too: it must be the same on all, and after CONFIG SET on one of them a link that breaks is made "
         "again only when the other has it too."),
    _row(CLIENTS, "maxclients", Int(1, UINT_MAX), "10000",
         "Connections at a time; a client over the limit is told so and closed. Other nodes do not count. A start "
         "lowers it to what the limit of file descriptors (ulimit -n) leaves room for."),
    _row(CLIENTS, "proto-max-bulk-len", Memory(1 << 20), "512mb",
         "The longest key, value or other argument that is accepted."),
    _row(CLIENTS, "client-query-buffer-limit", Memory(1 << 20), "1gb",
         "A client whose unfinished request grows beyond this is closed."),
    _row(CLIENTS, "client-output-buffer-limit", OutputLimitsKind(),
         ("normal", "0", "0", "0", "replica", "256mb", "64mb", "60", "pubsub", "32mb", "8mb", "60"),
         "Close a client that does not read its replies: class, hard limit, soft limit and the seconds for which the "
         "soft one may be passed; 0 is no limit. Classes: normal, pubsub, replica (no client is of this class)."),
    _row(CLIENTS, "enable-debug-command", Enum(("no", "yes", "local")), "no",
         "Whether clients may call DEBUG, which is for tests: all of them (yes), those on this machine (local), or no "
         "one.",
         mutable=False),

    _row(TLS, "tls-port", Int(0, 65535), "0",
         "TCP port for TLS, beside the other or (with port 0) instead of it; 0 is none.", mutable=False),
    _row(TLS, "tls-cert-file", _TEXT, "",
         "This node's certificate, and behind it those that lead to the CA's.", volatile=True),
    _row(TLS, "tls-key-file", _TEXT, "", "The certificate's private key.", volatile=True),
    _row(TLS, "tls-key-file-pass", Secret(), "", "Password of that file, where it has one."),
    _row(TLS, "tls-client-cert-file", _TEXT, "",
         "Another certificate, to show to the nodes that this one dials; that of tls-cert-file when empty.",
         volatile=True),
    _row(TLS, "tls-client-key-file", _TEXT, "", "Its private key.", volatile=True),
    _row(TLS, "tls-client-key-file-pass", Secret(), "", "Password of that file."),
    _row(TLS, "tls-ca-cert-file", _TEXT, "",
         "Certificates of the CAs by which clients and other nodes are known.", volatile=True),
    _row(TLS, "tls-ca-cert-dir", _TEXT, "",
         "Directory of such certificates, named by their hashes (openssl rehash).", volatile=True),
    _row(TLS, "tls-auth-clients", Enum(("no", "yes", "optional")), "yes",
         "Whether clients must show a certificate of such a CA: yes; no; optional, if they show one it must be good."),
    _row(TLS, "tls-cluster", _YES_NO, "no",
         "Links to other nodes, snapshots and join use TLS, and no other node is let in without it. It is the same for "
         "all nodes, and each one's address (announce-address, initial-cluster, join) is then that of its tls-port; so "
         "are those of MOVED and CLUSTER SLOTS. The cluster-secret is asked for all the same.", mutable=False),
    _row(TLS, "tls-protocols", _TEXT, "",
         "Versions to speak, in quotes with spaces between: TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; the last two when empty."),
    _row(TLS, "tls-ciphers", _TEXT, "",
         "Ciphers up to TLS 1.2, as openssl-ciphers(1) writes them; OpenSSL's when empty."),
    _row(TLS, "tls-prefer-server-ciphers", _YES_NO, "no", "Let the node's order of ciphers count, not the client's."),
    _row(TLS, "tls-dh-params-file", _TEXT, "", "Parameters for Diffie-Hellman up to TLS 1.2.", volatile=True),

    _row(GENERAL, "dir", Directory(), "./redraft-data",
         "Directory of the data. It is made when absent and belongs to one process at a time.", mutable=False),
    _row(GENERAL, "databases", Int(1), "16", "Databases that SELECT may choose.", mutable=False),

    _row(LOG, "loglevel", Enum(("debug", "verbose", "notice", "warning")), "notice",
         "How much is told: debug (everything), verbose, notice (what an operator wants), warning (what "
         "matters most)."),
    _row(LOG, "logfile", _TEXT, "", "File for the log; standard output when empty.", mutable=False),
    _row(LOG, "log-format", Enum(("human", "json")), "human",
         "human: lines as Redis writes them. json: one object a line.", mutable=False),
    _row(LOG, "log-rotate-size", _SIZE, "0",
         "Begin a new log file when this one reaches the size; 0 never does.", mutable=False),
    _row(LOG, "log-rotate-interval", Int(), "0",
         "Begin a new log file every so many seconds; 0 never does.", mutable=False),
    _row(LOG, "log-rotate-keep", Int(0, 10_000), "5", "Old log files to keep when one is begun.", mutable=False),

    _row(DURABILITY, "appendfsync", Enum(("everysec", "always", "no")), "always",
         "When the Raft log is forced to disk. always: before a write is acknowledged, one fsync for all that came in "
         "together; nothing acknowledged is ever lost. everysec: a power cut may lose the last second (a killed "
         "process loses nothing). no: a power cut loses whatever the system had not written. Redis's default is "
         "everysec."),

    _row(IMAGE, "flush-dirty-keys", Int(1, LONG_MAX), "500000",
         "Flush when so many keys have changed since the last flush."),
    _row(IMAGE, "flush-log-bytes", Memory(1), "64mb",
         "Flush when the log has grown by this much since the last flush. It bounds what a start has to replay."),
    _row(IMAGE, "log-retain-entries", _COUNT, "10000",
         "Log entries to keep behind the image for followers that are a little late."),

    _row(RAFT, "node-id", Int(0, LONG_MAX), "0",
         "This node's number in its cluster, for its first start with initial-cluster; 0: what the directory says, or "
         "else the one that initial-cluster has at this node's port.",
         mutable=False),
    _row(RAFT, "initial-cluster", _TEXT, "",
         "The nodes of a new cluster, each as ID=HOST:PORT, with commas between; the same list for each of them. It is "
         "founded when all of them have met. A node alone when empty. Addresses are taken from here at each start.",
         mutable=False),
    _row(RAFT, "bootstrap", Switch(), "no",
         "For the first start of the first node of a cluster that others will join. With a cluster-secret it is needed "
         "where the directory is empty and neither initial-cluster nor join is given; leave it out afterwards.",
         mutable=False),
    _row(RAFT, "join", _TEXT, "",
         "HOST:PORT of any node of a cluster that this one joins at its first start.", mutable=False),
    _row(RAFT, "announce-address", _TEXT, "",
         "HOST:PORT at which the other nodes reach this one; by default the first address of bind and the port "
         "(with tls-cluster the tls-port).",
         mutable=False),
    _row(RAFT, "cluster-secret", Secret(), "",
         "What all nodes of a cluster know and nobody else does. It is never sent. Without one, requirepass takes its "
         "place; without either, whoever reaches a node's port can speak as another node.", mutable=False),
    _row(RAFT, "heartbeat-interval", Int(1, 60_000), "50", "Milliseconds between two heartbeats of a leader."),
    _row(RAFT, "election-timeout", Int(10, 600_000), "500",
         "Milliseconds without a leader's word after which a follower stands for election (each adds a random part). "
         "It should be ten heartbeats or more, and the same on all nodes: the shortest of a majority bounds the time "
         "for which a leader may answer reads alone."),
    _row(RAFT, "node-stall-timeout", Int(1000, 3_600_000), "30000",
         "Milliseconds for which a node may be held up, by one long command or a slow disk, before others take it for "
         "dead. Its pulse, a process of its own, tells them meanwhile that it lives. A node that is gone is missed "
         "after the election timeout all the same."),
    _row(RAFT, "max-clock-drift", Int(0, 60_000), "100",
         "Milliseconds by which two nodes' clocks may drift apart within one election timeout. Lease reads rely on "
         "it, on the largest where nodes differ; where the machines cannot promise it, set it to the election timeout, "
         "and every read asks a majority."),
    _row(RAFT, "max-uncommitted-bytes", Memory(1 << 20), "64mb",
         "A group that has this much proposed and not yet committed takes no more: its clients' sockets are left "
         "unread."),
    _row(RAFT, "read-consistency", Enum(("linearizable", "stale")), "linearizable",
         "linearizable: a read sees every write acknowledged before it began, on whatever node. stale: any replica "
         "answers at once from what it has; a connection sees its own writes all the same. READONLY allows it for one "
         "connection."),
    _row(RAFT, "redirect", Enum(("proxy", "moved")), "proxy",
         "What a node does with a key of another node's: proxy answers all the same, by way of that node where it "
         "must; moved answers -MOVED as Redis Cluster does, and the node presents itself as one of a Redis Cluster."),

    _row(MEMORY, "maxmemory", _SIZE, "0", "Bytes that the keys may take; 0 is no limit."),
    _row(MEMORY, "maxmemory-policy",
         Enum(("volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
               "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction")),
         "noeviction",
         "What goes when maxmemory is reached: nothing (writes are refused), or keys by recency (lru), frequency "
         "(lfu), chance or nearest expiry (ttl), among all keys or only those that expire (volatile)."),
    _row(MEMORY, "maxmemory-samples", Int(1), "5",
         "Keys looked at to choose one to evict; more is closer to the rule and slower."),
    _row(MEMORY, "lfu-log-factor", Int(), "10", "How slowly the frequency counter of a key grows."),
    _row(MEMORY, "lfu-decay-time", Int(), "1",
         "Minutes after which the frequency counter of an unused key falls by one; 0 never."),

    _row(EXPIRY, "active-expire", _YES_NO, "yes",
         "Remove keys past their time although nobody reads them. When off they are hidden from reads but keep their "
         "memory."),
    _row(EXPIRY, "hz", Int(0, clamp=(1, 500)), "10",
         "How often a second background work looks whether there is something to do."),

    _row(WATCHING, "slowlog-log-slower-than", Int(-1, LONG_MAX), "10000",
         "Microseconds of execution from which a command enters the slow log; 0 is every command, -1 none."),
    _row(WATCHING, "slowlog-max-len", _COUNT, "128", "Entries that the slow log keeps."),
    _row(WATCHING, "latency-monitor-threshold", _COUNT, "0",
         "Milliseconds from which LATENCY remembers an event; 0 remembers none."),
    _row(WATCHING, "notify-keyspace-events", EventClasses(), "",
         "Events to publish: K (by key) or E (by event), with g$lshzxetd (A is all of these), m and n; nothing when "
         "empty."),
    _row(WATCHING, "busy-reply-threshold", _COUNT, "5000",
         "Milliseconds after which a running script lets others be answered -BUSY.", alias="lua-time-limit"),

    _row(ENCODINGS, "hash-max-listpack-entries", _COUNT, "512", "Hash: fields.", alias="hash-max-ziplist-entries"),
    _row(ENCODINGS, "hash-max-listpack-value", _SIZE, "64",
         "Hash: longest field or value.", alias="hash-max-ziplist-value"),
    _row(ENCODINGS, "list-max-listpack-size", Int(-(2**31)), "-2",
         "List: elements of one node, or, when negative, its size: -1 is 4 kb, -2 8 kb, up to -5, 64 kb.",
         alias="list-max-ziplist-size"),
    _row(ENCODINGS, "set-max-intset-entries", _COUNT, "512", "Set of whole numbers: members."),
    _row(ENCODINGS, "zset-max-listpack-entries", _COUNT, "128",
         "Sorted set: members.", alias="zset-max-ziplist-entries"),
    _row(ENCODINGS, "zset-max-listpack-value", _SIZE, "64",
         "Sorted set: longest member.", alias="zset-max-ziplist-value"),
)  # fmt: skip


def _build() -> dict[str, Option]:
    table: dict[str, Option] = {}
    inert = (
        Option(name, kind, default, "", INERT_SECTION, alias, mutable, hidden, group.reason)
        for group in INERT
        for name, kind, default, alias, mutable, hidden in group.rows
    )
    for option in (*_LIVE, *inert):
        option.default_value  # noqa: B018 - raises OptionError where a default does not fit
        for name in filter(None, (option.name, option.alias)):
            assert name not in table, f"{name} is declared twice"
            table[name] = option
    return table


BY_NAME: dict[str, Option] = _build()
"""Each option under its name, and under its alias."""
OPTIONS: tuple[Option, ...] = tuple(dict.fromkeys(BY_NAME.values()))
"""Each option once, in the order of their declaration."""
