"""A node above its sockets: what a tick does, in order.

Theory (design section 2). The server calls, at each wake-up: `begin_tick`; `receive` for every chunk of bytes that
came in; then, as long as `collect` returns something to persist, persists it and calls `persisted`; then `end_tick`;
and sends what stands in `outgoing`. A simulator does the same with time and disk of its own making. While a persist
is under way in another thread the server skips `collect`, so writes gather into the next entry: group commit comes
from nothing else.

Nothing here waits, reads a clock that was not handed in, or touches a file. What takes a disk's time is a *job*: the
server runs it in a thread and calls its end back on the node's own thread.

The file is longer than most: the tick is one sequence, and the sessions that it serves are opened and closed here.

Invariants (`check`): every session with ready replies is in `outgoing`; `plain` is true exactly while no command
needs the long road because of the node's state.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from redraft.clock import Clock
from redraft.cluster.config_group import ConfigGroup
from redraft.commands.objects import EVICTION
from redraft.commands.table import CommandTable
from redraft.errors import CommandError, DamagedDataError
from redraft.ids import GroupId, Index, NodeId
from redraft.keyspace.keyspace import Keyspace
from redraft.node.away import Away
from redraft.node.blocking import Blocking, Taker
from redraft.node.clocks import Clocks
from redraft.node.config_changes import ConfigChanges
from redraft.node.context import NO_REPLY
from redraft.node.door import Door
from redraft.node.flusher import Flusher, ShardStorage
from redraft.node.forwarding import Forwarding
from redraft.node.founding import Founding
from redraft.node.guests import Guests
from redraft.node.incoming import Incoming
from redraft.node.jobs import Jobs
from redraft.node.leadership import Leadership
from redraft.node.links import Cluster, Link
from redraft.node.liveness import Liveness
from redraft.node.members import Members
from redraft.node.membership import Membership
from redraft.node.memory import Memory
from redraft.node.observer import Observer
from redraft.node.pace import Pace
from redraft.node.pause import Pause
from redraft.node.peers import Peers
from redraft.node.process import NoProcess, ProcessFacts
from redraft.node.reads import Reads
from redraft.node.reaper import Reaper
from redraft.node.redirect import Redirect
from redraft.node.router import Router
from redraft.node.session import Blocked, Session
from redraft.node.statistics import NodeStatistics
from redraft.node.stopping import Stopping
from redraft.node.timers import Timers
from redraft.node.turns import SMALL_CHUNK_BYTES, Turns
from redraft.node.waits import Waits
from redraft.node.watches import Watches
from redraft.raft.messages import SnapshotMeta
from redraft.raft.node import RaftNode
from redraft.raft.ready import Ready
from redraft.resp.encoder import ENCODED_OK, encode_all
from redraft.resp.parser import Limits as ParserLimits
from redraft.resp.parser import RequestParser
from redraft.resp.reply import OK
from redraft.settings import Settings
from redraft.shard.shard import Outcome, Shard
from redraft.values.thresholds import Thresholds

log = logging.getLogger("redraft.node")

QUIET_NS = 20_000_000
"""So long after the last input new keys are put in order, if nobody has asked for them before."""
SETTLE_NS = 1_000_000
"""What a tick gives to that."""
SETTLE_KEYS = 32


class Persist(NamedTuple):
    """A group's Ready to be made durable before `persisted` is called with it."""

    group: GroupId
    raft: RaftNode
    ready: Ready

    def needs_fsync(self, appendfsync: str) -> bool:
        """Whether an fsync must come before `persisted`. By `everysec` and `no` a power cut may lose what was
        acknowledged, but never a term or a vote."""
        return appendfsync == "always" or self.ready.changes_vote


class Node:
    """One node. All methods are called from one thread."""

    config: ConfigGroup
    shard: Shard
    blocking: Blocking
    flusher: Flusher
    pace: Pace
    watches: Watches

    def __init__(self, settings: Settings, clock: Clock, random: Random, table: CommandTable) -> None:
        self.settings = settings
        self.clock = clock
        self.random = random
        self.table = CommandTable(table)
        self.router = Router(self)
        self.turns = Turns(self)
        self.sessions: dict[int, Session] = {}
        self._woken: dict[Session, None] = {}
        """Sessions that are not blocked any more, and are to go on, in order."""
        self.outgoing: dict[Session, None] = {}
        """Sessions with something ready to be sent, or to be closed, in order (a dict, since a set has no order)."""
        self.timers = Timers()
        self.jobs = Jobs()
        self.statistics = NodeStatistics()
        self.observer = Observer(self)
        self.pause = Pause(self)
        self.loading = True
        self.out_of_memory = False
        self.refuses_writes: str | None = None
        """The error for writes while the node takes none."""
        self.shutdown_requested: ShutdownRequest | None = None
        self.now_ms = clock.now_ms()
        """The wall clock of this tick, for people: what was when. Nothing lasts by it."""
        self.steady_ms = clock.monotonic_ns() // 1_000_000
        """The monotonic clock of this tick."""
        self.state_ms = self.now_ms
        """The state's time in this tick, as far as this node knows it."""
        self.clocks = Clocks(self)
        self.cluster = Cluster("", b"")
        self.peers = Peers()
        self.incoming = Incoming(self)
        self.run_id = f"{random.getrandbits(160):040x}"
        """Drawn anew at each start; INFO shows it as Redis does."""
        self.door = Door(self)
        self.founding = Founding()
        self.liveness = Liveness(self)
        self.receive_snapshot: Callable[[Session, NodeId], Link] | None = None
        """Takes what another node sends as a snapshot; the server's."""
        self.on_flushed: Callable[[], None] = lambda: None
        """Hears of each flush that has ended; the server's."""
        self.prepared_snapshot: Index | None = None
        """The index of the snapshot that was received, and can be installed."""
        self.wanting_snapshot: list[NodeId] = []
        """Nodes that the server shall send a snapshot to."""
        self.sending_snapshots: dict[NodeId, tuple[int, int]] = {}
        """Of each snapshot on its way: bytes that have left, and all."""
        self.away = Away(self)
        self.redirect = Redirect(self)
        self.reads = Reads(self)
        self.forwarding = Forwarding(self)
        self.guests = Guests(self)
        self.waits = Waits(self)
        self.members = Members(self)
        self.memory = Memory(self)
        self.membership = Membership(self)
        self.changes = ConfigChanges(self)
        self.stopping = Stopping(self)
        self.reaper = Reaper(self)
        self.serves = False
        """Whether data may be read and written here: this node leads, and is sure of it."""
        self.leadership = Leadership(self)
        self.started_ms = self.now_ms
        self.started_ns = clock.monotonic_ns()
        self.plain = False
        """Whether commands of plain sessions may take the short road."""
        self._next_session_id = 1
        self._last_input_ns = 0
        self._persists_since_ns = 0
        self.process: ProcessFacts = NoProcess()
        """What the server knows about the process."""
        self.reload: Callable[[], Keyspace] | None = None
        """Reads the keyspace anew from the image (DEBUG RELOAD)."""

    def state_us(self) -> int:
        """The state's time now, in microseconds; this node's own while it loads."""
        return self.clock.now_us() if self.loading else self.clocks.now_ns(self.clock.monotonic_ns()) // 1000

    # The groups.

    def start(self, config: ConfigGroup, shard: Shard, storage: ShardStorage) -> None:
        """The groups were read from disk: serve them."""
        self.config = config
        self.table.allow(config.table.level)
        self.shard = shard
        self.watches = Watches(shard.keyspace, self.table)
        self.blocking = Blocking(self)
        self.flusher = Flusher(self, shard, storage)
        self.pace = Pace(self)
        shard.executor.on_slow = self.observer.on_slow
        for option in ("slowlog-log-slower-than", "latency-monitor-threshold"):
            self.settings.on_change(option, self.observer.refresh_slow)
        for name in Thresholds.__struct_fields__:
            self.settings.on_change(name.replace("_", "-"), self.leadership.follow_thresholds)
        self.settings.on_change("maxmemory-policy", self._follow_eviction)
        self._follow_eviction()
        self.settings.on_change("slowlog-max-len", lambda: self.observer.slowlog.trim(self.settings.slowlog_max_len))
        self.settings.on_change("requirepass", self._follow_password)
        self.settings.on_change("client-query-buffer-limit", self._follow_query_buffer_limit)
        self.observer.refresh_slow()
        self.memory.begin()

    def serve(self) -> None:
        """What the log held when the node started has been applied: take commands, once `collect` returns nothing."""
        self.loading = False
        self.leadership.follow()
        self.refresh_plain()

    def refresh_plain(self) -> None:
        """Recompute `plain`; to be called after any change of what it depends on."""
        self.plain = not (
            self.loading or self.observer.monitors or self.pause.in_force or self.refuses_writes is not None
        )

    # Sessions.

    def open_session(self, address: str, local_address: str, *, unix: bool = False) -> Session:
        """A client has connected."""
        settings = self.settings
        limits = ParserLimits(
            max_bulk_bytes=settings.proto_max_bulk_len,
            query_buffer_limit=settings.client_query_buffer_limit,
            authenticated=not settings.requirepass,
        )
        session = Session(
            self._next_session_id, address, local_address, RequestParser(limits), self.steady_ms, unix=unix
        )
        self._next_session_id += 1
        session.authenticated = not settings.requirepass
        session.refresh_plain()
        self.sessions[session.id] = session
        self.statistics.connections_received += 1
        return session

    def _follow_eviction(self) -> None:
        EVICTION.counts_uses = self.settings.maxmemory_policy.endswith("-lfu")

    def _follow_password(self) -> None:
        """New connections must authenticate from now on, or need not; those that are in stay in, as in Redis. So do
        links, where the password is their secret too; one that breaks is made again when both nodes have the same."""
        password = self.settings.requirepass
        self.cluster = self.cluster._replace(password=password)
        if not self.cluster.secret and not self.shard.raft.is_alone:
            log.warning("without cluster-secret the password is the secret of the links: set it on all nodes now")
        if not self.settings.requirepass:
            for session in self.sessions.values():
                session.authenticated = session.parser.authenticated = True
                session.refresh_plain()

    def _follow_query_buffer_limit(self) -> None:
        for session in self.sessions.values():
            session.parser.query_buffer_limit = self.settings.client_query_buffer_limit

    def close_session(self, session: Session) -> None:
        """The connection is gone: forget the session; what it has in flight is still applied."""
        if session.closed:
            return
        session.closed = True
        session.refresh_plain()
        if not session.is_guest:
            del self.sessions[session.id]
        self.outgoing.pop(session, None)
        self._woken.pop(session, None)
        if not self.loading:
            self.watches.unwatch(session)
        self.forwarding.forget_guest(session)
        if session.link is not None:
            session.link.close()
        if (blocked := session.blocked) is not None:
            session.blocked = None  # each holds the other, and old garbage is not collected
            if blocked.timer is not None:
                blocked.timer.cancel()
            if blocked.on_cancel is not None:
                blocked.on_cancel()
        if self.observer.monitors.pop(session.id, None) is not None:
            self.refresh_plain()
        session.segments.clear()
        session.backlog.clear()
        self.turns.forget(session)

    def unwatch(self, session: Session) -> None:
        """A session watches nothing any more, here or at the leader."""
        if session.watches_remotely:
            self.forwarding.forget_guest(session)
        self.watches.unwatch(session)

    def receive(self, session: Session, data: bytes) -> None:
        """Bytes have come from a client."""
        self.statistics.input_bytes += len(data)
        session.last_active_ms = self.steady_ms
        if session.link is not None:
            self.incoming.receive(session, session.link, data)
            return
        if len(data) > SMALL_CHUNK_BYTES or session.unread:
            self.turns.feed(session, data)
        else:
            self.parse(session, data, begins_turn=True)
        if session.backlog or session.unread or session.multi:
            self.turns.check_input(session)
        if session.out or session.close_after_reply:
            self.outgoing[session] = None

    def parse(self, session: Session, data: bytes, *, begins_turn: bool = False) -> None:
        """Take a piece of what a client has sent, which may end anywhere."""
        permission = self.leadership.standing or self.leadership.permission()
        parser = session.parser
        commands = parser.feed(data)
        packed, parser.packed = parser.packed, None
        if begins_turn and len(commands) > 1:
            self.turns.begin()
        self.router.route(session, commands, packed, permission)
        while parser.waiting:
            self.router.route(session, parser.feed(b""), None, permission)
        if parser.error is not None:
            self.refuse_protocol(session)

    def refuse_protocol(self, session: Session) -> None:
        """A client broke the protocol: tell it so behind the replies to all that it sent before, and close."""
        if session.close_after_reply or session.backlog or session.blocked is not None:
            return
        session.answer(CommandError(f"ERR {session.parser.error}"))
        session.close_after_reply = True
        session.refresh_plain()

    def congested(self) -> bool:
        """Whether clients should not be read: too much is proposed and not committed."""
        return not self.loading and self.shard.congested

    # A tick.

    def begin_tick(self) -> None:
        """Look at the clock, and do what has come due."""
        self.now_ms = self.clock.now_ms()
        now_ns = self.clock.monotonic_ns()
        self.steady_ms = now_ns // 1_000_000
        if not self.loading:
            self.state_ms = self.clocks.now_ns(now_ns) // 1_000_000
        self.timers.fire(now_ns)
        if not self.loading:
            if self.shard.raft.leader is not None:
                self.shard.present.set_clock(self.state_ms)
            self.reaper.step()
        self.turns.go_on()

    def collect(self, *, entries_first: bool = False) -> list[Persist]:
        """Propose what was gathered, apply what is committed; returns what must be persisted next, if anything.

        To be called again after `persisted`, until it returns nothing. `entries_first`: where another node leads, what
        must be persisted comes before what is to be applied.
        """
        if self.loading and not hasattr(self, "shard"):
            return []
        self._go_on()
        self.forwarding.step()
        persists = []
        if self.config.raft.has_ready() and (ready := self._collect_config()) is not None:
            persists.append(Persist(self.config.group, self.config.raft, ready))
        if (ready := self._collect_shard(entries_first=entries_first)) is not None:
            persists.append(Persist(self.shard.group, self.shard.raft, ready))
        elif not persists and (not self.shard.raft.is_alone or not self.serves):
            self.leadership.follow()
        if persists:
            self._persists_since_ns = self.clock.monotonic_ns()
        return persists

    def _collect_config(self) -> Ready | None:
        config, raft = self.config, self.config.raft
        while raft.has_ready():
            ready = raft.ready()
            self.peers.send_raft(config.group, ready.urgent)
            for decided in config.apply_committed(ready):
                self.changes.decided(decided)
                self.membership.table_changed()
            if ready.must_sync:
                return ready
            self.peers.send_raft(config.group, ready.messages)
            raft.advance(ready)
        return None

    def _collect_shard(self, *, entries_first: bool) -> Ready | None:
        shard, raft = self.shard, self.shard.raft
        self.propose()
        while raft.has_ready():
            if raft.leader is not None and not raft.is_alone and shard.is_busy():
                self.leadership.hold_commit()
            ready = raft.ready(entries_first=entries_first)
            self.peers.send_raft(shard.group, ready.urgent)
            self.wanting_snapshot += ready.wanting_snapshot
            if ready.snapshot is not None:
                self._install(ready.snapshot)
            self.deliver(shard.apply_committed(ready))
            self.membership.step()
            self.blocking.served(shard.executor.take_served())
            if ready.reads or not self.serves:
                self.forwarding.granted(self.reads.granted(ready.reads))
                self.reads.step()
            if ready.must_sync:
                return ready
            self.peers.send_raft(shard.group, ready.messages)
            raft.advance(ready)
        self.waits.step()
        return None

    def propose(self, *, everything: bool = False) -> None:
        """Propose what was gathered so far, if not too much is under way, or `everything`."""
        shard = self.shard
        if everything or shard.may_propose() or shard.congested:
            self.deliver(shard.propose(self.clocks.now_ms(), everything=everything))

    def persisted(self, persists: list[Persist]) -> None:
        """What `collect` returned is durable."""
        for group, raft, ready in persists:
            self.peers.send_raft(group, ready.messages)
            raft.advance(ready)

    def speak(self) -> None:
        """While what `collect` returned is still being made durable: say what does not wait for it. A node whose disk
        hangs says no more, and is held for dead."""
        if self.clock.monotonic_ns() - self._persists_since_ns >= self.settings.node_stall_timeout * 1_000_000:
            return
        for group, raft in ((self.config.group, self.config.raft), (self.shard.group, self.shard.raft)):
            self.peers.send_raft(group, raft.take_urgent())

    def end_tick(self, *, idle: bool = False) -> None:
        """Do the tick's share of background work. `idle`: there was no input."""
        if self.loading:
            return
        self.flusher.step()
        if not idle:
            self._last_input_ns = self.clock.monotonic_ns()
        elif self._may_settle():
            keyspace = self.shard.keyspace
            end_ns = self.clock.monotonic_ns() + SETTLE_NS
            while keyspace.has_unsettled() and self.clock.monotonic_ns() < end_ns:
                keyspace.settle(SETTLE_KEYS)

    def has_rest(self) -> bool:
        """Whether a client is to go on in the next tick with what it has sent."""
        return len(self.turns) > 0

    def has_writes(self) -> bool:
        """Whether something waits to be proposed, and may be."""
        return not self.loading and self.shard.may_propose()

    def wants_tick(self) -> bool:
        """Whether another tick should follow at once."""
        if self.loading:
            return self.has_rest()
        if self.has_rest() or self.shard.may_propose() or self.flusher.active() or self._may_settle():
            return True
        return self.reaper.is_behind()

    def _may_settle(self) -> bool:
        """Whether there are new keys to put in order, and time for it: not between two commands of a busy client."""
        return self.shard.keyspace.has_unsettled() and self.clock.monotonic_ns() - self._last_input_ns >= QUIET_NS

    def raft_tick(self) -> None:
        """A Raft clock interval has passed."""
        if not self.loading:
            now_ms = self.monotonic_ms()
            self.clocks.tick()
            if not self.founding.under_way:
                self.config.raft.tick(now_ms)
                self.shard.raft.tick(now_ms)
            self.changes.tick()
            self.membership.tick()
            self.door.tick()
            self.memory.tick()
            self.leadership.follow()
            self.reads.tick()
            self.liveness.tick()
            self.pace.tick()
            self.forwarding.tick()

    def monotonic_ms(self) -> int:
        """The time that leases go by, now."""
        return self.clock.monotonic_ns() // 1_000_000

    def databases(self) -> int:
        """How many databases clients may select: as many as the log says, or is about to say where this node leads."""
        if self.loading or self.shard.raft.leader is not None:
            return self.settings.databases
        return self.shard.keyspace.limit

    # Other nodes.

    @property
    def id(self) -> NodeId:
        """This node's."""
        return self.shard.raft.id

    def take_frames(self) -> list[tuple[NodeId, bytes]]:
        """What this tick has to say to other nodes: a frame each."""
        if not self.loading:
            self._go_on()
            self.forwarding.step()
        self.guests.collect_answers()
        self.reads.ask()
        return self.peers.take_frames(self.clocks.word)

    def snapshot_brought(self, peer: NodeId, meta: SnapshotMeta) -> None:
        """A snapshot is with a node that wants it, whole and durable: have it installed."""
        self.shard.raft.send_snapshot(peer, meta)

    def snapshot_failed(self, peer: NodeId) -> None:
        """A snapshot did not arrive: begin anew with that node."""
        self.shard.raft.lost(peer)

    def _install(self, meta: SnapshotMeta) -> None:
        log.warning("the snapshot of entry %d is installed", meta.index)
        self.flusher.install(meta)
        self.prepared_snapshot = None
        self.blocking.log_skipped()
        self.watches.leadership_lost()
        self.watches.follow(self.shard.keyspace)

    def link_opened(self, peer: NodeId) -> None:
        """What is sent to a node leaves from now on."""
        self.peers.open(peer)
        self.memory.link_opened(peer)
        self.forwarding.step()

    def link_lost(self, peer: NodeId) -> None:
        """The link to a node is gone, and with it what was under way."""
        self.peers.close(peer)
        if not self.loading:
            self.config.raft.lost(peer)
            self.shard.raft.lost(peer)
            self.forwarding.lost(peer)
            self.reads.lost(peer)

    def deliver(self, outcomes: list[Outcome]) -> None:
        """Give the replies of executed batches to their sessions."""
        outgoing = self.outgoing
        resumed: list[Session] = []
        for batch, replies in outcomes:
            for run, answers in zip(batch.items, replies, strict=True):
                takers = run.takers
                if answers[0] is OK and answers[-1] is OK and answers.count(OK) == len(answers):
                    for segment, count in takers:
                        if segment is not None:
                            segment.parts.append(ENCODED_OK if count == 1 else ENCODED_OK * count)
                    continue
                position = 0
                for segment, count in takers:
                    if type(segment) is Taker:
                        self.blocking.answered(segment, answers[position])
                    elif segment is not None:
                        protocol = segment.session.protocol
                        segment.parts.append(encode_all(answers[position : position + count], protocol))
                    position += count
            for segment in batch.owners:
                segment.batch = None
                session = segment.session
                if batch.index is not None:
                    session.write_index = batch.index
                if session.closed:
                    continue
                session.drain()
                outgoing[session] = None
                if not session.segments and session.backlog and not self.turns.rests(session):
                    resumed.append(session)
        if resumed:  # what they do next finds those served whom these batches have served
            self.blocking.served(self.shard.executor.take_served())
            for session in resumed:
                self.router.resume(session)

    # Blocking.

    def block(self, session: Session, blocked: Blocked) -> None:
        """Execute nothing more of a session until `unblock`."""
        session.blocked = blocked
        session.refresh_plain()
        if blocked.deadline_ns is not None and blocked.on_timeout is not None:
            blocked.timer = self.timers.at(blocked.deadline_ns, lambda: self._time_out(session, blocked))

    def unblock(self, session: Session, reply: Any) -> None:
        """Answer a blocked session (unless NO_REPLY) and go on with what it sent meanwhile."""
        if session.blocked is not None and session.blocked.timer is not None:
            session.blocked.timer.cancel()
        session.blocked = None
        session.refresh_plain()
        if session.closed:
            return
        if reply is not NO_REPLY:
            self.router.answer(session, reply)
        self.outgoing[session] = None
        self._woken[session] = None

    def _go_on(self) -> None:
        """Have sessions go on that are not blocked any more: not when they are unblocked, since the router may be
        looking at what they have sent just then."""
        while self._woken:
            woken, self._woken = self._woken, {}
            for session in woken:
                self.router.resume(session)

    def _time_out(self, session: Session, blocked: Blocked) -> None:
        if session.blocked is blocked and not session.closed:
            assert blocked.on_timeout is not None
            blocked.on_timeout()

    def reload_keyspace(self) -> bool:
        """Write what changed to the image, read the image back, and go on with what it says (DEBUG RELOAD). False: the
        image is damaged, and the next flush makes it anew."""
        assert self.reload is not None
        self.flusher.run_to_end()
        try:
            keyspace = self.reload()
        except DamagedDataError as error:
            self.flusher.image_is_damaged(error)
            return False
        self.shard.executor.replace_keyspace(keyspace)
        self.watches.follow(keyspace)
        return True

    def check(self) -> None:
        """Assert the invariants."""
        for session in self.sessions.values():
            session.check()
            assert not session.out or session in self.outgoing or session.is_guest
            # What a client has sent is not left lying: something will have it looked at.
            if (session.backlog or session.unread) and not session.close_after_reply:
                waits = session.blocked is not None or session.segments
                assert waits or session in self._woken or self.turns.rests(session)
        plain = self.plain
        self.refresh_plain()
        assert plain == self.plain
        if not self.loading:
            self.config.check()
            self.shard.check()
            self.watches.check()
            self.turns.check()
            self.timers.check()
            self.blocking.check()
            self.forwarding.check()
            self.guests.check()
            self.reads.check()
            self.waits.check()
            self.memory.check()


class ShutdownRequest(NamedTuple):
    """SHUTDOWN was asked for."""

    flush: bool
    force: bool
    session: Session | None
