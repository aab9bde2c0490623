"""One node greets another, both above their sockets: the words of `node.calling` as a client's of the other."""

from __future__ import annotations

import hiredis

from redraft.ids import NodeId
from redraft.node.calling import Call, NodeCaller
from redraft.node.links import NONCE_BYTES, framed
from redraft.node.peers import Frame, decode_frame, encode_frame
from support.processes import ReplyError
from support.world import Client, World


def greet(caller: World, answerer: World, purpose: bytes = b"FRAMES") -> Client:
    """Greet, up to the proof; its answer, if it has come, is among the replies. Raises GreetingError, OutcastError."""
    client = answerer.connect("10.0.0.99:40000")
    call = Call(NodeCaller(caller.node), NodeId(answerer.node.id), purpose, b"n" * NONCE_BYTES)
    reply = ask(client, call.greeting())
    if isinstance(reply, ReplyError):
        reply = ask(client, call.refused(str(reply)))
    client.send(hiredis.pack_command(tuple(call.answered(reply))))
    answerer.settle()
    return client


def ask(client: Client, words: list[bytes]) -> object:
    """Send one command; its reply."""
    client.send(hiredis.pack_command(tuple(words)))
    client.world.settle()
    [reply] = client.replies()
    return reply


def beat_of(world: World, to: int) -> int:
    """The last beat that a node has sent to another."""
    beats = [frame.beat for each, data in world.frames if each == to and (frame := decode_frame(data)).beat]
    return beats[-1] if beats else 0


def speak(client: Client, lives: dict[NodeId, str] | None = None, *, echo: int | None = None) -> None:
    """Say something, as a node does that is there: whom it hears, and the last beat that it has heard."""
    assert client.session.link is not None
    beat = beat_of(client.world, client.session.link.peer) if echo is None else echo
    client.send(framed(encode_frame(Frame(lives=lives, beat=1, echo=beat))))
    client.world.settle()
