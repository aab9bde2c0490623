"""REDRAFT PEER and PROOF: how another node opens a link (see node/links.py)."""

from __future__ import annotations

import logging
from typing import Any

from redraft.commands.table import command
from redraft.errors import CommandError
from redraft.levels import INTRODUCTIONS
from redraft.node.context import SessionContext
from redraft.node.links import NONCE_BYTES, REFUSED, Answerer, answer_hello, is_proof

log = logging.getLogger("redraft.peers")


@command(
    "REDRAFT PEER", -7, "noscript loading stale no_auth no_multi admin", group="server", since="7.0.0", acl="admin",
    summary="Greet as another node of the cluster (nodes do it by themselves)",
)  # fmt: skip
def peer(context: SessionContext, argv: list[bytes]) -> Any:
    node = context.node
    if node.loading:
        raise CommandError(f"{REFUSED}it is loading")
    if node.settings.tls_cluster and not context.session.encrypted:
        raise CommandError(f"{REFUSED}it takes none but by TLS (tls-cluster)")
    nonce = node.random.randbytes(NONCE_BYTES)
    if argv[3].decode("latin-1") != node.cluster.id:
        node.door.foreign(context.session, argv[3])
    takes_older = node.config.table.level < INTRODUCTIONS
    own = Answerer(node.cluster, node.id, node.members.incarnation, node.door.introduction, takes_older)
    hello, reply = answer_hello(own, argv[2:], nonce)
    context.session.hello = hello._replace(at=node.door.now, at_ns=node.clock.monotonic_ns())
    return reply


@command(
    "REDRAFT PROOF", 6, "noscript loading stale no_auth no_multi admin", group="server", since="7.0.0", acl="admin",
    summary="Prove to know the cluster's secret, after PEER",
)  # fmt: skip
def proof(context: SessionContext, argv: list[bytes]) -> Any:
    node, session = context.node, context.session
    hello, session.hello = session.hello, None
    incarnation = argv[2].decode("latin-1")
    if hello is None or not is_proof(node.cluster, b"dials", incarnation, hello, hello.introduction, argv[3]):
        log.warning("%s does not know the cluster's secret", session.address)
        raise CommandError(f"{REFUSED}it does not know the cluster's secret (without cluster-secret: the password)")
    return node.door.proved(session, hello, incarnation, argv[4], argv[5].decode("latin-1"))
