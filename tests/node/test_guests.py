"""The leader's side of a session that is at another node."""

from __future__ import annotations

import pytest

from redraft.ids import NodeId
from redraft.node.peers import Request, decode_frame
from redraft.shard.entry import pack
from support.fleet import Fleet, say
from support.processes import ReplyError

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


def test_replies_that_are_too_large_for_a_frame_are_errors_one_for_each_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("redraft.node.guests.MOST_ANSWER_BYTES", 100)
    fleet = Fleet()
    fleet.elect()
    client = fleet[2].connect()
    assert say(fleet, client, "SET k " + "x" * 80, "GET k") == [b"OK", b"x" * 80]
    replies = say(fleet, client, "SET n 1", "GET k", "GET k")
    assert len(replies) == 3
    assert all(isinstance(reply, ReplyError) and "too large to be passed on" in str(reply) for reply in replies)
    (reply,) = say(fleet, client, "MULTI", "SET n 2", "GET k", "GET k", "EXEC")[-1:]
    assert isinstance(reply, ReplyError)
    assert say(fleet, client, "GET n") == [b"2"], "they were executed all the same"


def test_a_node_lets_in_what_another_has_let_in() -> None:
    fleet = Fleet(proto_max_bulk_len="1mb")
    fleet.elect()
    parser = fleet[1].node.guests._guest(SECOND, 1).parser
    assert parser.feed(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % (600 << 20)) == []
    assert parser.error is None
