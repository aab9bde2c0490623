"""The leader's side of a session that is at another node."""

from __future__ import annotations

from redraft.ids import NodeId
from redraft.node.peers import Request, decode_frame
from redraft.shard.entry import pack
from support.fleet import Fleet

SECOND = NodeId(2)


def test_a_request_that_was_given_up_answers_nobody() -> None:
    """A broken network held it back until its node had told the client that the outcome is unknown; then it arrives,
    right before the client's next."""
    fleet = Fleet()
    fleet.elect()
    leader = fleet[1]
    leader.node.guests.requested(SECOND, Request(5, 1, 0, 2, pack((b"INCR", b"n"))))
    leader.node.guests.requested(SECOND, Request(5, 2, 0, 2, pack((b"ECHO", b"next"))))
    answers = []
    for _ in range(5):
        fleet.tick_all()
        answers += [
            answer
            for sender, to, data in fleet.frames
            if (sender, to) == (1, 2)
            for answer in decode_frame(data).answers
        ]
    assert [(answer.number, answer.data) for answer in answers] == [(2, b"$4\r\nnext\r\n")]
    assert leader.connect()("GET n") == b"1"
