"""The composition root: opens the directory, reads the shard back, makes the node and runs it until it is told to stop.

Start-up, in order: listeners are bound (a taken port fails before anything is read); the data directory is locked; the
log is checked, and the image is read, with progress; the log after it is replayed through Raft like any committed
entry; then the node serves. Connections that come meanwhile wait in the listeners' backlog.

Until all that is known to be committed has been replayed, nothing is written but the lock: a start that refuses what it
finds leaves every byte as it was. Two things that an earlier process had begun are finished before, each after what it
needs was found whole: the installation of a snapshot, and a recovery.

Shut-down: what was proposed is applied and answered, the memtable is flushed (unless SHUTDOWN NOSAVE), the stores are
closed, the lock is let go.

A StorageError anywhere ends the run: it is logged in a sentence and the exit status is 1. Nothing that was not durable
has been acknowledged by then.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial

import trio
from msgspec import structs

from redraft import __version__
from redraft.clock import SystemClock
from redraft.cluster.config_group import ConfigGroup
from redraft.errors import DAMAGE_ADVICE, DamagedDataError, RedraftError, StorageError
from redraft.ids import CONFIG_GROUP, FIRST_SHARD_GROUP, GroupId, Index, NodeId
from redraft.node.families.all import TABLE
from redraft.node.jobs import Job
from redraft.node.links import Cluster
from redraft.node.node import Node, ShutdownRequest
from redraft.node.pace import raft_config
from redraft.raft.messages import ConfState, SnapshotMeta
from redraft.raft.node import RaftNode
from redraft.server.certificates import Certificates
from redraft.server.connection import Listener
from redraft.server.descriptors import make_room
from redraft.server.first_start import open_directory
from redraft.server.joining import own_address
from redraft.server.links import keep_links, parse_members
from redraft.server.listeners import bind_listeners
from redraft.server.persistence import Persistence
from redraft.server.process import SystemProcess
from redraft.server.pulse_keeper import keep_pulse
from redraft.server.reactor import Reactor
from redraft.server.recovery import complete_recovery
from redraft.server.shard_storage import DiskShardStorage, complete_install
from redraft.server.snapshots import Receivers, send_snapshot
from redraft.settings import Settings
from redraft.shard.shard import Shard
from redraft.storage.directory import DataDirectory
from redraft.storage.group_log import GroupLog
from redraft.storage.image import Image
from redraft.storage.log_store import LogStore, measure_fsync_us

log = logging.getLogger("redraft.server")

HOUSEKEEPING_SECONDS = 0.1
COLLECT_EVERY = 10
"""Housekeeping rounds between two collections of young garbage."""


class App:
    """One server process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._random = random.Random(os.urandom(16))
        self._failure: RedraftError | None = None
        self._process: SystemProcess
        self._directory: DataDirectory
        self._storage: DiskShardStorage

    def run(self) -> int:
        """Run until told to stop; the exit status. Raises UserError and StorageError from the start-up."""
        try:
            return self._run()
        except DamagedDataError as error:
            raise DamagedDataError(f"{error}; {DAMAGE_ADVICE}") from error

    def _run(self) -> int:
        settings = self._settings
        for name, reason in settings.ignored():
            log.warning("%s has no effect: %s", name, reason)
        members = parse_members(settings.initial_cluster) if settings.initial_cluster else {}
        make_room(settings)
        certificates = Certificates(settings)
        listeners = bind_listeners(settings)
        bound = own_address(listeners, tls=settings.tls_cluster)
        with open_directory(settings, members, settings.announce_address or bound, certificates) as directory:
            address = settings.announce_address or members.get(NodeId(directory.identity.node_id)) or bound
            store = LogStore(directory.log_path)
            complete_install(directory.image_path(FIRST_SHARD_GROUP), store, FIRST_SHARD_GROUP)
            image = Image(directory.image_path(FIRST_SHARD_GROUP))
            persistence = Persistence(store, settings)
            reactor = None
            try:
                node = self._open_node(directory, members, address, store, image, persistence)
                reactor = Reactor(node, persistence, listeners, certificates)
                _quiet_garbage_collector()
                trio.run(self._serve, node, reactor, persistence, listeners)
                if self._failure is None:
                    self._close(node, persistence)
            finally:
                persistence.close()
                if reactor is not None:
                    reactor.dispose()
                image.close()
                store.close()
        if self._failure is not None:
            advice = f"; {DAMAGE_ADVICE}" if isinstance(self._failure, DamagedDataError) else ""
            log.critical("stopped: %s%s", self._failure, advice)
            return 1
        log.warning("redraft is stopped, bye")
        return 0

    # Start-up.

    def _open_node(
        self,
        directory: DataDirectory,
        members: dict[NodeId, str],
        address: str,
        store: LogStore,
        image: Image,
        persistence: Persistence,
    ) -> Node:
        settings, identity = self._settings, directory.identity
        storage = DiskShardStorage(image, store, FIRST_SHARD_GROUP)
        began = time.monotonic()
        keyspace, applied = storage.load(lambda keys: log.warning("loading: %d keys", keys))
        if complete_recovery(directory, store, image):
            log.warning("the recovery that was begun is complete: this node is a cluster of its own")
        node = Node(settings, SystemClock(), self._random, TABLE)
        self._process = node.process = SystemProcess(settings, image, store, persistence)
        config_of_raft = raft_config(settings, NodeId(identity.node_id))
        log_of_config = _group_log(store, CONFIG_GROUP, identity.first_voters)
        config = ConfigGroup(RaftNode(config_of_raft, log_of_config, Index(0), random=self._random))
        log_of_shard = _group_log(store, FIRST_SHARD_GROUP, identity.first_voters)
        raft = RaftNode(config_of_raft, log_of_shard, applied.index, applied.conf, self._random)
        node.cluster = Cluster(identity.cluster_id, settings.cluster_secret, settings.requirepass)
        node.members.first_known = {NodeId(number): each for number, each in identity.addresses.items()}
        node.members.configured = members
        node.members.address_here = address
        node.members.incarnation = identity.incarnation
        node.members.met = directory.met()
        node.members.remember = directory.remember
        if identity.founding:
            others = [NodeId(number) for number in identity.first_voters if number != identity.node_id]
            node.founding.begin(others, lambda: directory.become(structs.replace(directory.identity, founding=False)))
        self._directory = directory
        node.memory.read(directory.lives(), directory.promises())
        kept: list[bytes] = []
        node.memory.keep_lives = kept.append
        node.memory.keep_others = self._keep_promises
        shard = Shard(FIRST_SHARD_GROUP, raft, keyspace, applied, node.table, time.monotonic_ns, self._random)
        node.start(config, shard, storage)
        node.reload = lambda: storage.load()[0]
        receivers = Receivers(node, storage)
        node.receive_snapshot, node.on_flushed = receivers, receivers.tidy
        self._storage = storage
        loaded = shard.applied.index
        # What is known to be committed is applied before anything is written.
        persists = node.collect()
        store.open_for_writing()
        image.open_for_writing()
        node.memory.keep_lives = directory.keep_lives
        for data in kept[-1:]:
            directory.keep_lives(data)
        persistence.expect_us(measure_fsync_us(directory.log_path))
        if persists:
            persistence.write_now(persists)
            node.persisted(persists)
        for each in (config.raft, raft):
            if each.is_alone:
                each.campaign()
        _settle(node, persistence)
        node.serve()
        _settle(node, persistence)
        log.warning(
            "loaded %d keys in %.2f s, %d log entries replayed",
            shard.keyspace.statistics()["keys"], time.monotonic() - began, shard.applied.index - loaded,
        )  # fmt: skip
        return node

    # Serving.

    async def _serve(self, node: Node, reactor: Reactor, persistence: Persistence, listeners: list[Listener]) -> None:
        async with trio.open_nursery() as nursery:

            def start(task: Callable[[], Awaitable[None]], *, ends_all: bool = True) -> None:
                nursery.start_soon(self._guarded, nursery.cancel_scope, task, ends_all)

            reactor.on_job = lambda job: start(lambda: run_job(node, reactor, job), ends_all=False)
            start(reactor.run)
            start(lambda: self._watch_signals(node, reactor), ends_all=False)
            start(lambda: self._housekeep(node, reactor, persistence))
            start(lambda: self._tell_time(node, reactor))
            sending: set[NodeId] = set()

            async def send_one_snapshot(peer: NodeId) -> None:
                # Raft asks again when a link broke, and the snapshot on its way serves it as well.
                if peer not in sending:
                    sending.add(peer)
                    await send_snapshot(node, reactor, self._storage, peer)
                    sending.discard(peer)

            reactor.on_wanting_snapshot = lambda peer: start(partial(send_one_snapshot, peer), ends_all=False)
            start(partial(keep_links, node, reactor))
            start(partial(keep_pulse, node))
            _announce(listeners)

    async def _guarded(self, scope: trio.CancelScope, task: Callable[[], Awaitable[None]], ends_all: bool) -> None:
        """Run a task; all ends when the disk refuses, or when a task that must go on has ended."""
        try:
            await task()
        except RedraftError as error:
            self._failure = error
            ends_all = True
        if ends_all:
            scope.cancel()

    async def _watch_signals(self, node: Node, reactor: Reactor) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                log.warning("%s received, shutting down", signal.Signals(number).name)
                node.shutdown_requested = ShutdownRequest(flush=True, force=False, session=None)
                reactor.wake()
                return

    async def _tell_time(self, node: Node, reactor: Reactor) -> None:
        """Raft's clock. After a pause it goes on from there: what was missed is not made up for."""
        changed = trio.Event()
        self._settings.on_change("heartbeat-interval", lambda: changed.set())
        while True:
            changed = trio.Event()
            with trio.move_on_after(self._settings.heartbeat_interval / 1000):
                await changed.wait()
                # A tick is as long as it is now, from now on.
                continue
            if not (node.config.raft.is_alone and node.shard.raft.is_alone):
                await reactor.raft_tick().wait()
                continue
            node.raft_tick()
            has_ready = node.config.raft.has_ready() or node.shard.raft.has_ready()
            if has_ready or node.reaper.wants_work() or node.wants_tick():
                reactor.wake()

    async def _housekeep(self, node: Node, reactor: Reactor, persistence: Persistence) -> None:
        rounds = 0
        while True:
            await trio.sleep(HOUSEKEEPING_SECONDS)
            rounds += 1
            reactor.close_idle()
            if node.members.was_removed() and not reactor.stopping:
                log.warning("this node was removed from the cluster: it stops")
                node.shutdown_requested = ShutdownRequest(flush=True, force=False, session=None)
                reactor.stopping = True
                reactor.wake()
            if rounds % COLLECT_EVERY == 0:
                gc.collect(1)
                self._process.sample(node)
                if self._settings.appendfsync == "everysec":
                    await trio.to_thread.run_sync(persistence.sync_if_needed)
                if (promises := node.memory.take_unsaved()) is not None:
                    await trio.to_thread.run_sync(self._keep_promises, promises)

    def _keep_promises(self, data: bytes) -> None:
        """What others have promised is good to know, and the node does not stop for it."""
        try:
            self._directory.keep_promises(data)
        except StorageError as error:
            log.warning("what other nodes have promised is not kept: %s", error)

    def _close(self, node: Node, persistence: Persistence) -> None:
        request = node.shutdown_requested
        if request is None or request.flush:
            node.flusher.run_to_end()
        persistence.sync_if_needed()
        if (promises := node.memory.take_unsaved()) is not None:
            self._keep_promises(promises)


def _group_log(store: LogStore, group: GroupId, first_voters: list[int]) -> GroupLog:
    """A group's log, begun with those voters when it is new."""
    log_of_group = store.group(group)
    if first_voters and not log_of_group.last_index() and not log_of_group.start.conf.members():
        voters = tuple(NodeId(number) for number in sorted(first_voters))
        store.restore(group, SnapshotMeta(conf=ConfState(voters=voters)))
    return log_of_group


def _settle(node: Node, persistence: Persistence) -> None:
    """Propose, persist and apply until nothing is left to do."""
    while persists := node.collect():
        persistence.write_now(persists)
        node.persisted(persists)


async def run_job(node: Node, reactor: Reactor, job: Job) -> None:
    """Run a node's job in a thread and tell the node."""
    with trio.CancelScope(shield=True):
        # A flush that was begun must end one way or the other before the stores are closed.
        await trio.to_thread.run_sync(job.run)
    job.done()
    reactor.wake()


def _quiet_garbage_collector() -> None:
    """Data holds no cycles: hide what was loaded from the collector, and collect only young garbage, by hand."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _announce(listeners: list[Listener]) -> None:
    for listener in listeners:
        name = listener.socket.getsockname()
        where = name if listener.unix else f"{name[0]}:{name[1]}"
        log.warning("Ready to accept %s on %s", "TLS connections" if listener.tls else "connections", where)
    tcp = next((listener for listener in listeners if not listener.unix), None)
    if tcp is not None:
        port, option = tcp.socket.getsockname()[1], "--tls " if tcp.tls else ""
        log.warning("redraft %s, pid %d; try: redis-cli %s-p %d", __version__, os.getpid(), option, port)
