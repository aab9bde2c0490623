"""A peer that knows the secret and sends garbage is cut, and harms nobody."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from redraft.ids import NodeId
from redraft.node.links import IncomingLink, framed
from redraft.node.peers import Answer, ClockWord, Frame, FrameError, Peers, Request, decode_frame, encode_frame
from support.fleet import Fleet


def real_frames(fleet: Fleet) -> list[bytes]:
    """What the leader says to the second node while clients write."""
    found = []
    client = fleet[2].connect()
    for number in range(5):
        client.ask(f"SET k{number} v", "GET k0")
        for _ in range(6):
            fleet.tick_all()
            found += [data for sender, to, data in fleet.frames if (sender, to) == (1, 2)]
    assert len(found) > 5
    return found


def test_the_fuzz_begins_with_frames_that_are_taken(fleet: Fleet) -> None:
    link = IncomingLink(fleet[2].node, NodeId(1))
    link.receive(b"".join(framed(msgspec.msgpack.encode(decode_frame(data))) for data in real_frames(fleet)))
    fleet.settle()
    assert fleet[2].connect()("PING") == b"PONG"


@pytest.mark.parametrize("seed", range(200))
def test_bytes_that_are_no_frame_are_refused(seed: int) -> None:
    random_ = Random(seed)
    data = random_.randbytes(random_.randint(1, 200))
    try:
        frame = decode_frame(data)
    except FrameError:
        return
    assert not frame.raft


@pytest.mark.parametrize("seed", range(8))
def test_a_frame_with_changed_or_missing_bytes_is_refused_or_is_another_frame(fleet: Fleet, seed: int) -> None:
    """Decoding never fails otherwise; whatever it gives can be said again."""
    random_ = Random(seed)
    refused = 0
    for data in real_frames(fleet):
        for _ in range(20):
            changed = bytearray(data)
            for _ in range(random_.randint(1, 3)):
                changed[random_.randrange(len(changed))] = random_.randrange(256)
            if random_.random() < 0.3:
                del changed[random_.randrange(len(changed)) :]
            try:
                frame = decode_frame(changed)
            except FrameError:
                refused += 1
            else:
                assert decode_frame(msgspec.msgpack.encode(frame)) == frame
    assert refused > 40


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        framed(b"garbage"),
        framed(msgspec.msgpack.encode([[[7, None]]])),
        framed(b"\xc0"),
        framed(b"\x91\x91\x92\x01\x91\xa1\xff"),
        framed(b"\x98" + b"\x90" * 7 + b"\x91" * 100_000 + b"\x90"),
    ],
    ids=["a frame of 4 GB", "no msgpack", "a message that is none", "nothing", "no text", "very deep"],
)
def test_a_link_that_carries_garbage_is_cut(fleet: Fleet, data: bytes) -> None:
    link = IncomingLink(fleet[2].node, NodeId(1))
    with pytest.raises(FrameError):
        link.receive(data)
    assert fleet[2].connect()("PING") == b"PONG"


@pytest.mark.parametrize(
    "commands",
    [
        b"*1\r\n$4\r\nPI", b"*1\r\n:4\r\n", b"*0\r\n", b"*1\r\n$4\r\nPING\r\n*1\r\n",
        b"*2\r\n$3\r\nGET\r\n*1\r\n$1\r\nk\r\n", b"\xff" * 70_000,
    ],
    ids=["half a command", "a number", "an empty command", "one and a half", "an array in a command", "a long line"],
)  # fmt: skip
def test_a_request_that_holds_no_commands_cuts_the_link(fleet: Fleet, commands: bytes) -> None:
    """Nothing of it is executed, whatever it begins with."""
    link = IncomingLink(fleet[1].node, NodeId(2))
    applied = fleet[1].node.shard.applied.index
    with pytest.raises(FrameError, match="does not hold commands"):
        link.receive(framed(msgspec.msgpack.encode(Frame(requests=[Request(1, 1, 0, 2, commands)]))))
    fleet.settle()
    assert fleet[1].node.shard.applied.index == applied
    assert fleet[1].connect()("PING") == b"PONG"


def test_a_message_of_another_sender_is_refused(fleet: Fleet) -> None:
    """Who has proved to be node 3 speaks for node 3 only."""
    data = next(data for data in real_frames(fleet) if decode_frame(data).raft)
    with pytest.raises(FrameError, match="not from here"):
        fleet[2].node.incoming.receive_frame(NodeId(3), decode_frame(data))


def test_a_frame_is_not_filled_with_more_than_it_should_hold_unless_one_thing_is_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("redraft.node.peers.FULL_BYTES", 100)
    peers = Peers()
    peers.open(NodeId(2))
    for number, size in enumerate((40, 60, 1, 500, 1, 99)):
        peers.send_answer(NodeId(2), Answer(number, 1, b"x" * size))
    peers.send_request(NodeId(2), Request(9, 1, 0, 2, b"x"))
    frames = [decode_frame(data) for _, data in peers.take_frames(lambda: ClockWord(0, 0))]
    assert [[answer.session for answer in frame.answers] for frame in frames] == [[0, 1], [2], [3], [4, 5], []]
    assert [request.session for request in frames[-1].requests] == [9]
    peers.send_answer(NodeId(2), Answer(1, 1, b"x" * 99))
    peers.send_answer(NodeId(2), Answer(2, 1, b"x" * 99))
    peers.close(NodeId(2))
    assert peers.take_frames(lambda: ClockWord(0, 0)) == []


@pytest.mark.parametrize("wrong", [-(1 << 60), 1 << 60])
def test_a_clock_that_shows_no_time_is_no_word_of_a_clock(wrong: int) -> None:
    good = Frame(clocks=ClockWord(1, 2, 3))
    assert decode_frame(encode_frame(good)) == good
    for place in range(3):
        shown = [1, 2, 3]
        shown[place] = wrong
        with pytest.raises(FrameError):
            decode_frame(encode_frame(Frame(clocks=ClockWord(*shown))))
