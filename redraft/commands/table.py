"""The command table: what Redis's COMMAND and COMMAND DOCS report, declared once beside each handler.

A declaration is checked when it is made (`Command.__post_init__`) and serves everything that must know about a command
without running it: routing (write, read or session; key positions), arity errors, COMMAND, ACL categories, WATCH and
the documentation.

Kinds. `DATA_WRITE` goes through the log; `DATA_READ` is executed on the shard's keyspace; `SESSION` concerns the
connection or the node and is executed by the node at once, in the client's order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from redraft.commands import errors
from redraft.levels import FIRST, NEWEST
from redraft.resp.reply import Status

Reply = Any
"""A reply value, see `resp.reply`."""
Handler = Callable[[Any, list[bytes]], Reply]
RunHandler = Callable[[Any, list[list[bytes]]], "list[Reply] | None"]
KeyFinder = Callable[[list[bytes]], list[int]]

FLAGS = frozenset(
    {
        "write",
        "readonly",
        "denyoom",
        "admin",
        "pubsub",
        "noscript",
        "blocking",
        "loading",
        "stale",
        "skip_monitor",
        "skip_slowlog",
        "asking",
        "fast",
        "no_auth",
        "may_replicate",
        "no_multi",
        "movablekeys",
        "allow_busy",
        "no_async_loading",
        "sentinel",
        "only_sentinel",
        "no_mandatory_keys",
    }
)
"""Flags as COMMAND INFO shows them (Redis 7.0, server.h)."""
REDIS_CATEGORIES = (
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
)


class Kind(enum.IntEnum):
    """Where a command is executed."""

    DATA_WRITE = 0
    DATA_READ = 1
    SESSION = 2


@dataclass(slots=True, eq=False)
class Command:
    """One command, or one sub-command of a container.

    `arity` counts the name (and the sub-command's); negative means "at least". `first_key`, `last_key` (negative: from
    the end) and `key_step` are Redis's legacy key positions; a command whose keys they cannot name gives `find_keys`.
    """

    name: str
    """Lower case, as in `client|kill`."""
    handler: Handler | None
    arity: int
    flags: frozenset[str]
    group: str
    since: str
    summary: str
    complexity: str = "O(1)"
    first_key: int = 0
    last_key: int = 0
    key_step: int = 0
    find_keys: KeyFinder | None = None
    key_access: str = ""
    """How keys are used, as Redis's key-spec flags: e.g. `RO access`, `RW update`, `OW update`, `RM delete`."""
    categories: frozenset[str] = frozenset()
    tips: tuple[str, ...] = ()
    run: RunHandler | None = None
    """Executes several calls in a row at once, for the same replies in less time; None if these are not for it."""
    level: int = FIRST
    """The feature level that it came with (`levels`)."""
    internal: bool = False
    """It is a word of the log: nodes put it there by themselves, and to clients it does not exist."""
    enabled_by: str = ""
    """The option that lets clients call it: `yes`, `local` or `no` (Redis: allowProtectedAction)."""
    subcommands: dict[bytes, Command] = field(default_factory=dict)
    kind: Kind = field(init=False)
    denies_oom: bool = field(init=False)
    blocking: bool = field(init=False)
    """Whether it may wait for its keys (see `blocks`)."""
    calls: int = 0
    nanoseconds: int = 0
    rejected_calls: int = 0
    failed_calls: int = 0

    def __post_init__(self) -> None:
        unknown = self.flags - FLAGS
        if unknown:
            raise ValueError(f"{self.name}: unknown flags {sorted(unknown)}")
        if {"write", "readonly"} <= self.flags:
            raise ValueError(f"{self.name}: both write and readonly")
        if self.arity == 0:
            raise ValueError(f"{self.name}: arity 0")
        if self.key_access and not (self.first_key or self.find_keys):
            raise ValueError(f"{self.name}: key access without keys")
        if "write" in self.flags:
            self.kind = Kind.DATA_WRITE
        elif "readonly" in self.flags:
            # PFCOUNT: Redis calls it a read, though it keeps the count that it made in the value.
            self.kind = Kind.DATA_WRITE if self.key_access.startswith("RW") else Kind.DATA_READ
        else:
            self.kind = Kind.SESSION
        self.denies_oom = "denyoom" in self.flags
        self.blocking = "blocking" in self.flags and self.kind is not Kind.SESSION

    def copy(self) -> Command:
        """The same declaration with counters of its own."""
        twin = Command(
            self.name, self.handler, self.arity, self.flags, self.group, self.since, self.summary, self.complexity,
            self.first_key, self.last_key, self.key_step, self.find_keys, self.key_access, self.categories, self.tips,
            self.run, self.level, self.internal, self.enabled_by,
        )  # fmt: skip
        twin.subcommands = {name: sub.copy() for name, sub in self.subcommands.items()}
        return twin

    def public_subcommands(self) -> list[Command]:
        """The sub-commands that clients may know of, in order of declaration."""
        return [sub for sub in self.subcommands.values() if not sub.internal]

    def accepts(self, argc: int) -> bool:
        """Whether the command may have `argc` arguments, its name included."""
        return argc == self.arity if self.arity > 0 else argc >= -self.arity

    def blocks(self, argv: list[bytes]) -> bool:
        """Whether this call may wait: XREAD and XREADGROUP do so with BLOCK only, which stands before their keys."""
        return self.blocking and (self.group != "stream" or b"block" in [word.lower() for word in argv[1:10]])

    def key_positions(self, argv: list[bytes]) -> list[int]:
        """Indexes into `argv` of the keys. Raises CommandError where the arguments do not say (a bad numkeys)."""
        if self.find_keys is not None:
            return self.find_keys(argv)
        if not self.first_key:
            return []
        last = self.last_key if self.last_key >= 0 else len(argv) + self.last_key
        return list(range(self.first_key, last + 1, self.key_step))

    def acl_categories(self) -> list[str]:
        """The ACL categories in Redis's order, those that follow from flags included (as setImplicitACLCategories)."""
        found = set(self.categories)
        if "write" in self.flags:
            found.add("write")
        if "readonly" in self.flags and self.group != "scripting":
            found.add("read")
        if "admin" in self.flags:
            found |= {"admin", "dangerous"}
        if "pubsub" in self.flags:
            found.add("pubsub")
        found.add("fast" if "fast" in self.flags else "slow")
        if "blocking" in self.flags:
            found.add("blocking")
        return [category for category in REDIS_CATEGORIES if category in found]


class CommandTable:
    """Commands by name. A node makes one of its own (`CommandTable(TABLE)`), so that counters are the node's.

    Invariant: `by_name` has the commands whose level is not above `level`.
    """

    def __init__(self, source: CommandTable | None = None) -> None:
        self._commands: dict[str, Command] = {}
        self.level = NEWEST
        """The feature level up to which commands may be called."""
        self.by_name: dict[bytes, Command] = {}
        """Lower and upper case names; the hot path looks here first."""
        for command in source or ():
            self.add(command.copy())

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def __len__(self) -> int:
        return len(self._commands)

    def add(self, command: Command) -> None:
        """Declare a command. Raises ValueError when the name is taken."""
        if command.name in self._commands:
            raise ValueError(f"{command.name} is declared twice")
        self._commands[command.name] = command
        self._allow(command)

    def allow(self, level: int) -> None:
        """Let the commands be called that came with a feature level up to this one."""
        if level != self.level:
            self.level = level
            self.by_name.clear()
            for command in self._commands.values():
                self._allow(command)

    def _allow(self, command: Command) -> None:
        if command.level <= self.level:
            self.by_name[command.name.encode()] = command
            self.by_name[command.name.upper().encode()] = command

    def maybe_get(self, name: bytes) -> Command | None:
        """The command of that name in any case, or None."""
        return self.by_name.get(name) or self.by_name.get(name.lower())

    def lookup(self, argv: list[bytes]) -> Command:
        """The command or sub-command that a client calls by `argv`, its arity checked. Raises CommandError in Redis's
        words."""
        command = self.lookup_passed(argv)
        if command.level > self.level:
            raise errors.newer_command(command.name, command.level, self.level)
        return command

    def lookup_passed(self, argv: list[bytes]) -> Command:
        """As `lookup`, whatever the command's level: where another node lets it pass, all nodes know it, though this
        one may not have heard of that yet."""
        return self._look_up(argv, internal=False)

    def lookup_logged(self, argv: list[bytes]) -> Command:
        """As `lookup_passed`, the log's own words among them."""
        return self._look_up(argv, internal=True)

    def _look_up(self, argv: list[bytes], *, internal: bool) -> Command:
        name = argv[0].lower()
        command = self.by_name.get(argv[0]) or self.by_name.get(name) or self._commands.get(name.decode("latin-1"))
        if command is None:
            raise errors.unknown_command(argv)
        if command.subcommands and len(argv) > 1:
            sub = command.subcommands.get(argv[1].lower())
            if (
                sub is None
                or (sub.internal and not internal)
                or (command.name == "debug" and not sub.accepts(len(argv)))
            ):
                raise errors.wrong_subcommand(argv) if command.name == "debug" else errors.unknown_subcommand(argv)
            command = sub
        if not command.accepts(len(argv)):
            command.rejected_calls += 1
            raise errors.wrong_arity(command.name)
        return command

    def lookup_run(self, commands: list[list[bytes]]) -> Command | None:
        """The command that all of them call, in the same letters and with as many arguments as it takes; else None, and
        so for a container of sub-commands. The most frequent case, a pipeline or a single command, looked at once."""
        name = commands[0][0]
        command = self.by_name.get(name)
        if command is None or command.subcommands:
            return None
        if len(commands) == 1:
            return command if command.accepts(len(commands[0])) else None
        lengths = list(map(len, commands))
        if [argv[0] for argv in commands].count(name) != len(commands):
            return None
        return command if command.accepts(min(lengths)) and command.accepts(max(lengths)) else None

    def find(self, full_name: bytes) -> Command | None:
        """A command by its full name, whatever its level: `get`, `client|kill`."""
        name, _, sub = full_name.lower().partition(b"|")
        command = self._commands.get(name.decode("latin-1"))
        if command is None or not sub:
            return command
        return command.subcommands.get(sub)


TABLE = CommandTable()
"""Every declaration; filled by importing `commands.all`."""


def command(
    name: str,
    arity: int,
    flags: str = "",
    *,
    group: str,
    since: str,
    summary: str,
    complexity: str = "O(1)",
    keys: tuple[int, int, int] = (0, 0, 0),
    find_keys: KeyFinder | None = None,
    access: str = "",
    acl: str = "",
    tips: Iterable[str] = (),
    run: RunHandler | None = None,
    level: int = FIRST,
    internal: bool = False,
    enabled_by: str = "",
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as a command's handler.

    `name` is upper case; `CLIENT KILL` declares a sub-command of CLIENT, which must be declared before by `container`.
    `flags` and `acl` are words separated by spaces; `keys` is (first, last, step).

    >>> @command("GET", 2, "readonly fast", group="string", since="1.0.0", summary="Get a key's string.",
    ...          keys=(1, 1, 1), access="RO access", acl="string")
    ... def get(ctx, argv): ...
    """

    def declare(handler: Handler) -> Handler:
        full = name.lower().replace(" ", "|")
        declared = Command(
            full, handler, arity, frozenset(flags.split()), group, since, summary, complexity, *keys, find_keys, access,
            frozenset(acl.split()), tuple(tips), run, level, internal, enabled_by,
        )  # fmt: skip
        parent, _, sub = full.partition("|")
        if sub:
            container_command = TABLE.find(parent.encode())
            if container_command is None:
                raise ValueError(f"{full}: {parent} is not declared")
            container_command.subcommands[sub.encode()] = declared
        else:
            TABLE.add(declared)
        return handler

    return declare


def container(
    name: str,
    arity: int,
    flags: str = "",
    *,
    group: str,
    since: str,
    summary: str,
    acl: str = "",
    help_since: str = "5.0.0",
    help_acl: str | None = None,
    handler: Handler | None = None,
    tips: Iterable[str] = (),
) -> None:
    """Declare a command that holds sub-commands (CLIENT, CONFIG, OBJECT …), and its HELP.

    `handler` is for one that may also be called without a sub-command (COMMAND). `help_acl` is for a HELP of other
    categories than its container.
    """
    declared = Command(
        name.lower(), handler, arity, frozenset(flags.split()), group, since, summary, "Depends on subcommand.",
        categories=frozenset(acl.split()), tips=tuple(tips),
    )  # fmt: skip
    TABLE.add(declared)

    of_help = acl if help_acl is None else help_acl

    @command(f"{name} HELP", 2, "loading stale", group=group, since=help_since, acl=of_help, summary="Print this help")
    def show_help(context: Any, argv: list[bytes]) -> Reply:
        lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
        for sub in sorted(declared.public_subcommands(), key=lambda sub: sub.name):
            lines += [sub.name.partition("|")[2].upper(), f"    {sub.summary}"]
        return [Status(line.encode()) for line in lines]
