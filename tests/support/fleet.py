"""Several worlds that are one cluster: the nodes above their sockets, with links that the test cuts.

Each node has a clock of its own, its log in memory (which it keeps when it is killed: what was written is synced), and
clients. Frames arrive at the next tick of their receiver, in order. `tick_all` is a round of all nodes.
"""

from __future__ import annotations

from redraft.ids import NodeId
from redraft.node.peers import decode_frame
from redraft.raft.messages import ConfState, SnapshotMeta
from support.world import Client, World

RAFT_TICK_MS = 50


class Fleet:
    """Nodes 1 to `size`; in the midst of a change of members from the `outgoing` ones, if there are any."""

    def __init__(self, size: int = 3, outgoing: tuple[int, ...] = (), **settings: object) -> None:
        conf = ConfState(voters=tuple(NodeId(n) for n in range(1, size + 1)), outgoing=tuple(map(NodeId, outgoing)))
        self.worlds: dict[NodeId, World] = {}
        for node in conf.voters:
            self.worlds[node] = World(seed=node, node_id=node, start=SnapshotMeta(conf=conf), **settings)
        self.cuts: set[tuple[NodeId, NodeId]] = set()
        """(sender, receiver) pairs whose link is cut."""
        self.down: set[NodeId] = set()
        self.frames: list[tuple[NodeId, NodeId, bytes]] = []
        for sender in self.worlds:
            self._introduce(sender)
            self._link_all(sender)

    def __getitem__(self, node: int) -> World:
        return self.worlds[NodeId(node)]

    def _introduce(self, node: NodeId) -> None:
        """Tell a node where all are."""
        members = self.worlds[node].node.members
        members.configured = {each: f"10.0.0.{each}:7000" for each in self.worlds}
        members.address_here = members.configured[node]

    def _link_all(self, sender: NodeId) -> None:
        for to in self.worlds:
            if to != sender and to not in self.down and (sender, to) not in self.cuts:
                self.worlds[sender].node.link_opened(to)

    # Rounds.

    def tick_all(self) -> None:
        """One tick of everybody, and the frames that they send."""
        frames, self.frames = self.frames, []
        for sender, to, data in frames:
            if to not in self.down and (sender, to) not in self.cuts:
                self.worlds[to].node.incoming.receive_frame(sender, decode_frame(data))
        for node, world in self.worlds.items():
            if node in self.down:
                continue
            world.tick()
            for to, data in world.frames:
                self.frames.append((node, to, data))
            world.frames.clear()

    def settle(self) -> None:
        """Until nobody says anything more."""
        for _ in range(1000):
            self.tick_all()
            if not self.frames and not any(
                world.wants_tick() for node, world in self.worlds.items() if node not in self.down
            ):
                return
        raise AssertionError("the nodes never come to rest")

    def pass_time(self, milliseconds: int, *, paused: tuple[int, ...] = ()) -> None:
        """Time passes for all; the Raft clock of those that are not paused ticks."""
        for _ in range(milliseconds // RAFT_TICK_MS):
            for node, world in self.worlds.items():
                world.clock.ns += RAFT_TICK_MS * 1_000_000
                if node not in self.down and node not in paused:
                    world.node.raft_tick()
            self.settle()

    def elect(self, node: int = 1) -> None:
        """Have a node lead, both groups."""
        self[node].node.config.raft.campaign()
        self[node].node.shard.raft.campaign()
        self.settle()
        self.pass_time(RAFT_TICK_MS)
        assert self[node].node.serves

    # Faults.

    def cut(self, *nodes: int) -> None:
        """Nobody of `nodes` and nobody else hear each other any more."""
        group = {NodeId(node) for node in nodes}
        for sender in self.worlds:
            for to in self.worlds:
                if (sender in group) != (to in group):
                    self._break(sender, to)

    def _break(self, sender: NodeId, to: NodeId) -> None:
        self.cuts.add((sender, to))
        self.worlds[sender].node.link_lost(to)
        self.worlds[to].node.incoming.hears_no_more(sender)

    def heal(self) -> None:
        """All links are back."""
        cuts, self.cuts = self.cuts, set()
        for sender, to in sorted(cuts):
            if sender not in self.down and to not in self.down:
                self.worlds[sender].node.link_opened(to)

    def kill(self, node: int) -> None:
        """A process is gone."""
        gone = NodeId(node)
        self.down.add(gone)
        self.frames = [frame for frame in self.frames if gone not in frame[:2]]
        for other, world in self.worlds.items():
            if other not in self.down:
                world.node.link_lost(gone)
                world.node.incoming.hears_no_more(gone)

    def start(self, node: int) -> None:
        """It is started again, with its disk."""
        back = NodeId(node)
        self.down.discard(back)
        self.worlds[back].restart()
        self._introduce(back)
        self._link_all(back)
        for other, world in self.worlds.items():
            if other not in self.down and other != back:
                world.node.link_opened(back)

    def leader(self) -> int:
        """Who serves."""
        serving = [node for node, world in self.worlds.items() if node not in self.down and world.node.serves]
        assert len(serving) == 1, f"serving: {serving}"
        return serving[0]


def say(fleet: Fleet, client: Client, *lines: str) -> list[object]:
    """Send commands, each a line of words, let the nodes come to rest, and read what was answered."""
    client.ask(*lines)
    fleet.settle()
    return client.replies()
