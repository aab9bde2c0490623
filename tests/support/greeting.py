"""One node greets another, both above their sockets: the words of `node.calling` as a client's of the other."""

from __future__ import annotations

import hiredis

from redraft.ids import NodeId
from redraft.node.calling import Call, NodeCaller
from redraft.node.links import NONCE_BYTES, framed
from redraft.node.peers import Frame, encode_frame
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


def speak(client: Client) -> None:
    """Say something, as a node does that is there."""
    client.send(framed(encode_frame(Frame())))
    client.world.settle()
