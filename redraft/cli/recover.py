"""`redraft recover --dir DIR`: go on with one node when the majority of its cluster is gone for good.

Exit status: 0 it is done; 1 the directory cannot be used; 2 the command line is wrong, or it was not confirmed; 3 a
node is running there.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from redraft.cli.offline import confirm, members
from redraft.errors import DirectoryInUseError, UserError
from redraft.ids import FIRST_SHARD_GROUP
from redraft.server.recovery import Survivor, complete_recovery, look, recover
from redraft.server.shard_storage import complete_install
from redraft.storage.directory import DataDirectory, read_identity
from redraft.storage.image import Image
from redraft.storage.log_store import LogStore

CONFIRMATION = "recover"


def run(arguments: list[str]) -> int:
    """Run `redraft recover`; the exit status. Raises UserError, StorageError."""
    parser = argparse.ArgumentParser(
        prog="redraft recover",
        description="Make a stopped node a cluster of its own, with all that is in its log, when the majority of its "
        "cluster is gone for good. Writes that were acknowledged without it are lost.",
    )
    parser.add_argument("--dir", required=True, help="the node's data directory")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    options = parser.parse_args(arguments)
    path = Path(options.dir)
    if read_identity(path) is None:
        raise UserError(f"redraft: {path} is not a node's directory: it has no node.json")
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(DataDirectory(path))
        except DirectoryInUseError as error:
            raise UserError(f"redraft: {error}: stop the node first", exit_code=3) from error
        store = LogStore(directory.log_path)
        stack.callback(store.close)
        complete_install(directory.image_path(FIRST_SHARD_GROUP), store, FIRST_SHARD_GROUP)
        image = Image(directory.image_path(FIRST_SHARD_GROUP))
        stack.callback(image.close)
        if complete_recovery(directory, store, image):
            print("the recovery that was begun is complete")
        else:
            survivor = look(directory, store, image)
            if not survivor.last:
                raise UserError(f"redraft: the log of {path} is empty: there is nothing to recover")
            if survivor.is_alone:
                raise UserError(f"redraft: node {survivor.node} is the only member of its cluster already: start it")
            print(_warning(survivor, path), end="")
            confirm(CONFIRMATION, yes=options.yes)
            recover(directory, store, image)
        print(f"node {directory.identity.node_id} is a cluster of its own now, {directory.identity.cluster_id}")
        print("start it with the options that it had; new nodes come to it with --join HOST:PORT")
    return 0


def _warning(survivor: Survivor, path: Path) -> str:
    first_unknown = survivor.commit + 1
    lines = [
        f"node {survivor.node} of cluster {survivor.cluster_id}, {path}",
        f"  members: {members(survivor.conf)}",
        f"  its log ends with entry {survivor.last} of term {survivor.last_term};"
        f" up to entry {survivor.commit} it is known to be committed",
        "",
        "This makes it the only member of a new cluster that has everything in this log.",
        f"  * What the other nodes have acknowledged after entry {survivor.last} without this one is lost.",
    ]
    if first_unknown <= survivor.last:
        which = f"Entry {survivor.last}" if first_unknown == survivor.last else f"From entry {first_unknown} on, writes"
        lines.append(f"  * {which} may never have been acknowledged; now all of it counts.")
    if not survivor.conf.is_voter(survivor.node):
        lines.append("  * This node does not vote: acknowledged writes need not have been on it. A voter is better.")
    lines += [
        "  * If several nodes are left, recover only one: that whose log ends with the highest term, and of these",
        "    the one with the highest entry.",
        "  * The other nodes of the old cluster are refused from now on. Do not start them: together they might go",
        "    on as the old cluster. Delete their directories, and let new nodes join.",
        "",
    ]
    return "\n".join(lines)
