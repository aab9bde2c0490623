"""A new node asks a cluster to take it in, before its directory says who it is."""

from __future__ import annotations

import logging
import ssl

import trio

from redraft.addresses import split_address
from redraft.errors import UserError
from redraft.levels import NEWEST
from redraft.node.links import GreetingError, join_proof
from redraft.server.connection import Listener
from redraft.server.links import ask
from redraft.server.stream import connect
from redraft.settings import Settings
from redraft.storage.directory import FORMAT, NodeIdentity, new_incarnation

log = logging.getLogger("redraft.cluster")

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 0.5
PASSING = ("CLUSTERDOWN", "founded", "UNKNOWN", "LOADING", "closes")
"""Words of refusals that may not be the last word."""


def own_address(listeners: list[Listener], *, tls: bool) -> str:
    """HOST:PORT of the first TCP listener, of those for TLS where other nodes come to these; empty without one."""
    for listener in listeners:
        if not listener.unix and listener.tls == tls:
            host, port = listener.socket.getsockname()[:2]
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ""


async def ask_to_join(settings: Settings, address: str, context: ssl.SSLContext | None) -> NodeIdentity:
    """Have the cluster admit a node at `address`; who it is. Raises UserError when it is refused or nobody answers."""
    try:
        split_address(settings.join)
    except ValueError as error:
        raise UserError(f"redraft: join: {error}", exit_code=2) from None
    if not address or address.startswith(("0.0.0.0:", "[::]:")):
        raise UserError("redraft: other nodes need an address to reach this one at: say it with --announce-address")
    incarnation = new_incarnation()
    with trio.move_on_after(PATIENCE_SECONDS):
        while True:
            try:
                return await _ask_once(settings, address, incarnation, context)
            except GreetingError as error:
                text = str(error)
                if not any(word in text for word in PASSING):
                    raise UserError(
                        f"redraft: the cluster at {settings.join} does not take this node: {text}"
                    ) from error
                log.warning("the cluster at %s does not take this node yet: %s", settings.join, text)
            except OSError as error:
                log.warning("%s does not answer yet: %s", settings.join, error)
            await trio.sleep(PAUSE_SECONDS)
    raise UserError(f"redraft: the cluster at {settings.join} does not answer")


async def _ask_once(settings: Settings, address: str, incarnation: str, context: ssl.SSLContext | None) -> NodeIdentity:
    async with await connect(settings.join, context) as stream:
        if settings.requirepass:
            await ask(stream, b"AUTH", settings.requirepass)
        proof = join_proof(settings.cluster_secret, address, incarnation)
        reply = await ask(stream, b"REDRAFT", b"JOIN", address.encode(), incarnation.encode(), proof, b"%d" % NEWEST)
    if not isinstance(reply, list) or len(reply) != 4:
        raise GreetingError("it answers something else than a node does")
    number, cluster_id, first_voters, addresses = reply
    log.warning("the cluster has taken this node in as node %d", number)
    known = dict(zip(addresses[::2], [each.decode() for each in addresses[1::2]], strict=True))
    return NodeIdentity(FORMAT, number, cluster_id.decode(), first_voters, known, incarnation)
