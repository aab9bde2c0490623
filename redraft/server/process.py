"""What the process knows about itself, for INFO and for maxmemory."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
from typing import Any

from redraft.node.node import Node
from redraft.server.persistence import Persistence
from redraft.settings import Settings
from redraft.storage.image import Image
from redraft.storage.log_store import LogStore

log = logging.getLogger("redraft.server")

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class SystemProcess:
    """This process, by /proc and getrusage; implements `node.process.ProcessFacts`."""

    def __init__(self, settings: Settings, image: Image, store: LogStore, persistence: Persistence) -> None:
        self._settings = settings
        self._image = image
        self._store = store
        self._persistence = persistence
        self.peak_rss_bytes = 0
        self._rss_bytes = 0
        self._statm_fd = -1
        """Kept open: to look at memory takes no descriptor then, when there may be none left."""
        self.rss_bytes()
        self.tcp_port = settings.port or settings.tls_port

    @property
    def pid(self) -> int:
        """The process id."""
        return os.getpid()

    def rss_bytes(self) -> int:
        """Resident memory, as far as it can be told: what was told last where it cannot."""
        try:
            if self._statm_fd < 0:
                self._statm_fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
            self._rss_bytes = int(os.pread(self._statm_fd, 200, 0).split()[1]) * _PAGE_BYTES
        except OSError as error:
            log.debug("how much memory the process has cannot be told: %s", error)
        return self._rss_bytes

    def secret_bytes(self, size: int) -> bytes:
        """Bytes that nobody can guess."""
        return os.urandom(size)

    def release_memory(self) -> None:
        """Have the allocators give back what is free (MEMORY PURGE); glibc's, where it is the C library."""
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

    def cpu_seconds(self) -> tuple[float, float]:
        """(user, system) CPU time of the process."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime, usage.ru_stime

    def storage_statistics(self) -> dict[str, Any]:
        """Figures of the log, the image and the fsyncs."""
        return {
            **self._persistence.statistics(),
            **self._store.statistics(),
            "image_bytes_on_disk": self._image.size_bytes(),
        }

    def sample(self, node: Node) -> None:
        """Once a second: look at memory, and refuse writes that need more while it is over `maxmemory`."""
        node.statistics.sample(node.clock.monotonic_ns() // 1_000_000, node.observer.commands_processed())
        rss = self.rss_bytes()
        self.peak_rss_bytes = max(self.peak_rss_bytes, rss)
        limit = self._settings.maxmemory
        node.out_of_memory = bool(limit) and rss > limit
