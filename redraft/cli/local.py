"""`redraft local --dir DIR`: a cluster on this machine, for trying things out.

The directory holds one directory for each node, and `local.json`: the ports, and a secret that only these nodes know.
Exit status: 0 all nodes ran until they were told to stop; 1 one ended before, or could not be stopped in order; 2 the
command line is wrong.
"""

from __future__ import annotations

import argparse
import os
import secrets
import socket
from contextlib import ExitStack
from pathlib import Path

import msgspec

from redraft.errors import StorageError, UserError
from redraft.server.local import Child, LocalCluster
from redraft.storage.directory import make_directory

FIRST_PORT = 7001
MOST_NODES = 99


class Plan(msgspec.Struct, frozen=True):
    """What the directory says of its cluster."""

    ports: list[int]
    """Of node 1, node 2 …"""
    secret: str


def run(arguments: list[str]) -> int:
    """Run the nodes until told to stop; the exit status. Raises UserError, StorageError."""
    parser = argparse.ArgumentParser(
        prog="redraft local",
        description="Run a cluster on this machine, all nodes below one directory. The same directory starts the same "
        "cluster again.",
        epilog="What follows -- goes to every node: redraft local --dir DIR -- --appendfsync everysec",
    )
    parser.add_argument("--dir", required=True, help="where the nodes' directories are, or shall be")
    parser.add_argument("--nodes", type=int, help="how many nodes (default: as many as the directory has, or 3)")
    parser.add_argument(
        "--port", type=int,
        help=f"of the first node; the others have the next ones. 0: any that are free (default: those of the last "
        f"time, or {FIRST_PORT})",
    )  # fmt: skip
    parser.add_argument("options", nargs="*", metavar="-- OPTION", help="options of `redraft server` for every node")
    options = parser.parse_args(arguments)
    path = Path(options.dir)
    try:
        make_directory(path)
        plan = _plan(path / "local.json", options.nodes, options.port)
    except OSError as error:
        raise StorageError(f"the directory {path} cannot be used: {error.strerror or error}") from error
    members = ",".join(f"{number}=127.0.0.1:{port}" for number, port in enumerate(plan.ports, 1))
    children = [
        Child(
            f"n{number}",
            port,
            ("--port", str(port), "--dir", str(path / f"n{number}"), "--node-id", str(number),
             "--initial-cluster", members, *options.options),
            f"cluster-secret {plan.secret}\n",
        )
        for number, port in enumerate(plan.ports, 1)
    ]  # fmt: skip
    return LocalCluster(children).run()


def _plan(path: Path, nodes: int | None, port: int | None) -> Plan:
    """What to run; written down at `path`. Raises UserError, StorageError, OSError."""
    known = _read(path)
    count = nodes if nodes is not None else len(known.ports) if known is not None else 3
    if not 1 <= count <= MOST_NODES:
        raise UserError(f"redraft: --nodes is from 1 to {MOST_NODES}", exit_code=2)
    if known is not None and len(known.ports) != count:
        raise UserError(f"redraft: {path.parent} has a cluster of {len(known.ports)} nodes, not {count}", exit_code=2)
    if port is None:
        ports = known.ports if known is not None else _from(FIRST_PORT, count)
    else:
        ports = _free(count) if port == 0 else _from(port, count)
    plan = Plan(ports, known.secret if known is not None else secrets.token_hex(20))
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(plan) + b"\n")
    temporary.replace(path)
    return plan


def _read(path: Path) -> Plan | None:
    if not path.exists():
        return None
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except msgspec.MsgspecError as error:
        raise StorageError(f"{path} is damaged: {error}") from error
    if not plan.ports:
        raise StorageError(f"{path} is damaged: it names no ports")
    return plan


def _from(first: int, count: int) -> list[int]:
    if not 1 <= first <= 65536 - count:
        raise UserError(f"redraft: there are no {count} ports from {first} on", exit_code=2)
    return list(range(first, first + count))


def _free(count: int) -> list[int]:
    """Ports that are free now."""
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            found.append(int(sock.getsockname()[1]))
    return found
