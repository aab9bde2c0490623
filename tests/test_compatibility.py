"""docs/compatibility.md must not promise a command that is not there, nor hide one that is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from redraft.commands import absent
from redraft.node.families.all import TABLE
from support.processes import Connection, RedisServer

DOCUMENT = Path(__file__).parent.parent / "docs" / "compatibility.md"
THERE = {"supported", "differs"}
OWN = {"redraft", "client|no-touch", "client|setinfo", "waitaof"}
"""Named in the text above the tables."""


def stated() -> dict[str, str]:
    """Each command's full name, and what the document says of it."""
    rows = re.findall(r"^\| ([A-Z_ -]+) \| ([a-z ]+) \| (.*)\|$", DOCUMENT.read_text(), re.MULTILINE)
    assert all(note.strip() for _, support, note in rows if support != "supported"), "a difference that is not told"
    return {name.lower().replace(" ", "|"): support for name, support, _ in rows}


def built() -> set[str]:
    """The full names of redraft's commands and sub-commands."""
    commands = list(TABLE)
    return {c.name for c in commands} | {sub.name for c in commands for sub in (c.subcommands or {}).values()}


def test_the_document_says_what_there_is() -> None:
    names = built()
    for name, support in stated().items():
        assert support in {*THERE, "not yet", "not offered"}, f"{name}: {support}"
        assert (name in names) == (support in THERE), f"{name} is stated as {support}"


def test_a_client_is_told_what_the_document_says() -> None:
    for kind, reasons in (("not yet", absent.NOT_YET), ("not offered", absent.NOT_OFFERED)):
        told = {
            name.lower().replace(" ", "|"): note.strip()
            for name, support, note in re.findall(
                r"^\| ([A-Z_ -]+) \| ([a-z ]+) \| (.*)\|$", DOCUMENT.read_text(), re.MULTILINE
            )
            if support == kind
        }
        # Sub-commands of a container that is missing itself are not asked for by name.
        told = {name: note for name, note in told.items() if name.rpartition("|")[0] not in reasons}
        assert told == reasons


def test_no_command_is_left_out() -> None:
    missing = built() - set(stated())
    assert not {name for name in missing if name not in OWN and name.split("|")[0] not in {"redraft", "debug"}}


def test_the_counts_in_the_text_are_right() -> None:
    support = list(stated().values())
    counts = [len(support), support.count("supported"), support.count("differs")]
    counts.append(len(support) - sum(counts[1:]))
    text = " ".join(DOCUMENT.read_text().split())
    told = re.search(r"Of (\d+) there are (\d+) supported, (\d+) that differ, and (\d+) that are missing", text)
    assert told is not None
    assert [int(number) for number in told.groups()] == counts


@pytest.mark.redis_server
def test_every_command_of_redis_is_named(redis_server: RedisServer) -> None:
    connection = Connection(redis_server.port)
    names = {name.decode() for name in connection("COMMAND", "LIST")}
    assert names - set(stated()) == set()
