"""The process that a node's pulse leaves from (see `node.pulse`): `python -I pulse_process.py BOARD PATHS`.

A thread of the node's own would not do: one call in C may keep the interpreter for seconds. So this is a small process
beside it, which does one thing. It sees the node's board (the descriptor BOARD), and is told over its standard input
whom to reach and as whom (`Orders`, again whenever they change): a secret is nothing for a command line. It dials each
of the others itself, by TLS where the cluster uses it, greets as any link does, and then sends a pulse whenever there
is one to send, and one a second in any case, which shows whether there is a connection.

It ends when its standard input does: with its parent, however that ends. Signals that ask a process to stop are meant
for the parent, and are left to it.

A thread for each of the others, blocking, is the simplest that is right: they wait nearly always, and nobody for
another.

What this leaves out: what others make of a pulse (`node.liveness`), and who starts this (`pulse_keeper`).
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from redraft.ids import NodeId
    from redraft.node.pulse import Board
    from redraft.server.pulse_orders import Orders

FIRST_PAUSE_SECONDS = 0.05
LAST_PAUSE_SECONDS = 1.0
GREETING_SECONDS = 5.0
QUIET_SECONDS = 1.0
"""From one pulse to the next where there is nothing to say."""
LEAST_INTERVAL_SECONDS = 0.005
RECEIVE_BYTES = 4096
LENGTH = struct.Struct("<I")


class Beat:
    """The pulse to one node, as long as the orders are the same."""

    def __init__(self, orders: Orders, board: Board, peer: NodeId, address: str) -> None:
        self._orders = orders
        self._board = board
        self._peer = peer
        self._address = address
        self._over = threading.Event()
        threading.Thread(target=self._run, name=f"pulse to {peer}", daemon=True).start()

    def end(self) -> None:
        """Other orders have come."""
        self._over.set()

    def _run(self) -> None:
        from redraft.errors import RedraftError

        pause = FIRST_PAUSE_SECONDS
        while not self._over.is_set():
            try:
                with self._dial() as sock:
                    pause = FIRST_PAUSE_SECONDS
                    self._beat(sock)
            except (OSError, RedraftError):
                # The node's own links find the same, and tell of it.
                self._over.wait(pause)
                pause = min(2 * pause, LAST_PAUSE_SECONDS)

    def _dial(self) -> socket.socket:
        """Connect and greet. Raises OSError, RedraftError."""
        from redraft.addresses import split_address
        from redraft.node.calling import Call
        from redraft.node.links import NONCE_BYTES
        from redraft.resp.client import ErrorReply

        sock = socket.create_connection(split_address(self._address), timeout=GREETING_SECONDS)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = self._orders.tls_context()
            if context is not None:
                sock = context.wrap_socket(sock)
            call = Call(self._orders, self._peer, b"PULSE", os.urandom(NONCE_BYTES))
            reply = ask(sock, call.greeting())
            if isinstance(reply, ErrorReply):
                reply = ask(sock, call.refused(str(reply)))
            reply = ask(sock, call.answered(reply))
            if isinstance(reply, ErrorReply):
                call.refused(str(reply))
        except BaseException:
            sock.close()
            raise
        return sock

    def _beat(self, sock: socket.socket) -> None:
        """Send pulses, until that fails. Raises OSError."""
        from redraft.node.links import framed
        from redraft.node.pulse import encode_pulse

        last = 0.0
        while not self._over.wait(max(LEAST_INTERVAL_SECONDS, self._board.interval_ms / 1000)):
            pulse = self._board.pulse_for(self._peer, time.monotonic_ns())
            now = time.monotonic()
            if pulse.excuses or now - last >= QUIET_SECONDS:
                last = now
                sock.sendall(framed(encode_pulse(pulse)))


def ask(sock: socket.socket, words: list[bytes]) -> object:
    """Send a command and read the reply, which may be an error. Raises OSError, GreetingError."""
    from redraft.node.links import GreetingError
    from redraft.resp.client import NOTHING, BadReplyError, ReplyReader
    from redraft.shard.entry import pack

    sock.sendall(pack(tuple(words)))
    reader = ReplyReader()
    try:
        while (reply := reader.next()) is NOTHING:
            data = sock.recv(RECEIVE_BYTES)
            if not data:
                raise GreetingError("it closes the connection")
            reader.feed(data)
    except BadReplyError as error:
        raise GreetingError("it does not speak the protocol") from error
    return reply


def follow(orders: BinaryIO, board: Board) -> None:
    """Do as is told, until nothing more is."""
    from redraft.server.pulse_orders import decode_orders

    beats: dict[tuple[NodeId, str], Beat] = {}
    common: Orders | None = None
    while len(head := orders.read(LENGTH.size)) == LENGTH.size:
        told = decode_orders(orders.read(LENGTH.unpack(head)[0]))
        if told.but_for_peers() != common:
            wanted, common = set(), told.but_for_peers()
        else:
            wanted = set(told.peers.items())
        for over in beats.keys() - wanted:
            beats.pop(over).end()
        for peer, address in told.peers.items() - beats.keys():
            beats[peer, address] = Beat(told, board, peer, address)


def main(argv: list[str]) -> None:
    """The whole of the process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # This very redraft, and no other that is installed; it finds what the node finds, after Python's own.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    import redraft  # noqa: F401 - from now on its modules are found beside it

    sys.path[:1] = []
    sys.path += [path for path in argv[2].split(os.pathsep) if path not in sys.path]
    from redraft.node.pulse import WORDS, Board

    words = memoryview(mmap.mmap(int(argv[1]), 8 * WORDS, access=mmap.ACCESS_READ)).cast("q")
    follow(sys.stdin.buffer, Board(words))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv)
