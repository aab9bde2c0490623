"""Packets between nodes that are lost, late and out of order: carried by this process instead of the kernel.

`tc netem` does the same in the kernel, where that has the module; many do not. Here each node's namespace has a TUN
device besides, and while there is trouble the routes to its peers lead there: what a node sends another comes out of a
file, and is put into the other's file later, or never. Clients keep the straight road.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

TUN = Path("/dev/net/tun")
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
CLONE_NEWNET = 0x40000000
MOST_PACKET_BYTES = 1 << 16
DEVICE = "trouble"


class Relay:
    """Carries packets between the devices that were added, by their addresses."""

    def __init__(self) -> None:
        self._files: dict[bytes, int] = {}
        self._random = random.Random()
        self._loss = 0.0
        self._delay_seconds = (0.0, 0.0)
        self._on_their_way: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._lock = threading.Lock()
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def add(self, namespace: str, address: str) -> None:
        """Make a device in a namespace. Raises OSError."""
        descriptor = _open_in(Path("/run/netns") / namespace)
        with self._lock:
            self._files[bytes(map(int, address.split(".")))] = descriptor
        self._wake()

    def set_trouble(self, loss: float, least_ms: float, most_ms: float) -> None:
        """From now on such a share of all packets is lost, and the others are late."""
        with self._lock:
            self._loss = loss
            self._delay_seconds = (least_ms / 1000, most_ms / 1000)

    def close(self) -> None:
        """Take the devices away."""
        os.close(self._wake_writer)
        self._thread.join()
        os.close(self._wake_reader)
        for descriptor in self._files.values():
            os.close(descriptor)

    def _wake(self) -> None:
        os.write(self._wake_writer, b"x")

    def _run(self) -> None:
        while True:
            with self._lock:
                files = list(self._files.values())
            due = self._on_their_way[0][0] - time.monotonic() if self._on_their_way else None
            ready, _, _ = select.select([self._wake_reader, *files], [], [], None if due is None else max(0.0, due))
            if self._wake_reader in ready and not os.read(self._wake_reader, 100):
                return
            for descriptor in ready:
                if descriptor != self._wake_reader:
                    self._take(os.read(descriptor, MOST_PACKET_BYTES))
            while self._on_their_way and self._on_their_way[0][0] <= time.monotonic():
                _, _, descriptor, packet = heapq.heappop(self._on_their_way)
                # A device that is full or down loses packets, as networks do.
                with suppress(OSError):
                    os.write(descriptor, packet)

    def _take(self, packet: bytes) -> None:
        with self._lock:
            target = self._files.get(packet[16:20])
            if target is None or packet[0] >> 4 != 4 or self._random.random() < self._loss:
                return
            moment = time.monotonic() + self._random.uniform(*self._delay_seconds)
        self._count += 1
        heapq.heappush(self._on_their_way, (moment, self._count, target, packet))


def _open_in(namespace: Path) -> int:
    """The file of a new TUN device in a namespace; a thread goes there, and ends."""
    result: list[int | OSError] = []

    def make() -> None:
        try:
            result.append(_make(namespace))
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


def _make(namespace: Path) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    place = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(place, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(place)
    descriptor = os.open(TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN_NO_PI))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
