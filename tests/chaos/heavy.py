"""What is heavy and no fault: large values, commands that take long, floods.

No node may lose anything by it, and none may end; what it costs the other clients is seen in the report.
"""

from __future__ import annotations

import random
import socket
from contextlib import suppress

from chaos.nodes import Nodes
from support.processes import ReplyError

LARGE_BYTES = 32 << 20
LARGE_SECONDS = 60.0
MEMBERS = 200_000
"""Of a set whose commands take about a second."""
PINGS = 100_000
JUNK_BYTES = 500_000
FLOOD_SECONDS = 5.0
SOUND = ("UNKNOWN", "CLUSTERDOWN", "OOM")
"""How the errors begin that a client may be answered."""


class Heavy:
    """Heavy commands to one cluster."""

    def __init__(self, nodes: Nodes, random_: random.Random, findings: list[str]) -> None:
        self._nodes = nodes
        self._random = random_
        self._findings = findings

    def large(self, node: int) -> str:
        """A value of 32 MB is written by way of a node, read by way of another, and deleted."""
        value = self._random.randbytes(1024).hex() * (LARGE_BYTES // 2048)
        wrote = self._ask(node, "SET", "large", value)
        other = self._random.choice(self._nodes.ids)
        size = self._ask(other, "STRLEN", "large")
        if wrote == b"OK" and isinstance(size, int) and size != LARGE_BYTES:
            self._findings.append(f"a value of {LARGE_BYTES} bytes was stored, and has {size}")
        self._ask(node, "DEL", "large")
        return f"by way of node {node}: {wrote!r}, {size!r}"

    def slow(self, node: int) -> str:
        """Commands that keep a node's main thread for a second: a large SADD, SORT of it, KEYS."""
        added = self._ask(node, "SADD", "crowd", *[str(number) for number in range(MEMBERS)])
        self._ask(node, "SORT", "crowd", "ALPHA", "LIMIT", "0", "10")
        self._ask(node, "KEYS", "*")
        self._ask(node, "DEL", "crowd")
        return f"node {node}: {added!r}"

    def flood(self, node: int) -> str:
        """A client sends a hundred thousand PINGs and reads nothing; another half a megabyte of what is no command."""
        place = self._nodes.places[node]
        for data in (b"*1\r\n$4\r\nPING\r\n" * PINGS, b"x\n" * (JUNK_BYTES // 2)):
            with suppress(OSError), socket.create_connection(place, FLOOD_SECONDS) as connection:
                connection.settimeout(FLOOD_SECONDS)
                connection.sendall(data)
        return f"node {node}"

    def _ask(self, node: int, *words: str) -> object:
        reply = self._nodes.ask(node, *words, seconds=LARGE_SECONDS)
        if isinstance(reply, ReplyError) and not str(reply).startswith(SOUND):
            self._findings.append(f"node {node} answers {words[0]} with {reply}")
        return reply
