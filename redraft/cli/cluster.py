"""`redraft members`, `status`, `table`, `promote`, `remove`, `replace`, `leave`, `transfer-leader`: looking at a
cluster and changing it.

Exit status: 0 it is done; 2 the command line is wrong; 3 no node answers; 4 the cluster refused, and says why; 5 it was
asked for, and whether it was done is not known.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redraft.cli.client import NodeClient, RefusedError, Tls
from redraft.errors import UserError

TRANSFER_SECONDS = 10.0
LOOK_SECONDS = 2.0
"""How long `status` waits for each node."""

COMMANDS = {
    "members": "the nodes of a cluster: where they are, what they lack",
    "status": "who leads, and how far each node is: its term and indexes, what it lacks, a snapshot on its way to it",
    "promote": "make a learner a voter",
    "remove": "take a node out of the cluster, whether it runs or not",
    "leave": "take the node that is asked out of the cluster",
    "replace": "have a node that has joined take the place of another, in one change",
    "table": "the config table as a node has it: nodes and shards",
    "transfer-leader": "hand leadership over to a node",
}


def run(name: str, words: list[str]) -> int:
    """Run one of the commands; the exit status. Raises UserError."""
    parser = argparse.ArgumentParser(prog=f"redraft {name}", description=COMMANDS[name])
    if name in ("promote", "remove", "transfer-leader"):
        parser.add_argument("node", type=int, help="the node's id")
    elif name == "replace":
        parser.add_argument("old", type=int, help="the id of the node that leaves")
        parser.add_argument("new", type=int, help="the id of the one that takes its place")
    elif name == "table":
        parser.add_argument("version", type=int, nargs="?", help="not the newest, but this one")
    parser.add_argument("--node-address", "-a", default="127.0.0.1:6379", metavar="HOST:PORT", help="any node")
    parser.add_argument("--password", default="", help="for AUTH")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    parser.add_argument("--tls", action="store_true", help="the address is that of a tls-port")
    parser.add_argument("--cacert", default="", metavar="FILE", help="CAs to believe; those of the system by default")
    parser.add_argument("--cert", default="", metavar="FILE", help="a certificate to show")
    parser.add_argument("--key", default="", metavar="FILE", help="its private key")
    options = parser.parse_args(words)
    tls = Tls(options.cacert, options.cert, options.key) if options.tls else None
    if tls is None and (options.cacert or options.cert or options.key):
        parser.error("--cacert, --cert and --key need --tls")
    with NodeClient(options.node_address, options.password, tls) as node:
        try:
            answer = _ask(name, node, options, tls)
        except RefusedError as error:
            if "UNKNOWN" in str(error):
                raise UserError(str(error), exit_code=5) from error
            raise
    if options.json:
        print(json.dumps(answer))
    elif name == "members":
        _print_table(answer)
    elif name == "status":
        rows = answer.pop("nodes")
        forgotten = answer.pop("forgotten", "")
        print(", ".join(f"{key} {value}" for key, value in answer.items()))
        if forgotten:
            print(f"forgotten: {forgotten}")
        _print_table(rows)
    elif name == "table":
        print(f"version {answer['version']}, feature level {answer['level']}")
        _print_table(answer["nodes"])
        for shard in answer["shards"]:
            replicas = " ".join(map(str, shard["replicas"]))
            print(f"shard {shard['id']}: slots {' '.join(shard['slots'])} on nodes {replicas}")
    else:
        for key, value in answer.items():
            print(f"{key}: {value}")
    return 0


def _ask(name: str, node: NodeClient, options: argparse.Namespace, tls: Tls | None) -> Any:
    if name == "members":
        return [_pairs(member) for member in node("REDRAFT", "MEMBERS")]
    if name == "status":
        return _status(node, options, tls)
    if name == "table":
        version = [] if options.version is None else [str(options.version)]
        return _nested(node("REDRAFT", "TABLE", *version))
    if name == "replace":
        node("REDRAFT", "REPLACE", str(options.old), str(options.new))
        return {"removed": options.old}
    if name == "leave":
        number = _pairs(node("REDRAFT", "STATUS"))["node-id"]
        node("REDRAFT", "LEAVE")
        return {"removed": number}
    if name == "transfer-leader":
        node("REDRAFT", "TRANSFER", str(options.node))
        _wait(lambda: _pairs(node("REDRAFT", "STATUS"))["leader-id"] == options.node)
        return {"leader-id": options.node}
    node("REDRAFT", name.upper(), str(options.node))
    return {"promoted" if name == "promote" else "removed": options.node}


def _status(node: NodeClient, options: argparse.Namespace, tls: Tls | None) -> dict[str, Any]:
    """What the nodes say of themselves, each asked, and what the leader says of those that do not answer."""
    here = _pairs(node("REDRAFT", "STATUS"))
    rows = []
    for member in (_pairs(each) for each in node("REDRAFT", "MEMBERS")):
        own: dict[str, Any] = {}
        if member["id"] == here["node-id"]:
            own = here
        elif member["address"]:
            with suppress(UserError), NodeClient(member["address"], options.password, tls, LOOK_SECONDS) as other:
                own = _pairs(other("REDRAFT", "STATUS"))
        if another := _is_another(own, member["id"], here["cluster-id"]):
            own, member = {}, {**member, "state": another}
        indexes = {name: own.get(name) for name in ("term", "commit-index", "applied-index", "last-index")}
        rows.append(
            {
                "id": member["id"], "address": member["address"], "role": member["role"], "answers": int(bool(own)),
                **indexes, "lag": member["lag"], "state": member["state"], "snapshot": member["snapshot"],
                "forgetful": member.get("forgetful"), "version": own.get("version"),
                "clock-offset-ms": own.get("clock-offset-ms"),
            }
        )  # fmt: skip
    kept = (
        "cluster-id", "node-id", "leader-id", "term", "commit-index", "applied-index", "last-index", "feature-level",
    )  # fmt: skip
    return {**{name: here[name] for name in kept}, "forgotten": here.get("forgotten", ""), "nodes": rows}


def _is_another(own: dict[str, Any], node: int, cluster_id: str) -> str:
    """Says whether who answers at a member's address is somebody else; empty else."""
    if own and own["cluster-id"] != cluster_id:
        return "of another cluster"
    return f"is node {own['node-id']}" if own and own["node-id"] != node else ""


def _wait(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TRANSFER_SECONDS
    while not look():
        if time.monotonic() > deadline:
            raise UserError("redraft: leadership was not handed over in time; see redraft members", exit_code=5)
        time.sleep(0.05)


def _pairs(flat: list[Any]) -> dict[str, Any]:
    """A map as RESP2 sends it."""
    values = [value.decode() if isinstance(value, bytes) else value for value in flat[1::2]]
    return dict(zip([key.decode() for key in flat[::2]], values, strict=True))


def _nested(flat: list[Any]) -> dict[str, Any]:
    """The config table as RESP2 sends it."""
    table = _pairs(flat)
    table["nodes"] = [_pairs(node) for node in table["nodes"]]
    table["shards"] = [_pairs(shard) for shard in table["shards"]]
    for shard in table["shards"]:
        shard["slots"] = [slots.decode() for slots in shard["slots"]]
    return table


def _print_table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    table = [list(rows[0])] + [["-" if value in (None, "") else str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
