"""Who a node is, when its directory does not say: the first of a new cluster, one of those that found it by a list, or
one that joins.

An empty directory may be new, or that of a node whose data is gone. Who founds by a list asks all of the list
(`node.founding`), and who joins is given a new name; a node alone can ask nobody. So where there is a `cluster-secret`,
other nodes are meant, and founding is said with `--bootstrap`: a command that is given again to an emptied directory
does not quietly make a second cluster at the address of a member of the first.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import trio

from redraft.addresses import split_address
from redraft.errors import UserError
from redraft.ids import NodeId
from redraft.server.certificates import Certificates
from redraft.server.joining import ask_to_join
from redraft.settings import Settings
from redraft.storage.directory import FORMAT, DataDirectory, NodeIdentity, new_incarnation, read_identity

log = logging.getLogger("redraft.cluster")


def open_directory(
    settings: Settings, members: dict[NodeId, str], address: str, certificates: Certificates
) -> DataDirectory:
    """The directory, with who this node is. Raises UserError, StorageError."""
    if [bool(members), bool(settings.join), settings.bootstrap].count(True) > 1:
        raise UserError(
            "redraft: initial-cluster and bootstrap found a cluster and join joins one: only one of them", exit_code=2
        )
    path = Path(settings.dir)
    known = read_identity(path)
    directory = None if known is None else DataDirectory(path)
    first = None
    if directory is None:
        first = _first(settings, members, address, certificates, None)
        directory = DataDirectory(path, first)
    elif directory.identity.founding:
        try:
            first = _first(settings, members, address, certificates, directory.identity)
            if first is not None:
                directory.begin_anew(first)
        except BaseException:
            directory.close()
            raise
    if known is not None and first is None and settings.join:
        log.warning("%s is of a node of a cluster already: %s is not asked", settings.dir, settings.join)
    if known is not None and settings.bootstrap:
        log.warning(
            "%s is of a node already: --bootstrap says nothing; leave it out, or an emptied directory will found a "
            "second cluster", settings.dir,
        )  # fmt: skip
    if settings.node_id and directory.identity.node_id != settings.node_id:
        directory.close()
        raise UserError(f"redraft: {settings.dir} belongs to node {directory.identity.node_id}, not {settings.node_id}")
    return directory


def _first(
    settings: Settings,
    members: dict[NodeId, str],
    address: str,
    certificates: Certificates,
    known: NodeIdentity | None,
) -> NodeIdentity | None:
    """Who a node is that has no data; None where the directory knows it, or draws it by itself. Raises UserError."""
    if settings.join:
        return trio.run(ask_to_join, settings, address, certificates.peer)
    if members:
        # All nodes of a new cluster find the same name for it, without asking each other.
        cluster_id = hashlib.sha1(settings.initial_cluster.encode()).hexdigest()
        if known is not None and known.cluster_id == cluster_id:
            return None
        addresses = {int(node): each for node, each in members.items()}
        return NodeIdentity(
            FORMAT, _founder(settings, members, address), cluster_id, sorted(members), addresses,
            incarnation=new_incarnation(), founding=len(members) > 1,
        )  # fmt: skip
    if known is None and settings.cluster_secret and not settings.bootstrap:
        raise UserError(
            f"redraft: {settings.dir} has no data: with --bootstrap this node is the first of a new cluster, with "
            "--join HOST:PORT it joins one. If it was of a cluster before, its data is gone: have it join, and take "
            "its old number out with redraft remove"
        )
    return None


def _founder(settings: Settings, members: dict[NodeId, str], address: str) -> NodeId:
    """Which node of a new cluster this one is: by its number, or else by its port. Raises UserError."""
    if settings.node_id:
        if NodeId(settings.node_id) not in members:
            raise UserError(f"redraft: initial-cluster has no node {settings.node_id}", exit_code=2)
        return NodeId(settings.node_id)
    here = [node for node, each in members.items() if each == address] or [
        node for node, each in members.items() if split_address(each)[1] == split_address(address)[1]
    ]
    if len(here) != 1:
        raise UserError("redraft: say with --node-id which node of initial-cluster this one is", exit_code=2)
    return here[0]
