"""`redraft image dump DIR`: what is in the images of a stopped node, key by key.

An image holds a shard's keys as of one log entry; what was written after it is in the log (`redraft log dump`). Nothing
in the directory changes. Exit status: see `cli.offline`.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from redraft.cli import contents
from redraft.cli.offline import json_bytes, json_members, members, moment, opened, print_json, print_node
from redraft.commands.dump_contents import content_of
from redraft.errors import DamagedDataError, StorageError, UserError
from redraft.ids import GroupId
from redraft.keyspace import glob
from redraft.rdb import payload
from redraft.resp.quoting import quoted
from redraft.server.shard_storage import point_of
from redraft.shard.shard import FlushPoint
from redraft.storage.image_reader import ImageReader
from redraft.storage.stopped import StoppedDirectory
from redraft.values import codec
from redraft.values.value import AnyValue


def run(arguments: list[str]) -> int:
    """Run `redraft image`; the exit status. Raises UserError, StorageError."""
    parser = argparse.ArgumentParser(prog="redraft image", description="The data on disk of a stopped node.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    dump = verbs.add_parser("dump", help="show its keys, as of the last flush")
    dump.add_argument("dir", help="the node's data directory; it is not changed")
    dump.add_argument("--group", type=int, help="only this shard's group")
    dump.add_argument("--db", type=int, metavar="N", help="only this database")
    dump.add_argument("--match", default="*", metavar="PATTERN", help="only keys that match, as in KEYS")
    dump.add_argument("--limit", type=int, help="show no more keys than this")
    dump.add_argument("--values", action="store_true", help="show what the keys hold")
    dump.add_argument("--payloads", action="store_true", help="show what DUMP would answer, in hex, for RESTORE")
    dump.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    with opened(options.dir) as directory:
        return _Dump(options, directory).run()


class _Dump:
    """One run of the command."""

    def __init__(self, options: argparse.Namespace, directory: StoppedDirectory) -> None:
        self._options = options
        self._directory = directory
        self._matches = glob.matcher(options.match.encode(errors="surrogateescape"))
        self._left = options.limit
        self._now_ms = time.time_ns() // 1_000_000
        self._damaged = False

    def run(self) -> int:
        groups = [group for group in self._directory.groups() if self._options.group in (None, group)]
        print_node(self._directory, as_json=self._options.json)
        if not groups and self._options.group is not None:
            raise UserError(f"redraft: there is no shard {self._options.group} in {self._directory.path}")
        for group in groups:
            if self._directory.installs_snapshot(group):
                self._tell_installation(group)
            try:
                with self._directory.image(group) as image:
                    self._show_image(group, image)
            except StorageError as error:
                self._tell_damage(group, str(error))
        return 1 if self._damaged else 0

    def _tell_damage(self, group: GroupId, sentence: str, **fields: Any) -> None:
        self._damaged = True
        if self._options.json:
            print_json(record="damage", group=group, sentence=sentence, **fields)
        else:
            print(f"damaged: {sentence}")

    def _tell_installation(self, group: GroupId) -> None:
        sentence = (
            "a snapshot was being put into the image's place when the node stopped; its next start goes on with it"
        )
        if self._options.json:
            print_json(record="installation", group=group, sentence=sentence)
        else:
            print(f"group {group}: {sentence}")

    def _show_image(self, group: GroupId, image: ImageReader) -> None:
        meta = image.meta()
        installs = self._directory.installs_snapshot(group)
        if installs and not self._options.json:
            print(
                f"group {group}: a snapshot was being installed when the node stopped: its next start goes on with it"
            )
        if meta is None:
            if self._options.json:
                print_json(record="image", group=group, applied=None, installs_snapshot=installs)
            else:
                print(f"group {group}: the image is empty: nothing was flushed yet, everything is in the log")
            return
        point = point_of(image.path, meta)
        self._show_point(group, meta.format, point)
        self._show_keys(group, image, point)

    def _show_point(self, group: GroupId, form: int, point: FlushPoint) -> None:
        applied, keyspace = point.applied, point.keyspace
        if self._options.json:
            print_json(
                record="image", group=group, format=form,
                applied={"index": applied.index, "term": applied.term, "time_ms": applied.time_ms},
                members=json_members(applied.conf), databases=keyspace.limit,
                waiting=len(keyspace.waiters),
            )  # fmt: skip
            return
        print(f"group {group}: as of entry {applied.index} of term {applied.term}, {moment(applied.time_ms)}")
        print(f"  format {form}; {members(applied.conf)}; {keyspace.limit} databases")
        for waiter in keyspace.waiters:
            print(f"  waiting in database {waiter.database}: {' '.join(map(quoted, waiter.argv))}")

    def _show_keys(self, group: GroupId, image: ImageReader, point: FlushPoint) -> None:
        numbers = {
            generation.to_bytes(4, "big"): number for number, generation in enumerate(point.keyspace.generations)
        }
        shown = 0
        for image_key, record in image.items():
            number, key = numbers.get(image_key[:4]), image_key[4:]
            # A generation without a number is a database that was flushed: its records go at the next start.
            if number is None or self._options.db not in (None, number) or not self._matches(key):
                continue
            if self._left is not None:
                if self._left <= 0:
                    return
                self._left -= 1
            shown += 1
            try:
                self._show_key(group, number, key, record)
            except DamagedDataError as error:
                self._tell_damage(
                    group, f"the key {quoted(key)} of database {number}: {error}", database=number, key=json_bytes(key)
                )
        if not self._options.json:
            print(f"  {shown} {'key' if shown == 1 else 'keys'}")

    def _show_key(self, group: GroupId, number: int, key: bytes, record: bytes) -> None:
        value, deadline_ms = codec.decode(record)
        kind = codec.type_name(value).decode()
        if self._options.json:
            fields: dict[str, Any] = {}
            if self._options.values:
                fields["value"] = contents.as_json(content_of(value))
            if self._options.payloads:
                fields["payload"] = _payload(value)
            print_json(
                record="key", group=group, database=number, key=json_bytes(key), type=kind, deadline_ms=deadline_ms,
                bytes=len(record), **fields,
            )  # fmt: skip
            return
        print(f"[{number}] {quoted(key)}  {kind}, {len(record)} bytes{self._until(deadline_ms)}")
        if self._options.values:
            for line in contents.lines(content_of(value)):
                print(f"    {line}")
        if self._options.payloads:
            print(f"    {_payload(value)}")

    def _until(self, deadline_ms: int | None) -> str:
        if deadline_ms is None:
            return ""
        left = (deadline_ms - self._now_ms) / 1000
        return f", until {moment(deadline_ms)} ({f'{left:.0f} s from now' if left > 0 else 'its time is over'})"


def _payload(value: AnyValue) -> str:
    return payload.dump(content_of(value)).hex()
