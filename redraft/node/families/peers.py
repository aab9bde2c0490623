"""REDRAFT PEER and PROOF: how another node opens a link (see node/links.py)."""

from __future__ import annotations

import logging
from typing import Any

from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.node.context import SessionContext
from redraft.node.links import NONCE_BYTES, OUTCAST, REFUSED, IncomingLink, answer_hello, is_proof
from redraft.resp.reply import OK

log = logging.getLogger("redraft.peers")


@command(
    "REDRAFT PEER", 7, "noscript loading stale no_auth no_multi admin", group="server", since="7.0.0", acl="admin",
    summary="Greet as another node of the cluster (nodes do it by themselves)",
)  # fmt: skip
def peer(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    if node.loading:
        raise CommandError(f"{REFUSED}it is loading")
    if node.settings.tls_cluster and not context.session.encrypted:
        raise CommandError(f"{REFUSED}it takes none but by TLS (tls-cluster)")
    nonce = node.random.randbytes(NONCE_BYTES)
    context.session.hello, reply = answer_hello(node.cluster, node.id, node.members.incarnation, argv[2:], nonce)
    return reply


@command(
    "REDRAFT PROOF", 6, "noscript loading stale no_auth no_multi admin", group="server", since="7.0.0", acl="admin",
    summary="Prove to know the cluster's secret, after PEER",
)  # fmt: skip
def proof(context: SessionContext, argv: list[bytes]) -> Any:
    node, session = context.node, context.session
    hello, session.hello = session.hello, None
    incarnation = argv[2].decode("latin-1")
    if hello is None or not is_proof(node.cluster, b"dials", incarnation, hello, argv[3]):
        log.warning("%s does not know the cluster's secret", session.address)
        raise CommandError(f"{REFUSED}it does not know the cluster's secret")
    refusal = node.members.refusal(hello.sender, incarnation)
    if refusal:
        log.warning("the node at %s is refused: %s", session.address, refusal)
        raise CommandError(OUTCAST + refusal)
    if argv[4] == b"FRAMES":
        node.members.heard[hello.sender] = argv[5].decode("latin-1")
        node.incoming.accept(session, IncomingLink(node, hello.sender))
    elif argv[4] == b"SNAPSHOT" and node.receive_snapshot is not None:
        session.link = node.receive_snapshot(session, hello.sender)
    else:
        raise CommandError(f"{REFUSED}it wants to send something unknown")
    return OK
