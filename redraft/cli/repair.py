"""`redraft repair DIR`: go on with what can be read of the damaged directory of a node that is alone in its cluster.

Exit status: 0 it is done, or there is nothing to do; 1 it cannot be done; 2 the command line is wrong, or it was not
confirmed; 3 a node is running there.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from redraft.cli.offline import confirm, opened
from redraft.cli.repairing import Found, make_anew, members_of
from redraft.errors import UserError
from redraft.ids import FIRST_SHARD_GROUP
from redraft.resp.quoting import quoted
from redraft.storage.directory import sync_directory
from redraft.storage.salvage import LostKeys
from redraft.storage.stopped import StoppedDirectory

CONFIRMATION = "repair"


def run(arguments: list[str]) -> int:
    """Run `redraft repair`; the exit status. Raises UserError, StorageError."""
    parser = argparse.ArgumentParser(
        prog="redraft repair",
        description="Make the damaged directory of a node that is alone in its cluster anew, of what can be read of "
        "it, and say what is lost. The old directory is kept beside the new one.",
    )
    parser.add_argument("dir", help="the node's data directory")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    options = parser.parse_args(arguments)
    path = Path(options.dir).resolve()
    new, scratch = path.with_name(path.name + ".repaired"), path.with_name(path.name + ".scratch")
    with opened(str(path)) as directory:
        for left in (new, scratch):
            if left.exists():
                raise UserError(f"redraft: {left} is in the way, perhaps of a repair that was broken off: remove it")
        try:
            _require_alone(directory, scratch)
            shutil.rmtree(scratch, ignore_errors=True)
            found = make_anew(directory, new, scratch)
            if found.is_whole:
                print(f"nothing in {path} is damaged: start the node")
                return 0
            print(_report(directory, found), end="")
            confirm(CONFIRMATION, yes=options.yes)
            kept = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
            path.rename(kept)
            new.rename(path)
            sync_directory(path.parent)
        finally:
            for left in (new, scratch):
                shutil.rmtree(left, ignore_errors=True)
    print(f"{path} has what is left; the old directory is {kept}")
    return 0


def _require_alone(directory: StoppedDirectory, scratch: Path) -> None:
    """Raises UserError for a node that has, or may have, others beside it."""
    path, node = directory.path, directory.identity.node_id
    if directory.installs_snapshot(FIRST_SHARD_GROUP):
        raise UserError(
            f"redraft: {path} was being filled from another node: it is not alone. Delete it, and join anew"
        )
    members = members_of(directory, scratch)
    if len(members) > 1:
        names = " ".join(map(str, sorted(members)))
        raise UserError(
            f"redraft: node {node} is one of the members {names}: it may not forget what it has acknowledged to them.\n"
            f"  The others have its data. Start a new node with --join, in an empty directory, and say\n"
            f"  redraft replace {node} NEW. If the majority is gone for good, see redraft recover."
        )


def _report(directory: StoppedDirectory, found: Found) -> str:
    lines = [f"node {directory.identity.node_id} of cluster {directory.identity.cluster_id}, {directory.path}"]
    lines += [f"damaged: {sentence}" for sentence in found.damage]
    lines += [_lost_keys(found, lost) for lost in found.lost_keys]
    for group, hole in found.lost_entries:
        which = f"entry {hole.first}" if hole.first == hole.last else f"entries {hole.first} to {hole.last}"
        lines.append(f"lost: group {group}'s {which}: {hole.reason}")
    lines.append(f"kept: {found.keys} keys as of entry {found.image_index}")
    lines += [
        f"kept: {count} entries of group {group}'s log, which ends with entry {last}"
        for group, (count, last) in found.entries.items()
    ]
    lines += [
        "",
        "What is kept behind a lost entry is executed on what is left without it.",
        "The old directory stays beside the new one, as it is.",
        "",
    ]
    return "\n".join(lines)


def _lost_keys(found: Found, lost: LostKeys) -> str:
    def named(key: bytes) -> str:
        database = found.databases.get(key[:4])
        return f"{quoted(key[4:])} of {'no database' if database is None else f'database {database}'}"

    if lost.key:
        return f"lost: the key {named(lost.key)}: {lost.reason}"
    after = f"behind {named(lost.after)}" if lost.after else "from the first"
    before = f"before {named(lost.before)}" if lost.before else "to the last"
    return f"lost: the image's keys {after} and {before}, as many as there were: {lost.reason}"
