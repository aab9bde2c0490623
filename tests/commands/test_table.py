"""The command table: what every declaration keeps to, and how it agrees with that of Redis 7.0.

The commands of connections and of the node are declared in the same table, and looked at here too.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from redraft.commands import errors
from redraft.commands.key_finders import StreamsFinder, numkeys_at
from redraft.commands.table import FLAGS, REDIS_CATEGORIES, Command, CommandTable, Kind, command, container
from redraft.errors import CommandError
from redraft.levels import NEWEST
from redraft.node.families.all import TABLE
from redraft.node.families.introspection import describe
from redraft.resp.reply import Map, Status
from support.processes import RedisServer
from support.shell import RealShell

GROUPS = {
    "bitmap", "cluster", "connection", "generic", "geo", "hash", "hyperloglog", "list", "pubsub", "scripting", "server",
    "set", "sorted-set", "stream", "string", "transactions",
}  # fmt: skip

DIFFERENCES = {
    "redraft": "redraft's own: what nodes log by themselves",
    "client|setinfo": "of Redis 7.2; client libraries send it to every server, and count on an error at the worst",
    "client|no-touch": "of Redis 7.2",
    "waitaof": "of Redis 7.2",
    "debug|*": "a plain command with a first argument in Redis; the same to whoever calls it",
}
"""What is meant to differ from Redis 7.0, and why. A name is a command's, or `container|*` for all its sub-commands."""

EVERY = [each for declared in TABLE for each in (declared, *declared.subcommands.values())]


def names(commands: Iterable[Command]) -> list[str]:
    return [each.name for each in commands]


# What every declaration keeps to.


def test_groups_are_those_that_redis_shows() -> None:
    assert {"connection", "generic", "server", "string", "transactions"} <= {each.group for each in EVERY} <= GROUPS
    assert len(EVERY) > 100


@pytest.mark.parametrize("declared", EVERY, ids=names(EVERY))
def test_a_declaration_tells_all_that_command_docs_shows(declared: Command) -> None:
    assert declared.summary
    assert declared.summary[0].isupper() or declared.summary[0].isdigit()
    assert not declared.summary.endswith("."), "a summary is no sentence"
    assert declared.summary == declared.summary.strip()
    assert declared.complexity
    parts = declared.since.split(".")
    assert len(parts) == 3
    assert all(part.isdigit() for part in parts)


@pytest.mark.parametrize("declared", EVERY, ids=names(EVERY))
def test_flags_and_categories_are_redis_s(declared: Command) -> None:
    assert declared.flags <= FLAGS
    assert declared.categories <= set(REDIS_CATEGORIES)
    found = declared.acl_categories()
    assert len(found) == len(set(found))
    assert ("fast" in found) != ("slow" in found)
    assert ("write" in found) == ("write" in declared.flags)


@pytest.mark.parametrize("declared", EVERY, ids=names(EVERY))
def test_a_kind_follows_from_the_flags(declared: Command) -> None:
    expected = {"write": Kind.DATA_WRITE, "readonly": Kind.DATA_READ}
    if declared.name == "pfcount":  # keeps its result in the value
        expected["readonly"] = Kind.DATA_WRITE
    assert declared.kind == next((kind for flag, kind in expected.items() if flag in declared.flags), Kind.SESSION)
    assert declared.denies_oom == ("denyoom" in declared.flags)
    assert not declared.denies_oom or declared.kind is Kind.DATA_WRITE


WITH_KEYS = [each for each in EVERY if each.first_key or each.find_keys]


@pytest.mark.parametrize("declared", WITH_KEYS, ids=names(WITH_KEYS))
def test_every_key_lies_within_the_fewest_arguments_and_is_told_with_its_use(declared: Command) -> None:
    argc = abs(declared.arity)
    argv = [b"name", *(b"1" for _ in range(argc - 1))]
    if isinstance(declared.find_keys, StreamsFinder):
        argv[-3] = b"STREAMS"
    positions = declared.key_positions(argv)
    assert positions
    assert all(0 < position < argc for position in positions)
    assert positions == sorted(positions)
    assert declared.key_access
    first_words = [access.split()[0] for access in declared.key_access.split(";")]
    assert set(first_words) <= {"RO", "RW", "OW", "RM"}
    if declared.kind is Kind.DATA_READ:
        assert set(first_words) == {"RO"}


INTERNAL = ("reap", "databases", "thresholds", "waiter", "unblock")


def test_a_write_to_keys_is_known_by_them_and_others_are_listed_here() -> None:
    """Routing and WATCH look at key positions; a write without any concerns whole databases."""
    keyless = {each.name for each in EVERY if each.kind is Kind.DATA_WRITE and each not in WITH_KEYS}
    internal = {f"redraft|{name}" for name in INTERNAL}
    assert keyless == {"flushall", "flushdb", "swapdb", "function|delete", "function|flush", *internal}


@pytest.mark.parametrize("declared", EVERY, ids=names(EVERY))
def test_a_handler_takes_a_context_and_the_words(declared: Command) -> None:
    if declared.handler is None:
        assert declared.subcommands, "only a container may do nothing by itself"
    else:
        assert len(inspect.signature(declared.handler).parameters) == 2


@pytest.mark.parametrize("declared", EVERY, ids=names(EVERY))
def test_the_arity_decides_how_many_arguments_are_taken(declared: Command) -> None:
    least = abs(declared.arity)
    assert declared.accepts(least)
    assert not declared.accepts(least - 1)
    assert declared.accepts(least + 1) == declared.accepts(least + 100) == (declared.arity < 0)
    assert least >= (2 if "|" in declared.name or (declared.subcommands and declared.handler is None) else 1)


@pytest.mark.parametrize("declared", list(TABLE), ids=names(TABLE))
def test_a_command_is_found_by_its_name_in_any_case(declared: Command) -> None:
    argv = [b"x"] * (abs(declared.arity) - 1)
    if declared.subcommands:
        argv = []
    for name in (declared.name, declared.name.upper(), declared.name.title(), declared.name.swapcase()):
        assert TABLE.maybe_get(name.encode()) is declared
        assert TABLE.find(name.encode()) is declared
        if declared.accepts(1 + len(argv)):
            assert TABLE.lookup([name.encode(), *argv]) is declared
    for sub in declared.subcommands.values():
        words = [*sub.name.encode().split(b"|"), *([b"x"] * (abs(sub.arity) - 2))]
        for cased in (words, [word.upper() for word in words], [word.title() for word in words]):
            assert TABLE.lookup_logged(cased) is sub
        assert TABLE.find(sub.name.encode()) is TABLE.find(sub.name.upper().encode()) is sub


# Looking commands up.


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([b"GET"], "ERR wrong number of arguments for 'get' command"),
        ([b"gEt", b"a", b"b"], "ERR wrong number of arguments for 'get' command"),
        ([b"OBJECT", b"encoding"], "ERR wrong number of arguments for 'object|encoding' command"),
        ([b"nosuch"], "ERR unknown command 'nosuch', with args beginning with: "),
        ([b"nosuch", b"a", b"b c"], "ERR unknown command 'nosuch', with args beginning with: 'a' 'b c' "),
        ([b""], "ERR unknown command '', with args beginning with: "),
        ([b"x" * 200], f"ERR unknown command '{'x' * 128}', with args beginning with: "),
        (
            [b"nosuch", b"y" * 200, b"z"],
            f"ERR unknown command 'nosuch', with args beginning with: '{'y' * 128}' ",
        ),
        (
            [b"nosuch", b"y" * 100, b"z" * 100, b"a"],
            f"ERR unknown command 'nosuch', with args beginning with: '{'y' * 100}' '{'z' * 25}' ",
        ),
        ([b"OBJECT", b"nosuch"], "ERR unknown subcommand 'nosuch'. Try OBJECT HELP."),
        ([b"oBject", b"noSuch", b"k"], "ERR unknown subcommand 'noSuch'. Try OBJECT HELP."),
        ([b"OBJECT", b"x" * 200], f"ERR unknown subcommand '{'x' * 128}'. Try OBJECT HELP."),
        ([b"OBJECT|ENCODING", b"k"], "ERR unknown command 'OBJECT|ENCODING', with args beginning with: 'k' "),
        ([b"no\0such", b"a\0b"], "ERR unknown command 'no', with args beginning with: 'a' "),
        ([b"n\xff"], "ERR unknown command 'n\xff', with args beginning with: "),
    ],
)
def test_what_is_not_there_is_refused_in_the_words_of_redis(argv: list[bytes], text: str) -> None:
    with pytest.raises(CommandError) as caught:
        TABLE.lookup(argv)
    assert caught.value.text == text


@pytest.mark.redis_server
def test_redis_refuses_in_these_words(redis_server: RedisServer) -> None:
    real = RealShell(redis_server.port)
    marks = test_what_is_not_there_is_refused_in_the_words_of_redis.pytestmark  # type: ignore[attr-defined]
    for argv, text in marks[0].args[1]:
        assert real.error(*argv) == text
    real.close()


def test_a_wrong_number_of_arguments_is_counted_as_a_rejected_call() -> None:
    table = CommandTable(TABLE)
    for _ in range(2):
        with pytest.raises(CommandError):
            table.lookup([b"GET"])
    get = table.maybe_get(b"get")
    assert get is not None
    assert (get.rejected_calls, get.calls) == (2, 0)


def test_a_copied_table_counts_by_itself() -> None:
    table = CommandTable(TABLE)
    assert names(table) == names(TABLE)
    for ours, original in zip(table, TABLE, strict=True):
        assert ours is not original
        assert describe(ours)[:6] == describe(original)[:6]
        assert names(ours.subcommands.values()) == names(original.subcommands.values())
        assert not set(map(id, ours.subcommands.values())) & set(map(id, original.subcommands.values()))


# Declaring.


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> CommandTable:
    """A table of the test's own, which declarations go to."""
    empty = CommandTable()
    monkeypatch.setattr("redraft.commands.table.TABLE", empty)
    return empty


def declare(name: str = "X", arity: int = 1, flags: str = "", **more: Any) -> None:
    command(name, arity, flags, group="server", since="1.0.0", summary="Do", **more)(lambda context, argv: None)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"flags": "write nosuch"}, "unknown flags"),
        ({"flags": "write readonly"}, "both write and readonly"),
        ({"arity": 0}, "arity 0"),
        ({"access": "RW update"}, "key access without keys"),
        ({"name": "NOSUCH SUB"}, "nosuch is not declared"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        declare(**arguments)


def test_a_name_is_declared_once(table: CommandTable) -> None:
    declare("X")
    with pytest.raises(ValueError, match="x is declared twice"):
        declare("X")
    assert len(table) == 1


def test_a_sub_command_is_found_through_its_container(table: CommandTable) -> None:
    container("BOX", -2, group="server", since="1.0.0", summary="Things")
    declare("BOX OPEN", 3)
    box = table.maybe_get(b"BOX")
    assert box is not None
    assert set(box.subcommands) == {b"help", b"open"}
    assert table.lookup([b"box", b"OPEN", b"x"]).name == "box|open"
    with pytest.raises(CommandError, match=r"unknown subcommand 'shut'. Try BOX HELP"):
        table.lookup([b"box", b"shut"])
    handler = box.subcommands[b"help"].handler
    assert handler is not None
    lines = [line.text for line in handler(None, [b"BOX", b"HELP"])]
    assert lines[1:] == [b"HELP", b"    Print this help", b"OPEN", b"    Do"]


@pytest.mark.parametrize(
    ("keys", "argc", "positions"),
    [
        ((1, 1, 1), 3, [1]),
        ((1, -1, 1), 4, [1, 2, 3]),
        ((1, -1, 2), 5, [1, 3]),
        ((1, -2, 1), 4, [1, 2]),
        ((2, 2, 1), 3, [2]),
        ((0, 0, 0), 3, []),
    ],
)
def test_key_positions_are_first_last_and_step(
    table: CommandTable, keys: tuple[int, int, int], argc: int, positions: list[int]
) -> None:
    declare("X", -2, keys=keys)
    assert table.lookup([b"X"] * argc).key_positions([b"x"] * argc) == positions


def test_keys_may_be_counted_in_the_arguments() -> None:
    assert numkeys_at(1)([b"x", b"2", b"a", b"b", b"more"]) == [2, 3]
    assert numkeys_at(2, first=1)([b"x", b"to", b"1", b"a"]) == [1, 3]
    for argv in ([b"x"], [b"x", b"0", b"a"], [b"x", b"-1", b"a"], [b"x", b"y", b"a"], [b"x", b"3", b"a", b"b"]):
        with pytest.raises(CommandError, match="Invalid arguments specified for command"):
            numkeys_at(1)(argv)


# Redis's own table.


def plain(value: Any) -> Any:
    """A part of COMMAND INFO: maps as dicts (redraft's `Map`; Redis sends them flat in RESP2), sets of words sorted."""
    if isinstance(value, Status):
        return value.text
    if isinstance(value, Map):
        if not value:
            return []  # as it comes from Redis in RESP2
        return {key: plain(element) for key, element in value}
    if isinstance(value, list):
        if value and all(isinstance(element, Status) for element in value):
            return sorted(element.text for element in value)
        if value and isinstance(value[0], bytes) and len(value) % 2 == 0:
            return {key: plain(element) for key, element in zip(value[::2], value[1::2], strict=True)}
        return [plain(element) for element in value]
    return value


def told(information: list[Any]) -> dict[str, Any]:
    """What COMMAND INFO tells about one command, sub-commands apart."""
    name, arity, flags, first, last, step, categories, tips, specifications, _ = information
    return {
        "name": name,
        "arity": arity,
        "flags": plain(flags) or [],
        "key positions": (first, last, step),
        "categories": plain(categories),
        "tips": sorted(tips),
        "key specifications": [
            {part: plain(each)[part] for part in (b"flags", b"begin_search", b"find_keys")} for each in specifications
        ],
    }


def subcommands(information: list[Any]) -> dict[str, list[Any]]:
    return {sub[0].decode(): sub for sub in information[9]}


def differs_on_purpose(name: str) -> bool:
    return name in DIFFERENCES or f"{name.partition('|')[0]}|*" in DIFFERENCES


@pytest.mark.redis_server
def test_redis_has_every_command_and_tells_the_same_about_it(redis_server: RedisServer) -> None:
    real = RealShell(redis_server.port)
    compared = []
    for declared in TABLE:
        theirs = real("COMMAND", "INFO", declared.name)[0]
        if theirs is None:
            assert differs_on_purpose(declared.name), f"{declared.name} is not in Redis"
            continue
        assert told(describe(declared)) == told(theirs)
        compared.append(declared.name)
        their_subs = subcommands(theirs)
        for sub in declared.subcommands.values():
            if differs_on_purpose(sub.name):
                assert sub.name not in their_subs, f"{sub.name} need not be listed as a difference"
                continue
            assert told(describe(sub)) == told(their_subs[sub.name])
            compared.append(sub.name)
    real.close()
    assert len(compared) > 100


@pytest.mark.redis_server
def test_redis_answers_a_null_for_a_command_that_is_not_there(redis_server: RedisServer) -> None:
    real = RealShell(redis_server.port)
    info = TABLE.find(b"command|info")
    assert info is not None
    assert info.handler is not None
    context = SimpleNamespace(node=SimpleNamespace(table=TABLE))
    argv = [b"COMMAND", b"INFO", b"nosuch", b"object|nosuch"]
    assert info.handler(context, argv) == real(*argv) == [None, None]
    real.close()


@pytest.mark.redis_server
def test_redis_tells_the_same_since_and_group(redis_server: RedisServer) -> None:
    real = RealShell(redis_server.port)
    for declared in TABLE:
        theirs = plain(real("COMMAND", "DOCS", declared.name))
        if declared.name in DIFFERENCES:
            continue
        theirs = theirs[declared.name.encode()]
        their_subs = theirs.get(b"subcommands", {})
        pairs = [(declared, theirs)] + [
            (sub, their_subs[sub.name.encode()])
            for sub in declared.subcommands.values()
            if not differs_on_purpose(sub.name)
        ]
        for ours, docs in pairs:
            assert (ours.name, ours.since, ours.group) == (ours.name, docs[b"since"].decode(), docs[b"group"].decode())
    real.close()


def test_error_texts_are_those_of_redis() -> None:
    """A look at the whole page of texts: every one begins with its code."""
    texts = [text for name, text in vars(errors).items() if name.isupper() and isinstance(text, str)]
    assert len(texts) > 20
    for text in texts:
        assert text.split(" ")[0].isupper(), text
        assert "\n" not in text


def test_a_run_is_of_one_command_in_one_spelling_that_takes_the_arguments_of_each() -> None:
    get, mset = TABLE.find(b"get"), TABLE.find(b"mset")
    assert TABLE.lookup_run([[b"GET", b"k"]]) is get
    assert TABLE.lookup_run([[b"get", b"k"], [b"get", b"l"]]) is get
    assert TABLE.lookup_run([[b"MSET", b"k", b"1"], [b"MSET", b"k", b"1", b"l", b"2"]]) is mset
    for run in (
        [[b"GET"]],
        [[b"GET", b"k"], [b"GET"]],
        [[b"GET", b"k"], [b"GET", b"k", b"l"]],
        [[b"GET", b"k"], [b"get", b"k"]],
        [[b"GET", b"k"], [b"STRLEN", b"k"]],
        [[b"gEt", b"k"]],
        [[b"NONE", b"k"]],
        [[b"CLIENT", b"ID"]],
    ):
        assert TABLE.lookup_run(run) is None, run


def test_commands_above_the_level_are_not_called_and_are_executed_where_the_log_has_them() -> None:
    table = CommandTable(TABLE)
    table.add(Command("later", len, 1, frozenset({"write"}), "string", "99", "Newer", level=NEWEST + 1))
    sub = Command("object|later", len, 2, frozenset({"readonly"}), "generic", "99", "Newer", level=NEWEST + 1)
    container_command = table.find(b"object")
    assert container_command is not None
    container_command.subcommands[b"later"] = sub
    for argv in ([b"later"], [b"LATER"], [b"lAter"], [b"OBJECT", b"later"]):
        with pytest.raises(
            CommandError, match=f"needs feature level {NEWEST + 1}, and the cluster is at {NEWEST} until"
        ):
            table.lookup(argv)
        assert table.lookup_logged(argv).level == NEWEST + 1
    assert table.lookup_run([[b"LATER"]]) is None
    table.allow(NEWEST + 1)
    assert table.lookup([b"LATER"]) is table.lookup_run([[b"LATER"]]) is table.find(b"later")
    assert table.lookup([b"OBJECT", b"LATER"]) is sub
    table.allow(NEWEST)
    assert table.lookup_run([[b"LATER"]]) is None
    assert table.lookup([b"GET", b"k"]) is table.find(b"get")


def test_the_words_of_the_log_are_unknown_to_clients_and_known_to_the_log() -> None:
    words = [each for each in EVERY if each.internal]
    assert {each.name for each in words} == {f"redraft|{name}" for name in INTERNAL}
    for each in words:
        argv = [*each.name.encode().split(b"|"), *[b"1"] * (abs(each.arity) - 2)]
        assert TABLE.lookup_logged(argv) is each
        for called in (argv, argv[:2], [argv[0].upper(), argv[1].title(), *argv[2:]]):
            for lookup in (TABLE.lookup, TABLE.lookup_passed):
                with pytest.raises(CommandError, match=f"ERR unknown subcommand '{called[1].decode()}'. Try REDRAFT"):
                    lookup(called)
    (container_command,) = [each for each in TABLE if each.name == "redraft"]
    assert not {each.name for each in container_command.public_subcommands()} & {each.name for each in words}
