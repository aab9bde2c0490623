"""Mistakes on the command line are one sentence and exit status 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redraft.addresses import split_address
from redraft.cli.cluster import COMMANDS
from redraft.cli.main import OTHERS

MISTAKES = [
    (("server", "--bogus", "1"), "Bad directive or wrong number of arguments"),
    (("server", "--port", "abc"), "'--port abc'"),
    (("server", "--join", "nowhere"), "join: 'nowhere' is not HOST:PORT"),
    (("server", "--join", "127.0.0.1:72638"), "join: '127.0.0.1:72638' is not HOST:PORT"),
    (("server", "--initial-cluster", "1=a"), "initial-cluster: '1=a' is not ID=HOST:PORT"),
    (("server", "--initial-cluster", "1=a:65536"), "initial-cluster: '1=a:65536' is not ID=HOST:PORT"),
    (("server", "--initial-cluster", "1=a:1,1=b:2"), "initial-cluster: the node 1 is there twice"),
    (("server", "--join", "a:1", "--initial-cluster", "1=a:1"), "only one of them"),
    (("members", "-a", "127.0.0.1:72638"), "'127.0.0.1:72638' is not HOST:PORT"),
    (("status", "-a", "localhost"), "'localhost' is not HOST:PORT"),
    (("restart",), "there is no command 'restart'"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES, ids=lambda value: " ".join(value) if value else "")
def test_a_mistake_is_one_sentence(
    words: tuple[str, ...], said: str, redraft: Callable[..., Any], tmp_path: Path
) -> None:
    where = ("--port", "0", "--dir", str(tmp_path / "node")) if words[0] == "server" and "--port" not in words else ()
    done = redraft(*words, *where)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert done.err.startswith("redraft: ")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "node" / "node.json").exists()


@pytest.mark.parametrize("address", ["", ":1", "a", "a:", "a:0", "a:65536", "a:-1", "a:1x", "a:\u0661"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        split_address(address)


def test_addresses() -> None:
    assert split_address("localhost:65535") == ("localhost", 65535)
    assert split_address("[::1]:6379") == split_address("::1:6379") == ("::1", 6379)


def test_every_command_is_in_the_help(redraft: Callable[..., Any]) -> None:

    text = redraft("--help").out
    assert [name for name in (*OTHERS, *COMMANDS) if name not in text] == []
