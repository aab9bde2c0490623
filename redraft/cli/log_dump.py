"""`redraft log dump DIR`: what is in the Raft log of a stopped node, entry by entry.

An entry is a fragment of what Redis would call an append-only file (see `shard.entry`), and is shown as the commands
that it holds. Nothing in the directory changes. Exit status: see `cli.offline`.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import msgspec

from redraft.cli.offline import json_bytes, json_members, members, moment, opened, print_json, print_node, words
from redraft.cluster.config_group import Proposal, decode_proposal
from redraft.errors import DamagedDataError, UserError
from redraft.ids import CONFIG_GROUP, GroupId, Index, Term
from redraft.raft.errors import RaftError
from redraft.raft.membership import ChangeKind, ConfChange, decode_change
from redraft.raft.messages import Entry, EntryKind
from redraft.shard import entry as entries
from redraft.shard.entry import EntryHeader, LoggedCommand
from redraft.storage.log_reader import LAST_NUMBER, GroupState, Hole, LogReader
from redraft.storage.stopped import StoppedDirectory

KINDS = {
    "commands": "writes of clients",
    "reap": "keys whose time is over, removed by the leader",
    "internal": "other commands that nodes put into the log by themselves",
    "change": "a change of the members",
    "table": "a change of the config table",
    "no-op": "the beginning of a leader's term",
    "empty": "no command at all",
    "damaged": "what cannot be read",
}


class Shown(NamedTuple):
    """An entry, or entries that cannot be read, as they are shown."""

    kind: str
    first: Index
    last: Index
    term: Term | None = None
    header: EntryHeader | None = None
    commands: list[LoggedCommand] = []
    change: ConfChange | None = None
    proposal: Proposal | None = None
    damage: str = ""


def run(arguments: list[str]) -> int:
    """Run `redraft log`; the exit status. Raises UserError, StorageError."""
    parser = argparse.ArgumentParser(prog="redraft log", description="The Raft log of a stopped node.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    dump = verbs.add_parser("dump", help="show its entries", epilog=_kinds_help(), formatter_class=_Formatter)
    dump.add_argument("dir", help="the node's data directory; it is not changed")
    dump.add_argument("--group", type=int, help="only this Raft group")
    dump.add_argument("--from", dest="first", type=int, default=0, metavar="INDEX", help="the first entry to show")
    dump.add_argument("--to", dest="last", type=int, default=LAST_NUMBER, metavar="INDEX", help="the last one")
    dump.add_argument("--kind", action="append", choices=KINDS, help="only entries of this kind (may be repeated)")
    dump.add_argument("--limit", type=int, help="show no more entries than this")
    dump.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    with opened(options.dir) as directory, directory.log() as log:
        return _Dump(options, directory, log).run()


_Formatter = argparse.RawDescriptionHelpFormatter


def _kinds_help() -> str:
    return "kinds of entries:\n" + "".join(f"  {name:<10} {text}\n" for name, text in KINDS.items())


class _Dump:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, directory: StoppedDirectory, log: LogReader) -> None:
        self._options = options
        self._directory = directory
        self._log = log
        self._left = options.limit
        self._damaged = False

    def run(self) -> int:
        print_node(self._directory, as_json=self._options.json)
        states = self._log.groups()
        for sentence in self._log.damage:
            self._damaged = True
            if self._options.json:
                print_json(record="damage", sentence=sentence)
            else:
                print(f"damaged: {sentence}")
        wanted = [state for state in states if self._options.group in (None, state.group)]
        if not wanted and self._options.group is not None:
            raise UserError(f"redraft: there is no group {self._options.group} in {self._directory.path}")
        for state in wanted:
            self._show_state(state)
            self._show_entries(state)
        return 1 if self._damaged else 0

    def _show_state(self, state: GroupState) -> None:
        hard, start = state.hard_state, state.start
        installs = self._directory.installs_snapshot(state.group)
        if self._options.json:
            told = None if hard is None else {"term": hard.term, "vote": hard.vote, "commit": hard.commit}
            begins = {"index": start.index, "term": start.term, "members": json_members(start.conf)}
            print_json(
                record="group", group=state.group, hard_state=told, start=begins, last=state.last,
                installs_snapshot=installs,
            )  # fmt: skip
            return
        vote = "nobody" if hard is None or not hard.vote else f"node {hard.vote}"
        says = "no term yet" if hard is None else f"term {hard.term}, vote for {vote}, committed up to {hard.commit}"
        there = f"entries {start.index + 1} to {state.last}" if state.last > start.index else "no entries"
        print(f"group {state.group}: {says}; {there}")
        begun_with = f"begun with {members(start.conf)}" if start.conf.members() else members(start.conf)
        print(f"  the log begins after entry {start.index} of term {start.term}; {begun_with}")
        if installs:
            print("  a snapshot was being installed when the node stopped: its next start begins this log anew")

    def _show_entries(self, state: GroupState) -> None:
        for found in self._log.entries(state, self._options.first, self._options.last):
            if isinstance(found, Hole):
                shown = Shown("damaged", found.first, found.last, damage=found.reason)
            else:
                shown = decoded(state.group, found)
            self._damaged = self._damaged or shown.kind == "damaged"
            if self._options.kind and shown.kind not in self._options.kind:
                continue
            if self._left is not None:
                if self._left <= 0:
                    return
                self._left -= 1
            if self._options.json:
                _print_json(state, shown)
            else:
                _print_human(shown)


def decoded(group: GroupId, entry: Entry) -> Shown:
    """What an entry says."""
    shown = Shown("empty", entry.index, entry.index, entry.term)
    try:
        if entry.kind is EntryKind.NOOP:
            return shown._replace(kind="no-op")
        if entry.kind is EntryKind.CHANGE:
            return shown._replace(kind="change", change=decode_change(entry.data))
        if not entry.data:
            return shown
        if group == CONFIG_GROUP:
            return shown._replace(kind="table", proposal=decode_proposal(entry.data))
        commands = list(entries.commands(entry.data))
        return shown._replace(kind=_kind(commands), header=entries.header(entry.data), commands=commands)
    except (DamagedDataError, RaftError) as error:
        return shown._replace(kind="damaged", damage=str(error))


def _kind(commands: list[LoggedCommand]) -> str:
    names = {b" ".join(command.argv[:2]).upper() for command in commands}
    if names == {b"REDRAFT REAP"}:
        return "reap"
    return "internal" if names and all(name.startswith(b"REDRAFT ") for name in names) else "commands"


def _print_human(shown: Shown) -> None:
    index = f"{shown.first}" if shown.first == shown.last else f"{shown.first} to {shown.last}"
    term = "" if shown.term is None else f"  term {shown.term}"
    time = "" if shown.header is None else f"  {moment(shown.header.time_ms)}"
    print(f"{index}{term}  {shown.kind}{time}{_after(shown)}")
    for database, argv in shown.commands:
        print(f"    [{database}] {words(argv)}")


def _after(shown: Shown) -> str:
    if shown.damage:
        return f": {shown.damage}"
    if shown.proposal is not None:
        return f": {shown.proposal.change}"
    if shown.change is None:
        return ""
    if not shown.change.changes:
        return ": the joint configuration is left"
    verbs = {ChangeKind.ADD_VOTER: "voter", ChangeKind.ADD_LEARNER: "learner", ChangeKind.REMOVE: "removed"}
    return ": " + ", ".join(f"node {each.node} {verbs[each.kind]}" for each in shown.change.changes)


def _print_json(state: GroupState, shown: Shown) -> None:
    fields: dict[str, Any] = {"record": "entry", "group": state.group, "index": shown.first, "kind": shown.kind}
    if shown.last != shown.first:
        fields["last"] = shown.last
    if shown.term is not None:
        fields["term"] = shown.term
    if shown.header is not None:
        fields["time_ms"], fields["seed"] = shown.header[:2]
        fields["commands"] = [
            {"database": database, "argv": [json_bytes(word) for word in argv]} for database, argv in shown.commands
        ]
    if shown.change is not None:
        fields["changes"] = [
            {"kind": each.kind.name.lower().replace("_", "-"), "node": each.node} for each in shown.change.changes
        ]
    if shown.proposal is not None:
        fields["proposal"] = msgspec.to_builtins(shown.proposal.change)
    if shown.damage:
        fields["damage"] = shown.damage
    print_json(**fields)
