"""A network for nodes: each in a namespace of its own on one bridge, so that any of them can be cut off from any other.

A cut is a blackhole route in the sender's namespace: what goes one way is dropped, and nobody is told. Trouble (packets
lost and late) is a road through this process (`relay`) for all that nodes send each other. Clients are in
the namespace that this process is in, and reach every node whatever is cut. Where namespaces cannot be made (it takes
root and iproute2) all nodes are on 127.0.0.1, and nothing can be cut.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import permutations

from chaos.relay import DEVICE, TUN, Relay
from support.processes import free_port


class NoCutsError(Exception):
    """Nothing can be cut here."""


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Network:
    """Places for nodes, by their ids."""

    can_cut = False
    can_trouble = False

    def __init__(self) -> None:
        self._ports: dict[int, int] = {}

    def place(self, node: int) -> tuple[str, int]:
        """The address of a node; it is made when it is asked for first."""
        if node not in self._ports:
            self._ports[node] = free_port()
        return "127.0.0.1", self._ports[node]

    def command(self, node: int) -> list[str]:
        """What a node's command line begins with."""
        return []

    def cut(self, sender: int, receiver: int) -> None:
        """What a node sends another is lost from now on. Raises NoCutsError."""
        raise NoCutsError

    def trouble(self, nodes: list[int], loss: float, least_ms: float, most_ms: float) -> None:
        """Of what some nodes send each other a share is lost from now on, and the rest is late. Raises NoCutsError."""
        raise NoCutsError

    def heal(self) -> None:
        """Nothing is cut any more, nor lost, nor late."""

    def close(self) -> None:
        """Take everything away that was made."""


class NamespaceNetwork(Network):
    """See the module. `number` makes the names of two of them on one machine differ."""

    can_cut = True
    PORT = 6379

    def __init__(self, number: int = os.getpid()) -> None:
        super().__init__()
        self._name = f"rd{number % 100_000}"
        self._subnet = f"10.{64 + number % 64}.{number // 64 % 256}"
        self._nodes: set[int] = set()
        self._cuts: set[tuple[int, int]] = set()
        self._roads: set[tuple[int, int]] = set()
        """Pairs whose packets go through the relay."""
        self._relay = Relay() if TUN.exists() else None
        _ip("link", "add", self._name, "type", "bridge")
        try:
            _ip("addr", "add", f"{self._subnet}.254/24", "dev", self._name)
            _ip("link", "set", self._name, "up")
        except subprocess.CalledProcessError:
            self.close()
            raise

    def _namespace(self, node: int) -> str:
        return f"{self._name}-{node}"

    def _address(self, node: int) -> str:
        return f"{self._subnet}.{node}"

    def place(self, node: int) -> tuple[str, int]:
        if node not in self._nodes:
            self._nodes.add(node)
            namespace, inner, outer = self._namespace(node), f"{self._name}i{node}", f"{self._name}o{node}"
            _ip("netns", "add", namespace)
            _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
            _ip("link", "set", inner, "netns", namespace)
            _ip("link", "set", outer, "master", self._name, "up")
            _ip("-n", namespace, "addr", "add", f"{self._address(node)}/24", "dev", inner)
            _ip("-n", namespace, "link", "set", inner, "up")
            _ip("-n", namespace, "link", "set", "lo", "up")
            self._add_to_relay(node)
        return self._address(node), self.PORT

    def _add_to_relay(self, node: int) -> None:
        if self._relay is None:
            return
        try:
            self._relay.add(self._namespace(node), self._address(node))
            _ip("-n", self._namespace(node), "link", "set", DEVICE, "up")
        except (OSError, subprocess.CalledProcessError):
            # A machine may have the file of TUN devices, and not allow any.
            self._relay.close()
            self._relay = None

    def command(self, node: int) -> list[str]:
        self.place(node)
        return ["ip", "netns", "exec", self._namespace(node)]

    def cut(self, sender: int, receiver: int) -> None:
        if (sender, receiver) not in self._cuts:
            self._cuts.add((sender, receiver))
            _ip("-n", self._namespace(sender), "route", "add", "blackhole", f"{self._address(receiver)}/32")

    @property
    def can_trouble(self) -> bool:  # type: ignore[override]
        return self._relay is not None

    def trouble(self, nodes: list[int], loss: float, least_ms: float, most_ms: float) -> None:
        if self._relay is None:
            raise NoCutsError
        self._relay.set_trouble(loss, least_ms, most_ms)
        for sender, receiver in permutations(nodes, 2):
            self._roads.add((sender, receiver))
            _ip("-n", self._namespace(sender), "route", "add", *self._road(sender, receiver))

    def _road(self, sender: int, receiver: int) -> list[str]:
        return [f"{self._address(receiver)}/32", "dev", DEVICE, "src", self._address(sender)]

    def heal(self) -> None:
        for sender, receiver in sorted(self._roads):
            _ip("-n", self._namespace(sender), "route", "del", *self._road(sender, receiver))
        self._roads.clear()
        for sender, receiver in sorted(self._cuts):
            _ip("-n", self._namespace(sender), "route", "del", "blackhole", f"{self._address(receiver)}/32")
        self._cuts.clear()

    def close(self) -> None:
        if self._relay is not None:
            self._relay.close()
            self._relay = None
        for node in sorted(self._nodes):
            subprocess.run(["ip", "netns", "del", self._namespace(node)], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._name], check=False, capture_output=True)


def make_network() -> Network:
    """The best that this machine allows."""
    if os.geteuid() == 0 and shutil.which("ip"):
        try:
            return NamespaceNetwork()
        except subprocess.CalledProcessError:
            pass
    return Network()


def between(one: set[int], other: set[int]) -> list[tuple[int, int]]:
    """The directions of a cut between two parts, both ways."""
    return [pair for pair in permutations(sorted(one | other), 2) if (pair[0] in one) != (pair[1] in one)]
