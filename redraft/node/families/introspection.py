"""COMMAND: the command table, told to clients (Redis: server.c, commandCommand and its sub-commands)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from redraft.commands import errors
from redraft.commands.key_finders import KeywordFinder, NumkeysFinder, StreamsFinder
from redraft.commands.table import Command, command, container
from redraft.errors import CommandError
from redraft.keyspace import glob
from redraft.node.context import SessionContext
from redraft.resp.reply import Map, SetReply, Status

_INVALID_COMMAND = "ERR Invalid command specified"
_NO_KEYS = "ERR The command has no key arguments"
_BAD_ARGUMENT_COUNT = "ERR Invalid number of arguments specified for command"
_UNORDERED = ("nondeterministic_output_order",)

_sub = partial(command, flags="loading stale", group="server", acl="connection")


def _statuses(words: list[str] | tuple[str, ...]) -> list[Status]:
    return [Status(word.encode()) for word in words]


def describe(declared: Command) -> list[Any]:
    """A command as COMMAND INFO shows it: ten elements."""
    return [
        declared.name.encode(),
        declared.arity,
        SetReply(_statuses(sorted(declared.flags))),
        declared.first_key,
        declared.last_key,
        declared.key_step,
        SetReply(_statuses([f"@{category}" for category in declared.acl_categories()])),
        SetReply([tip.encode() for tip in declared.tips]),
        SetReply(_key_specs(declared)),
        SetReply([describe(sub) for sub in declared.public_subcommands()]),
    ]


_KEYS_COUNTED = [
    (b"type", b"keynum"),
    (b"spec", Map([(b"keynumidx", 0), (b"firstkey", 1), (b"keystep", 1)])),
]


def _key_index(position: int | None) -> list[Any]:
    return [(b"type", b"index"), (b"spec", Map([(b"index", position)]))]


def _key_keyword(keyword: bytes, start: int) -> list[Any]:
    return [(b"type", b"keyword"), (b"spec", Map([(b"keyword", keyword), (b"startfrom", start)]))]


def _key_range(last: int, step: int, limit: int = 0) -> list[Any]:
    return [(b"type", b"range"), (b"spec", Map([(b"lastkey", last), (b"keystep", step), (b"limit", limit)]))]


def _key_specs(declared: Command) -> list[Any]:
    """Where keys stand, as Redis's key specifications: one for each access that is declared."""
    specs: list[Any] = []
    accesses = [words.split() for words in declared.key_access.split(";")] if declared.key_access else []
    for number, flags in enumerate(accesses):
        finder = declared.find_keys
        if isinstance(finder, NumkeysFinder):
            before = finder.first is not None and number == 0
            search = _key_index(finder.first if before else finder.position)
            find = _key_range(0, 1) if before else _KEYS_COUNTED
        elif isinstance(finder, KeywordFinder) and not (finder.anywhere and number):
            search = _key_keyword(finder.keywords[number - 1], finder.start) if number else _key_index(1)
            find = _key_range(0, 1)
        elif isinstance(finder, StreamsFinder):
            search, find = _key_keyword(b"STREAMS", finder.start), _key_range(-1, 1, limit=2)
        elif finder is not None:
            search, find = [(b"type", b"unknown"), (b"spec", Map())], [(b"type", b"unknown"), (b"spec", Map())]
        else:
            several = len(accesses) > 1
            first = declared.first_key + number * declared.key_step if several else declared.first_key
            last = declared.last_key
            if last < 0 and number == len(accesses) - 1:
                reach = last
            else:
                reach = 0 if several or last == declared.first_key else last - first
            search = _key_index(first)
            find = _key_range(reach, 1 if reach == 0 else declared.key_step)
        specs.append(
            Map(
                [
                    (b"flags", SetReply(_statuses(flags))),
                    (b"begin_search", Map(search)),
                    (b"find_keys", Map(find)),
                ]
            )
        )
    return specs


def _all(context: SessionContext) -> Iterator[Command]:
    for declared in context.node.table:
        if not declared.name.startswith("redraft"):
            yield declared


def public_commands(context: SessionContext) -> Iterator[Command]:
    """Every command that clients may know of, and the sub-commands of each behind it."""
    for declared in _all(context):
        yield declared
        yield from declared.public_subcommands()


def command_(context: SessionContext, argv: list[bytes]) -> Any:
    """COMMAND without a sub-command."""
    return [describe(declared) for declared in _all(context)]


container(
    "COMMAND", -1, "loading stale", group="server", since="2.8.13", acl="connection",
    summary="Tell about all commands", handler=command_, tips=_UNORDERED,
)  # fmt: skip


@_sub("COMMAND COUNT", 2, since="2.8.13", summary="Count the commands")
def count(context: SessionContext, argv: list[bytes]) -> Any:
    return sum(1 for _ in _all(context))


@_sub("COMMAND INFO", -2, since="2.8.13", summary="Tell about the named commands, or all", tips=_UNORDERED)
def info(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) == 2:
        return command_(context, argv)
    found = [context.node.table.find(name) for name in argv[2:]]
    return [None if declared is None else describe(declared) for declared in found]


@_sub("COMMAND DOCS", -2, since="7.0.0", summary="Explain the named commands, or all", tips=_UNORDERED)
def docs(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) == 2:
        wanted = list(_all(context))
    else:
        wanted = [declared for name in argv[2:] if (declared := context.node.table.find(name)) is not None]
    return Map([(declared.name.encode(), _docs(declared)) for declared in wanted])


def _docs(declared: Command) -> Map:
    entry = Map(
        [
            (b"summary", declared.summary.encode()),
            (b"since", declared.since.encode()),
            (b"group", declared.group.encode()),
            (b"complexity", declared.complexity.encode()),
        ]
    )
    if declared.subcommands:
        subs = [(sub.name.encode(), _docs(sub)) for sub in declared.public_subcommands()]
        entry.append((b"subcommands", Map(subs)))
    return entry


@_sub("COMMAND LIST", -2, since="7.0.0", summary="List the names of commands", tips=_UNORDERED)
def list_(context: SessionContext, argv: list[bytes]) -> Any:
    every = list(public_commands(context))
    if len(argv) == 2:
        return [declared.name.encode() for declared in every]
    if len(argv) != 5 or argv[2].lower() != b"filterby":
        raise CommandError(errors.SYNTAX)
    kind, argument = argv[3].lower(), argv[4]
    if kind == b"module":
        return []
    if kind == b"aclcat":
        wanted = argument.decode("latin-1").lower()
        return [declared.name.encode() for declared in every if wanted in declared.acl_categories()]
    if kind == b"pattern":
        matches = glob.matcher(argument.lower())
        return [declared.name.encode() for declared in every if matches(declared.name.encode())]
    raise CommandError(errors.SYNTAX)


@_sub("COMMAND GETKEYS", -4, since="2.8.13", summary="Tell the keys of a whole command line")
def getkeys(context: SessionContext, argv: list[bytes]) -> Any:
    _, words, positions = _keys_of(context, argv)
    return [words[position] for position in positions]


@_sub("COMMAND GETKEYSANDFLAGS", -4, since="7.0.0", summary="Tell the keys of a whole command line and their use")
def getkeysandflags(context: SessionContext, argv: list[bytes]) -> Any:
    declared, words, positions = _keys_of(context, argv)
    accesses = [access.split() for access in _key_access(declared, words).split(";")]
    return [
        [words[position], SetReply(_statuses(accesses[min(number, len(accesses) - 1)]))]
        for number, position in enumerate(positions)
    ]


def _key_access(declared: Command, words: list[bytes]) -> str:
    """How a whole command line uses its keys: SET and BITFIELD read, write or both (`variable_flags`)."""
    if "variable_flags" not in declared.key_access:
        return declared.key_access
    options = [word.lower() for word in words[2:]]
    if declared.name == "set":
        return "RW access update" if b"get" in options[1:] else "OW update"
    position = 0
    while position < len(options):
        taken = {b"get": 3, b"overflow": 2}.get(options[position])
        if taken is None or position + taken > len(options):
            return "RW access update"
        position += taken
    return "RO access"


def _keys_of(context: SessionContext, argv: list[bytes]) -> tuple[Command, list[bytes], list[int]]:
    words = argv[2:]
    table = context.node.table
    declared = table.maybe_get(words[0])
    if declared is not None and declared.subcommands and len(words) > 1:
        declared = declared.subcommands.get(words[1].lower())
    if declared is None:
        raise CommandError(_INVALID_COMMAND)
    if not (declared.first_key or declared.find_keys):
        raise CommandError(_NO_KEYS)
    if not declared.accepts(len(words)):
        raise CommandError(_BAD_ARGUMENT_COUNT)
    return declared, words, declared.key_positions(words)
