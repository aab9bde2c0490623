"""The node's end of its pulse: it starts the process that the pulse leaves from (`pulse_process`), tells it what has
changed, and starts it anew when it has ended.

A node that is alone has none. One whose process does not start, or ends again and again, works as one without a pulse:
who is held up for longer than an election timeout is taken for dead.

Invariants: the process ends with this one, since it reads a pipe that ends then; it holds no other descriptor of it but
its board.
"""

from __future__ import annotations

import logging
import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from redraft.node.calling import NodeCaller
from redraft.node.pulse import WORDS, Board
from redraft.server import pulse_process
from redraft.server.certificates import WATCHED
from redraft.server.pulse_orders import Orders, encode_orders

if TYPE_CHECKING:
    from redraft.node.node import Node

log = logging.getLogger("redraft.peers")

LOOK_SECONDS = 0.1
"""Between two looks at whether it runs, and has the newest orders."""
FIRST_PAUSE_SECONDS = 0.1
LAST_PAUSE_SECONDS = 30.0
END_SECONDS = 1.0
"""What it may take to end, when it has nothing to do but that."""


def orders_of(node: Node) -> Orders:
    """What is to be told now."""
    settings, caller = node.settings, NodeCaller(node)
    names = [name.replace("-", "_") for name in WATCHED] if settings.tls_cluster else []
    return Orders(
        caller.id, caller.cluster.id, caller.cluster.secret, caller.cluster.password, caller.incarnation,
        caller.introduction, caller.address, caller.meets_older, node.members.others(),
        {name: getattr(settings, name) for name in names},
    )  # fmt: skip


class PulseKeeper:
    """One node's pulse."""

    def __init__(self, node: Node) -> None:
        """Raises OSError."""
        self._node = node
        self._descriptor = os.memfd_create("redraft-pulse", os.MFD_CLOEXEC)
        os.ftruncate(self._descriptor, 8 * WORDS)
        board = mmap.mmap(self._descriptor, 8 * WORDS)
        node.liveness.board = Board(memoryview(board).cast("q"))
        self._process: subprocess.Popen[bytes] | None = None
        self._told: Orders | None = None

    async def run(self) -> None:
        """Keep it, for ever."""
        pause, since = FIRST_PAUSE_SECONDS, trio.current_time()
        try:
            while True:
                orders = orders_of(self._node)
                if self._process is not None and (status := self._process.poll()) is not None:
                    log.warning("the process of this node's pulse has ended with %d: it is started again", status)
                    self._end()
                    if trio.current_time() - since > LAST_PAUSE_SECONDS:
                        pause = FIRST_PAUSE_SECONDS
                    await trio.sleep(pause)
                    pause = min(2 * pause, LAST_PAUSE_SECONDS)
                if self._process is None and orders.peers:
                    since = trio.current_time()
                    self._start()
                if self._process is not None and orders != self._told:
                    self._tell(orders)
                await trio.sleep(LOOK_SECONDS)
        finally:
            self._end()
            self._node.liveness.board = Board([0] * WORDS)
            os.close(self._descriptor)

    def _start(self) -> None:
        paths = os.pathsep.join(path for path in sys.path if os.path.isabs(path))
        command = [sys.executable, "-I", str(Path(pulse_process.__file__).resolve()), str(self._descriptor), paths]
        try:
            # In a session of its own, since a signal to the node's group is meant for the node.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(self._descriptor,),
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            log.warning("the process of this node's pulse does not start: %s", error)
            return
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)

    def _tell(self, orders: Orders) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        data = encode_orders(orders)
        framed = pulse_process.LENGTH.pack(len(data)) + data
        try:
            # One that does not read what it was told before is of no use.
            if os.write(self._process.stdin.fileno(), framed) < len(framed):
                self._process.kill()
        except OSError:
            self._process.kill()
        self._told = orders

    def _end(self) -> None:
        process, self._process, self._told = self._process, None, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def keep_pulse(node: Node) -> None:
    """Keep a node's pulse, for ever; a system that does not allow it is no reason to stop."""
    try:
        keeper = PulseKeeper(node)
    except OSError as error:
        log.warning("this node has no pulse: %s", error)
        await trio.sleep_forever()
    await keeper.run()
