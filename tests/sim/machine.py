"""One machine: a process with the real node in it, and what that needs: ticks, fsyncs, jobs, Raft's clock, links.

It does what `server.reactor`, `server.app` and `server.persistence` do, in the same order; what they leave to the
operating system is an event here: when a tick comes after what wakes it, when an fsync ends, when a job has run. An
fsync is awaited inside the tick (`inline`), as on a fast disk, or ticks go on meanwhile. A paused process does nothing;
what comes for it waits in its sockets.

Time passes within a tick. Its steps (what a socket brought, what is applied, what is written, the end) are events of
their own when the work between them took time, or the process was stopped there: so other machines go on meanwhile, a
lease may run out in the middle, and what arrives meanwhile may be read by the same tick, as the reactor reads it.

Longer than most, since all of it is one state: which of a process's events waits for which other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import structs

from redraft.cluster.config_group import ConfigGroup
from redraft.errors import RedraftError, StorageError
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, GroupId, Index, NodeId
from redraft.levels import NEWEST
from redraft.node.jobs import Job
from redraft.node.links import Cluster as ClusterName
from redraft.node.links import Introduction
from redraft.node.node import Node, Persist, ShutdownRequest
from redraft.node.pace import raft_config
from redraft.node.session import Session
from redraft.raft.config import RaftConfig
from redraft.raft.errors import DivergedError
from redraft.raft.memory_storage import MemoryStorage
from redraft.raft.node import RaftNode
from redraft.settings import Settings
from sim.clocks import SimClock
from sim.dials import SECRET
from sim.disk import Disk, SimShardStorage
from sim.events import MS, Events
from sim.links import LinkKeeper
from sim.pulses import PulseKeeper
from sim.snapshots import SnapshotReceiver
from sim.watched import WallClocks, WatchedClocks, WatchedForwarding, WatchedPeers, WatchedReads, WatchedShard
from sim.wires import Connection, Network
from support.newer import commands_of

if TYPE_CHECKING:
    from sim.cluster import Cluster

WAKE_NS = 30_000
"""From what wakes the reactor to its tick."""
KEEP_PART = 0.05
"""At how many of Raft's ticks what others have promised is kept."""
MOST_SLICE_PAUSE_NS = 15 * MS


class Speeds(NamedTuple):
    """How long the machine's disk and threads take, ns: the least and the most."""

    fsync_ns: tuple[int, int] = (100_000, 2 * MS)
    job_ns: tuple[int, int] = (MS, 20 * MS)
    start_ns: tuple[int, int] = (20 * MS, 400 * MS)
    byte_ns: int = 0
    """And each byte of an entry, beside the fsync itself."""


class ServerEnd:
    """A connection that was made to this machine."""

    def __init__(self, machine: Machine, session: Session) -> None:
        self.machine = machine
        self.session = session
        self.connection: Connection
        self.closed = False

    def arrived(self, data: bytes) -> None:
        """Bytes have come."""
        self.machine.inbox.append((self, data))
        self.machine.wake()

    def ended(self) -> None:
        """The other end is gone."""
        self.machine.inbox.append((self, None))
        self.machine.wake()

    def take(self, data: bytes | None) -> None:
        """The reactor has read it."""
        if self.closed:
            return
        if data is None:
            self.machine.close(self, told=True)
        else:
            self.machine.node.receive(self.session, data)


class Machine:
    """A machine, up or down."""

    def __init__(self, cluster: Cluster, number: int, address: str, random: Random) -> None:
        self.cluster = cluster
        self.number = number
        self.address = address
        self.events: Events = cluster.events
        self.network: Network = cluster.network
        self.random = random
        self.disk = Disk(Random(random.getrandbits(64)))
        self.lost: Disk | None = None
        """What it had before it was wiped: what was promised is there."""
        self.clock = SimClock(self.events, 0, 0)
        self.speeds = Speeds()
        self.settings: dict[str, Any] = {}
        """Its own, which differ from the cluster's."""
        self.reads_anything = False
        """Whether it was ever told that reads by way of it need not be new."""
        self.level = NEWEST
        """The newest feature level that its version knows."""
        self.stamps_wall_time = False
        """Whether its version is one whose leaders go by their own wall clocks."""
        self.wake_ns = WAKE_NS
        self.node: Node
        self.up = False
        self.starting = False
        self.paused = False
        self.held_up = False
        """Whether it is paused, but for its pulse."""
        self.life = 0
        """Counts its processes, and how often it was down; what an earlier one has begun is nothing to a later one."""
        self.inbox: deque[tuple[Any, bytes | None]] = deque()
        self.why_down = ""
        self.forgotten: dict[GroupId, MemoryStorage] = {}
        """Its disk was put back: of each group the log that it had, until it is an ordinary member again."""
        self.outcast = False
        """It was told that it is of the cluster no more: nobody starts it again."""
        self.inline = False
        self.keeper: LinkKeeper
        self.pulse: PulseKeeper
        self.storage: SimShardStorage
        self.ends: dict[Session, ServerEnd] = {}
        self._tick_waits = False
        self._raft_ticks = False
        self._pending: list[Persist] = []
        self._synced = False
        self._in_tick = False
        self._awaits_fsync = False
        self._sync_waits = False
        """Whether the tick goes on after the fsync under way."""
        self._next: Callable[[], None] | None = None
        """What the tick does next, when its time has come; until then it works, or is stopped."""
        self._is_due = False
        """Whether that time came while the process was paused."""
        self._reading = 0
        """How many chunks of bytes this tick reads yet."""
        self.stall_part = 0.0
        """How many of the steps of its ticks take long."""
        self.stall_ns = 0
        """How long at most."""
        self.next_stall_ns = 0
        """One of the next steps will take so long."""
        self.slow_ns = 0
        """The next command takes so long."""
        self.command_ns = 0
        """How long every chunk of commands takes at most."""
        self._had_input = False
        self._next_raft_ns = 0
        self._background_waits = False
        self._timer_ns = 0
        self._sending: set[NodeId] = set()
        self._rafts: tuple[tuple[GroupId, RaftNode], ...] = ()
        self._jobs: dict[int, tuple[Job, bool]] = {}
        self.receiver: SnapshotReceiver | None = None
        """Those under way, and whether each has run."""

    @property
    def id(self) -> NodeId:
        """The node's, as its directory says."""
        assert self.disk.identity is not None
        return self.disk.identity.node

    @property
    def running(self) -> bool:
        """Whether its process does anything."""
        return self.up and not self.paused

    def works(self) -> None:
        """The node executes something: that takes time."""
        if self.slow_ns:
            self.clock.spend(self.slow_ns)
            self.slow_ns = 0
        elif self.command_ns:
            self.clock.spend(self.random.randint(0, self.command_ns))

    # Its life.

    def start(self, *, at_once: bool = False) -> None:
        """Start a process, which loads for a while first."""
        if self.up or self.starting:
            return
        self.starting = True
        self.life += 1
        delay_ns = 0 if at_once else self.random.randint(*self.speeds.start_ns)
        self.events.after(delay_ns, self._open, self.life)

    def _open(self, life: int) -> None:
        """As `server.app` does it."""
        if life != self.life:
            return
        self.starting = False
        self.clock.stand(still=False)
        self.clock = SimClock(self.events, self.clock.rate_ppm, self.clock.wall_offset_ms)
        settings = Settings(**{**self.cluster.settings, **self.settings})
        identity = self.disk.identity
        assert identity is not None
        disk = self.disk
        self.storage = SimShardStorage(disk)
        try:
            disk.begin_group(CONFIG_GROUP, identity.first_voters)
            disk.begin_group(FIRST_SHARD_GROUP, identity.first_voters)
            keyspace, applied = self.storage.load()
            random = Random(self.random.getrandbits(64))
            node = self.node = Node(settings, self.clock, random, commands_of(self.level))
            node.peers = WatchedPeers(self)
            node.clocks = WallClocks(node) if self.stamps_wall_time else WatchedClocks(self, node)
            forwarding = node.forwarding = WatchedForwarding(node)
            reads = node.reads = WatchedReads(node)
            config_of_raft = self._raft_config(settings)
            config = ConfigGroup(RaftNode(config_of_raft, disk.logs[CONFIG_GROUP], Index(0), random=random), self.level)
            raft = RaftNode(config_of_raft, disk.logs[FIRST_SHARD_GROUP], applied.index, applied.conf, random)
            node.cluster = ClusterName(identity.cluster_id, SECRET)
            node.door.introduction = Introduction(f"{self.number}/{self.life}")
            members = node.members
            members.first_known = dict(identity.addresses)
            members.address_here = self.address
            members.incarnation = identity.incarnation
            members.met = dict(disk.met)
            members.remember = disk.met.__setitem__
            node.memory.read(disk.lives, disk.promises)
            node.memory.keep_lives = disk.keep_lives
            if identity.founding:
                node.founding.begin((each for each in identity.first_voters if each != identity.node), disk.founded)
            node.memory.keep_others = disk.keep_promises
            shard = WatchedShard(
                self, forwarding, reads, raft, keyspace, applied, node.table, self.clock.monotonic_ns, random
            )  # fmt: skip
            node.start(config, shard, self.storage)
            self._rafts = (CONFIG_GROUP, config.raft), (FIRST_SHARD_GROUP, raft)
            node.reload = lambda: self.storage.load()[0]
            node.receive_snapshot = lambda session, peer: SnapshotReceiver(self, session, peer)
            self.up = True
            self.inbox = deque()
            self.ends = {}
            self._tick_waits = self._raft_ticks = self._in_tick = self._synced = False
            self._awaits_fsync = self._sync_waits = self._is_due = False
            self._next = None
            self._pending = []
            self._sending = set()
            self._jobs = {}
            self.receiver = None
            self._timer_ns = 0
            self._background_waits = False
            self.inline = self.random.random() < 0.5
            self.keeper = LinkKeeper(self)
            self.pulse = PulseKeeper(self)
            self.cluster.opened(self)
            for each in (config.raft, raft):
                if each.is_alone:
                    each.campaign()
            self._settle()
            node.serve()
            self._settle()
        except StorageError as error:
            self.fail(error)
            return
        self.clock.take_spent()
        self._next_raft_ns = self.clock.monotonic_ns() + self.random.randint(0, settings.heartbeat_interval * MS)
        self._ask_raft_tick()
        self.keeper.look()
        self.wake()
        self.cluster.changed(self)

    def wipe(self) -> None:
        """All is lost; its old command makes the node a founder again, if it was one."""
        identity = self.disk.identity
        assert identity is not None
        assert not self.up
        assert not self.starting
        self.lost = self.lost or self.disk
        self.disk = Disk(Random(self.random.getrandbits(64)))
        self.disk.identity = identity._replace(
            incarnation=identity.incarnation + "-again", founding=self.number in identity.first_voters
        )

    def unwipe(self) -> None:
        """What was lost is found again, and the machine started on it."""
        if self.lost is not None:
            self.kill()
            self.disk, self.lost, self.outcast = self.lost, None, False
            self.start()

    def _raft_config(self, settings: Settings) -> RaftConfig:
        return structs.replace(raft_config(settings, self.id), **self.cluster.raft_options)

    def _settle(self) -> None:
        while persists := self.node.collect():
            self.disk.write([(group, ready.hard_state, ready.entries) for group, _, ready in persists])
            self.disk.sync()
            self.node.persisted(persists)

    def kill(self, *, power: bool = False) -> None:
        """The process is gone, or the machine's power."""
        if not self.up and not self.starting:
            return
        self._down("power lost" if power else "killed", power=power)
        if power:
            self.disk.power_lost()
        else:
            self.disk.killed()

    def _down(self, why: str, *, power: bool = False) -> None:
        self.life += 1
        was_up, self.up, self.starting, self.paused, self.held_up = self.up, False, False, False, False
        self.why_down = why
        self.inbox.clear()
        if was_up:
            for connection in list(self.network.connections):
                for near, wire in ((True, connection.wires[0]), (False, connection.wires[1])):
                    if wire.sender == self.number and connection.wires[1 if near else 0].end is not None:
                        connection.crashed(near=near, power=power)
            self.cluster.closed(self)

    def fail(self, error: RedraftError, *, told: bool = False) -> None:
        """The disk refuses, or the node was told not to go on: the process ends. It must not end for anything else,
        such as what a client has sent."""
        if isinstance(error, DivergedError) and self.cluster.invariants.acknowledged_is_durable:
            raise AssertionError(f"node {self.id} has a wrong past: {error}") from error
        if not self.disk.fails and not told and not isinstance(error, DivergedError):
            raise AssertionError(f"node {self.id} stops, and nothing was done to it: {error}") from error
        self.cluster.tell(self, f"stops: {error}")
        failed = self.disk.fails
        self._down(f"stopped: {error}")
        if failed:
            self.disk.power_lost()
        else:
            self.disk.killed()

    def stop(self) -> None:
        """Ask it to stop (SIGTERM)."""
        if self.up:
            self.node.shutdown_requested = ShutdownRequest(flush=self.random.random() < 0.5, force=False, session=None)
            self.wake()

    def _stop_now(self) -> None:
        """Stop in order: what was asked is durable and answered."""
        node = self.node
        # What was committed just now may be gone from the log when it has stopped.
        self.cluster.changed(self)
        try:
            for job, has_run in self._jobs.values():
                if not has_run:
                    job.run()
                job.done()
            if node.shutdown_requested is None or node.shutdown_requested.flush:
                node.flusher.run_to_end()
            self.disk.sync()
        except StorageError as error:
            self.fail(error)
            return
        self._down("stopped")
        self.disk.killed()

    def pause(self) -> None:
        """The machine does nothing, its pulse least of all."""
        self.paused = True

    def hold_up(self) -> None:
        """The main thread is busy with something long; the pulse goes on."""
        self.paused = self.held_up = True

    def resume(self) -> None:
        """It goes on: what has come meanwhile is there at once, and is read before Raft's clock ticks."""
        if not self.paused:
            return
        self.paused = self.held_up = False
        if not self.up:
            return
        if self._in_tick:
            if self._awaits_fsync and self._synced:
                self.events.after(WAKE_NS, self._go_on, self.life)
            elif self._is_due:
                self.events.after(WAKE_NS, self._proceed, self.life)
            return
        self.events.after(WAKE_NS, self._tick, self.life)
        self._tick_waits = True

    # Connections.

    def accept(self, sender: int, near: Any) -> Connection:
        """Somebody connects; the process has a session for it."""
        session = self.node.open_session(f"10.0.0.{sender}:{40_000 + len(self.ends)}", self.address)
        end = ServerEnd(self, session)
        end.connection = self.network.connect(sender, self.number, near, end)
        self.ends[session] = end
        return end.connection

    def close(self, end: ServerEnd, *, told: bool = False) -> None:
        """A connection ends, whoever ended it."""
        if end.closed:
            return
        end.closed = True
        del self.ends[end.session]
        if told:
            end.connection.wires[0].end = None
        end.connection.close(near=False)
        self.node.close_session(end.session)

    # Ticks.

    def wake(self) -> None:
        """Have a tick run soon."""
        if not self._tick_waits and self.up and not self.paused:
            self._tick_waits = True
            self.events.after(self.wake_ns, self._tick, self.life)

    def _tick(self, life: int) -> None:
        """What the reactor does at a wake-up."""
        if life != self.life:
            return
        self._tick_waits = False
        if self.paused or self._in_tick:
            return
        self._in_tick = True
        self._had_input = bool(self.inbox)
        self._reading = len(self.inbox)
        self._do(self._begin)

    def _do(self, step: Callable[[], None]) -> None:
        """Do one or more of the steps of a tick."""
        self.cluster.before(self)
        try:
            step()
        except (StorageError, DivergedError) as error:
            self.fail(error)
        self.cluster.changed(self)
        if self.up and not self._in_tick and (self.inbox or self._raft_ticks or (self._pending and self._synced)):
            self.wake()

    def _takes_time(self, step: Callable[[], None]) -> bool:
        """Whether the last step took time, or the process was stopped after it: then `step` comes later."""
        spent_ns = self.clock.take_spent()
        if self.stall_part and self.random.random() < self.stall_part:
            spent_ns += int(self.random.random() ** 2 * self.stall_ns)
        if self.next_stall_ns and self.random.random() < 0.3:
            spent_ns += self.next_stall_ns
            self.next_stall_ns = 0
        if not spent_ns:
            return False
        self._next = step
        self.events.after(spent_ns, self._proceed, self.life)
        return True

    def _catch_up(self) -> None:
        """What was done between two ticks took time: nothing else is done until that has passed."""
        spent_ns = self.clock.take_spent()
        if spent_ns and self.up and not self._in_tick:
            self._in_tick = True
            self._next = self._idle
            self.events.after(spent_ns, self._proceed, self.life)

    def _idle(self) -> None:
        self._in_tick = False

    def _proceed(self, life: int) -> None:
        """The tick goes on."""
        if life != self.life or self._next is None:
            return
        self._is_due = self.paused
        if not self.paused:
            step, self._next = self._next, None
            self._do(step)

    def _begin(self) -> None:
        self.node.begin_tick()
        if not self._takes_time(self._read):
            self._read()

    def _read(self) -> None:
        """Read what has come; of what comes meanwhile some is read too (a socket's later bytes are read with the
        earlier ones, and a tick that has something to persist looks again)."""
        while self.inbox:
            if not self._reading:
                # Before Raft's clock ticks, all that others have sent is read.
                if not self._raft_ticks and not self.node.has_writes() and self.random.random() < 0.5:
                    break
                self._reading = len(self.inbox)
            self._reading -= 1
            end, data = self.inbox.popleft()
            end.take(data)
            if not self.up:
                return
            if self._takes_time(self._read):
                return
        if self._raft_ticks:
            self._raft_tick()
            if not self.up or self._takes_time(self._persist):
                return
        self._persist()

    def _persist(self) -> None:
        if self._pending:
            if not self._synced:
                self.node.speak()
                self._end_tick()
                return
            persists, self._pending, self._synced = self._pending, [], False
            self.node.persisted(persists)
            if self._takes_time(self._collect):
                return
        self._collect()

    def _collect(self) -> None:
        persists = self.node.collect(entries_first=self.inline)
        step = partial(self._write, persists) if persists else self._end_tick
        if not self._takes_time(step):
            step()

    def _write(self, persists: list[Persist]) -> None:
        self._send_frames()
        self.disk.write([(group, ready.hard_state, ready.entries) for group, _, ready in persists])
        appendfsync = str(self.node.settings.appendfsync)
        if not any(persist.needs_fsync(appendfsync) for persist in persists):
            if appendfsync == "everysec" and not self._sync_waits:
                self._sync_waits = True
                self.events.after(self.random.randint(MS, 1000 * MS), self._sync_each_second, self.life)
            self.node.persisted(persists)
            if not self._takes_time(self._collect):
                self._collect()
            return
        self._pending = persists
        takes_ns = self.random.randint(*self.speeds.fsync_ns)
        takes_ns += self.speeds.byte_ns * sum(len(each.data) for _, _, ready in persists for each in ready.entries)
        self.events.after(takes_ns, self._fsynced, (self.life, self.disk.mark()))
        if self.inline:
            self._awaits_fsync = True
        else:
            self._end_tick()

    def _sync_each_second(self, life: int) -> None:
        """What `everysec` has left to the operating system."""
        if life != self.life:
            return
        self._sync_waits = False
        try:
            self.disk.sync()
        except StorageError as error:
            self.fail(error)

    def _fsynced(self, what: tuple[int, int]) -> None:
        """The fsync under way ends."""
        life, mark = what
        if life != self.life:
            return
        try:
            self.disk.sync(min(mark, self.disk.mark()))
            self._synced = True
        except StorageError as error:
            self.fail(error)
            return
        if not self.paused:
            self._go_on(life)

    def _go_on(self, life: int) -> None:
        """An fsync has ended, and the process runs."""
        if life != self.life or self.paused:
            return
        if self._awaits_fsync:
            self._awaits_fsync = False
            self._do(self._persist)
        elif not self._in_tick:
            self.wake()

    def _end_tick(self) -> None:
        self._in_tick = False
        node = self.node
        node.end_tick(idle=not self._had_input)
        self._send_frames()
        node.liveness.progressed()
        self._send_replies()
        while (job := node.jobs.take()) is not None:
            self._jobs[id(job)] = (job, False)
            self.events.after(self.random.randint(*self.speeds.job_ns), self._run_job, (self.life, job))
        while node.wanting_snapshot:
            peer = node.wanting_snapshot.pop()
            if peer not in self._sending:
                self._sending.add(peer)
                self.keeper.send_snapshot(peer, partial(self._sending.discard, peer))
        if node.shutdown_requested is not None and node.stopping.may_stop() and not self._pending:
            self._stop_now()
            return
        if node.has_writes() and not self._pending:
            self.wake()
        elif node.wants_tick() and not self._background_waits:
            # What is left is a flush: slices of it are far apart, as on a large keyspace, and other ticks come between.
            self._background_waits = True
            self.events.after(self.random.randint(MS, MOST_SLICE_PAUSE_NS), self._background, self.life)
        deadline_ns = node.timers.next_ns()
        if deadline_ns is not None and deadline_ns != self._timer_ns:
            self._timer_ns = deadline_ns
            self.events.at(self.clock.true_ns(deadline_ns), self._timer, self.life)

    def _background(self, life: int) -> None:
        if life == self.life:
            self._background_waits = False
            self.wake()

    def _timer(self, life: int) -> None:
        if life == self.life:
            self._timer_ns = 0
            self.wake()

    def _send_frames(self) -> None:
        for peer, frame in self.node.take_frames():
            self.events.note(frame)
            self.keeper.send(peer, frame)
            if self.cluster.on_frame is not None:
                self.cluster.on_frame(self.id, peer, frame)

    def _send_replies(self) -> None:
        node = self.node
        while node.outgoing:
            sessions, node.outgoing = node.outgoing, {}
            for session in sessions:
                end = self.ends.get(session)
                if end is None:
                    continue
                if session.out:
                    data = b"".join(session.out)
                    session.out.clear()
                    self.events.note(data)
                    end.connection.send(near=False, data=data)
                done = session.close_after_reply and session.blocked is None and not session.segments
                if session.killed or done:
                    self.close(end)

    # Jobs.

    def _run_job(self, what: tuple[int, Job]) -> None:
        life, job = what
        if life != self.life:
            return
        try:
            job.run()
        except StorageError as error:
            self.fail(error)
            return
        self._jobs[id(job)] = (job, True)
        self.events.after(self.random.randint(10_000, MS), self._job_done, what)

    def _job_done(self, what: tuple[int, Job]) -> None:
        life, job = what
        if life != self.life:
            return
        if self.paused or self._in_tick:
            self.events.after(MS, self._job_done, what)
            return
        self.cluster.before(self)
        del self._jobs[id(job)]
        try:
            job.done()
        except StorageError as error:
            self.fail(error)
            return
        self.cluster.changed(self)
        self._catch_up()
        self.wake()

    def later(self, delay_ns: int, do: Callable[[], None]) -> None:
        """Have something done after a time of this machine's clock, if its process lives and is not paused then."""
        at_ns = self.clock.true_ns(self.clock.monotonic_ns() + delay_ns)
        self.events.at(at_ns, self._do_later, (self.life, do))

    def _do_later(self, what: tuple[int, Callable[[], None]]) -> None:
        life, do = what
        if life != self.life:
            return
        if self.paused or self._in_tick:
            self.events.after(MS, self._do_later, what)
            return
        do()
        self._catch_up()
        self.wake()

    # Raft's clock.

    def next_heartbeat_ns(self) -> int:
        """When Raft's clock ticks next, in true time."""
        return self.clock.true_ns(self._next_raft_ns)

    def _ask_raft_tick(self) -> None:
        self.events.at(self.clock.true_ns(self._next_raft_ns), self._raft_tick_is_due, self.life)

    def _raft_tick_is_due(self, life: int) -> None:
        """Raft's clock ticks; the node hears of it when it has read what others have sent."""
        if life == self.life:
            self._raft_ticks = True
            self.wake()

    def _raft_tick(self) -> None:
        """Raft's clock. After a pause it goes on from there: what was missed is not made up for."""
        self._raft_ticks = False
        node = self.node
        node.raft_tick()
        self._next_raft_ns = self.clock.monotonic_ns() + node.settings.heartbeat_interval * MS
        self._ask_raft_tick()
        self.keeper.look()
        if self.random.random() < KEEP_PART and (promises := node.memory.take_unsaved()) is not None:
            self.disk.promises = promises
        if node.members.was_removed():
            self.outcast = True
            self.cluster.tell(self, "was removed from the cluster: it stops")
            self._stop_now()

    def put_back(self, put_back: Callable[[], None]) -> None:
        """The power fails, and the disk is an older copy of itself then."""
        self.kill(power=True)
        self.forgotten = dict(self.disk.durable)
        put_back()

    def forgets(self) -> bool:
        """Whether its disk was put back, and it has not caught up since."""
        if self.forgotten and self.up:
            whole = [not raft.forgetful and self._has_caught_up(group) for group, raft in self._rafts]
            if all(whole):
                self.forgotten = {}
        return bool(self.forgotten)

    def _has_caught_up(self, group: GroupId) -> bool:
        had, has = self.forgotten[group], self.disk.durable[group]
        ends = [(log.term(log.last_index()), log.last_index()) for log in (has, had)]
        return has.hard_state.term >= had.hard_state.term and ends[0] >= ends[1]

    def rafts(self) -> tuple[tuple[GroupId, RaftNode], ...]:
        """The members of its groups."""
        return self._rafts
