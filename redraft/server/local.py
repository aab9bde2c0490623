"""A whole cluster on one machine, its nodes child processes of this one: for trying things out, and for tests.

Each line that a node prints is shown behind the node's name. A node that ends by itself is told of and not started
again, since that is what one wants to see. The children have process groups of their own, so that Ctrl-C at a terminal
reaches this process only, which stops them one after the other. (If this process is killed with SIGKILL, they go on.)
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import trio

from redraft.node.links import GreetingError
from redraft.server.links import ask
from redraft.server.stream import connect

LEADER_SECONDS = 10.0
"""How long nodes that answer are waited for to have a leader: they may be too few for one."""
LOOK_SECONDS = 0.1
"""Between two looks whether all nodes answer."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child(NamedTuple):
    """A node to be run."""

    name: str
    port: int
    arguments: Sequence[str]
    """Of `redraft server`."""
    configuration: str
    """Given on standard input, where no other user of the machine can read it."""


class LocalCluster:
    """Runs nodes until it is told to stop."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._width = max(len(child.name) for child in children)
        self._processes: dict[str, trio.Process] = {}
        self._stopping = False
        self._ended_well = True

    def run(self) -> int:
        """The exit status: 0 when all nodes have run until they were told to stop, and stopped in order."""
        trio.run(self._run)
        return 0 if self._ended_well else 1

    async def _run(self) -> None:
        try:
            with trio.open_signal_receiver(*STOPPING) as signals:
                async with trio.open_nursery() as nursery:
                    for child in self._children:
                        self._processes[child.name] = await self._start(child)
                    nursery.start_soon(self._watch_signals, signals, nursery)
                    nursery.start_soon(self._announce)
                    async with trio.open_nursery() as running:
                        for child in self._children:
                            running.start_soon(self._follow, child)
                    nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                for process in self._processes.values():
                    if process.poll() is None:
                        process.kill()
                        await process.wait()

    async def _start(self, child: Child) -> trio.Process:
        process: trio.Process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "redraft", "server", "-", *child.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        assert process.stdin is not None
        try:
            async with process.stdin:
                await process.stdin.send_all(child.configuration.encode())
        except trio.BrokenResourceError:
            pass  # It has ended; why, is what it prints.
        return process

    async def _follow(self, child: Child) -> None:
        """Show what a node prints, and that it has ended."""
        process = self._processes[child.name]
        assert process.stdout is not None
        rest = b""
        async for data in process.stdout:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._print(child.name, line.decode(errors="replace"))
        if rest:
            self._print(child.name, rest.decode(errors="replace"))
        status = await process.wait()
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"has ended with status {status}"
        if self._stopping and status == 0:
            self._print(child.name, "is stopped")
            return
        self._ended_well = False
        self._print(child.name, how if self._stopping else f"{how}; it is not started again")

    async def _watch_signals(self, signals: AsyncIterator[int], nursery: trio.Nursery) -> None:
        async for number in signals:
            if self._stopping:
                self._print("", "killing what still runs")
                for process in self._processes.values():
                    process.kill()
                continue
            self._stopping = True
            self._print("", f"{signal.Signals(number).name} received, stopping all nodes; once more kills them")
            nursery.start_soon(self._stop)

    async def _stop(self) -> None:
        """Stop one node after the other, the last one first."""
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.terminate()
                await process.wait()

    async def _announce(self) -> None:
        """Tell how to reach the nodes, once all that run answer, and one of them leads: before that a new cluster is
        not founded yet, and cannot do without any of its nodes."""
        ports = []
        for child in self._children:
            while (runs := self._processes[child.name].poll() is None) and not await _answers(child.port):
                await trio.sleep(LOOK_SECONDS)
            if runs:
                ports.append(child.port)
        if ports:
            with trio.move_on_after(LEADER_SECONDS):
                while not await _has_leader(ports[0]):
                    await trio.sleep(LOOK_SECONDS)
            self._print("", f"ready; try: redis-cli -p {ports[0]}, redraft members -a 127.0.0.1:{ports[0]}")
            self._print("", "Ctrl-C stops all nodes")

    def _print(self, name: str, line: str) -> None:
        print(f"{name or '*':<{self._width}} | {line}", flush=True)


async def _has_leader(port: int) -> bool:
    """Whether a node knows who leads, or does not say so without a password."""
    try:
        with trio.fail_after(1.0):
            async with await connect(f"127.0.0.1:{port}") as stream:
                status = await ask(stream, b"REDRAFT", b"STATUS")
    except GreetingError as error:
        return "NOAUTH" in str(error)
    except (OSError, trio.TooSlowError):
        return False
    return isinstance(status, list) and dict(zip(status[::2], status[1::2], strict=True)).get(b"leader-id", 0) != 0


async def _answers(port: int) -> bool:
    """Whether a node takes commands at a port of this machine, if only with a password."""
    try:
        with trio.fail_after(1.0):
            async with await connect(f"127.0.0.1:{port}") as stream:
                await ask(stream, b"PING")
    except GreetingError as error:
        return "NOAUTH" in str(error)
    except (OSError, trio.TooSlowError):
        return False
    return True
