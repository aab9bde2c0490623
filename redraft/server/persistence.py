"""Making Readies durable: one write batch for all groups, one fsync, inline or in the persister thread.

Theory (design section 2, step 4). `write` hands the entries to the log store, which the operating system then holds;
`sync` is the fsync. Acknowledgement needs both (`appendfsync always`). The fsync of a fast disk is shorter than what
a thread's return costs under the GIL, so it is awaited inline; on a slower disk it runs in one persister thread. The
choice follows a running mean of what fsyncs take, with hysteresis: over `SLOW_NS` inline moves to the thread, under
`FAST_NS` back; a node that does not lead is more patient.

`appendfsync everysec` and `no` acknowledge what only the operating system holds: a crash of the process loses
nothing, a power cut loses up to a second, or whatever the system had not written. A term and a vote are fsynced before
anything is said of them all the same, or a member could vote twice.

Invariants: at most one fsync at a time; after an error nothing is reported durable any more (an fsync that failed must
not be tried again: the pages it was for may be gone).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from redraft.errors import RedraftError
from redraft.node.node import Persist
from redraft.settings import Settings
from redraft.storage.log_store import GroupUpdate, LogStore

FAST_NS = 800_000
SLOW_NS = 2_000_000
PATIENT_FACTOR = 4
"""The two are so many times longer at a node that does not lead: what comes in meanwhile are mostly its leader's next
entries, which then share a log write; the way through the thread costs another wake-up and another tick."""
MEAN_WEIGHT = 1 / 16
"""The weight of the newest fsync in the running mean."""


class Persistence:
    """The way from Ready to disk for one node; all methods but the thread's own are called on the node's thread."""

    def __init__(self, store: LogStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self.mean_ns = 0.0
        self.threaded = False
        """Whether fsyncs run in the thread for now."""
        self.fsyncs = 0
        self.last_ns = 0
        self._unsynced = False
        self._requests: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._pending: list[Persist] = []
        self._done = False
        self._error: RedraftError | None = None
        self._thread: threading.Thread | None = None

    def expect_us(self, fsync_us: float) -> None:
        """An fsync takes so long, as far as was measured."""
        self.mean_ns = fsync_us * 1000
        self.threaded = self.mean_ns > SLOW_NS

    def write(self, persists: list[Persist], wake: Callable[[], None], *, patient: bool = False) -> bool:
        """Write what must be persisted. True: it is durable now. False: `finished` tells when, after `wake` was
        called from the persister thread. `patient`: the node does not lead. Raises StorageError."""
        self._store.write([GroupUpdate(group, ready.hard_state, ready.entries) for group, _, ready in persists])
        self._unsynced = True
        if not any(persist.needs_fsync(self._settings.appendfsync) for persist in persists):
            return True
        limit_ns = (FAST_NS if self.threaded else SLOW_NS) * (PATIENT_FACTOR if patient else 1)
        self.threaded = self.mean_ns > limit_ns
        if not self.threaded:
            self.sync()
            return True
        self._pending = persists
        self._done = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="persister", daemon=True)
            self._thread.start()
        self._requests.put(wake)
        return False

    def write_now(self, persists: list[Persist]) -> None:
        """Write and fsync, here (start-up). Raises StorageError."""
        self._store.write([GroupUpdate(group, ready.hard_state, ready.entries) for group, _, ready in persists])
        self.sync()

    def finished(self) -> bool:
        """Whether the write under way in the thread is durable. Raises the error it ended with."""
        if self._error is not None:
            raise self._error
        return self._done

    def take(self) -> list[Persist]:
        """The Readies that the thread has made durable."""
        persists, self._pending = self._pending, []
        return persists

    def sync(self) -> None:
        """Fsync now, here. Raises StorageError."""
        started_ns = time.monotonic_ns()
        self._store.sync()
        self.last_ns = time.monotonic_ns() - started_ns
        self.mean_ns += (self.last_ns - self.mean_ns) * MEAN_WEIGHT
        self.fsyncs += 1
        self._unsynced = False

    def sync_if_needed(self) -> None:
        """Fsync what `everysec` and `no` left to the operating system; for a thread, once a second and at the end."""
        if self._unsynced:
            self.sync()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._requests.put(None)
            self._thread.join()
            self._thread = None

    def statistics(self) -> dict[str, float]:
        """Figures for INFO."""
        return {
            "fsyncs": self.fsyncs,
            "fsync_last_us": self.last_ns // 1000,
            "fsync_mean_us": round(self.mean_ns / 1000, 1),
            "fsync_in_thread": int(self.threaded),
        }

    def _work(self) -> None:
        while (wake := self._requests.get()) is not None:
            try:
                self.sync()
            except RedraftError as error:
                self._error = error
            self._done = True
            wake()
