"""What the commands share that look into a stopped node's directory: opening it, and how things are shown.

Exit status of all of them: 0 everything was read; 1 it cannot be read, or part of it is damaged (what is whole is
shown); 2 the command line is wrong; 3 a node is running there.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redraft.errors import DirectoryInUseError, UserError
from redraft.raft.messages import ConfState
from redraft.resp.quoting import quoted
from redraft.storage.stopped import StoppedDirectory


@contextmanager
def opened(path: str) -> Iterator[StoppedDirectory]:
    """A stopped node's directory. Raises UserError, StorageError."""
    try:
        directory = StoppedDirectory(Path(path))
    except DirectoryInUseError as error:
        raise UserError(f"redraft: {error}", exit_code=3) from error
    with directory:
        yield directory


def confirm(word: str, *, yes: bool) -> None:
    """Have a person type a word, unless they have said yes already. Raises UserError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("redraft: nothing was changed: say --yes to do it", exit_code=2)
    print(f'Type "{word}" to do it: ', end="", flush=True)
    if sys.stdin.readline().strip() != word:
        raise UserError("redraft: nothing was changed", exit_code=2)


def print_node(directory: StoppedDirectory, *, as_json: bool) -> None:
    """Whose directory it is."""
    identity = directory.identity
    if as_json:
        print_json(
            record="node", node_id=identity.node_id, cluster_id=identity.cluster_id, format=identity.format,
            dir=str(directory.path),
        )  # fmt: skip
    else:
        print(f"node {identity.node_id} of cluster {identity.cluster_id}, {directory.path}")


def print_json(**fields: Any) -> None:
    """An object on a line of its own."""
    print(json.dumps(fields, ensure_ascii=False))


def json_bytes(data: bytes) -> str | dict[str, str]:
    """Bytes in JSON: a string if they are UTF-8, otherwise {"base64": …}."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def json_members(conf: ConfState) -> dict[str, list[int]]:
    """A configuration in JSON."""
    return {
        "voters": [*conf.voters],
        "outgoing": [*conf.outgoing],
        "learners": [*conf.learners],
        "learners_next": [*conf.learners_next],
    }


def words(argv: list[bytes]) -> str:
    """A command as redis-cli shows it."""
    return " ".join(map(quoted, argv))


def moment(unix_ms: int) -> str:
    """A time, UTC; of what lies beyond the calendar the number."""
    try:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix_ms // 1000))
    except (OverflowError, ValueError, OSError):
        return f"{unix_ms} ms"
    return f"{seconds}.{unix_ms % 1000:03d}Z"


def members(conf: ConfState) -> str:
    """A configuration in words."""
    if not conf.members():
        return "no members are named: the node is alone"
    parts = [f"voters {_listed(conf.voters)}"]
    if conf.outgoing:
        parts.append(f"of a joint configuration whose other half is {_listed(conf.outgoing)}")
    if conf.learners:
        parts.append(f"learners {_listed(conf.learners)}")
    if conf.learners_next:
        parts.append(f"learners to be {_listed(conf.learners_next)}")
    return ", ".join(parts)


def _listed(nodes: tuple[int, ...]) -> str:
    return " ".join(map(str, nodes)) or "none"
