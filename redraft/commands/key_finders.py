"""Where a command's keys stand, when only its arguments tell: for commands whose declaration cannot name positions."""

from __future__ import annotations

from dataclasses import dataclass

from redraft.errors import CommandError


@dataclass(frozen=True, slots=True)
class NumkeysFinder:
    """A key finder: a count of keys at `argv[position]`, and the keys after it; perhaps one key before, at `first`."""

    position: int
    first: int | None

    def __call__(self, argv: list[bytes]) -> list[int]:
        position = self.position
        if position >= len(argv) or not argv[position].isdigit():
            raise CommandError("ERR Invalid arguments specified for command")
        count = int(argv[position])
        if count < 1 or position + count >= len(argv):
            raise CommandError("ERR Invalid arguments specified for command")
        found = list(range(position + 1, position + 1 + count))
        return found if self.first is None else [self.first, *found]


@dataclass(frozen=True, slots=True)
class KeywordFinder:
    """A key finder: one key at `argv[1]`, and one behind the last of some keywords, looked for from `start` on."""

    keywords: tuple[bytes, ...]
    """In upper case."""
    start: int
    anywhere: bool = False
    """Whether COMMAND can only say that there are other keys."""

    def __call__(self, argv: list[bytes]) -> list[int]:
        stored = [at + 1 for at in range(self.start, len(argv) - 1) if argv[at].upper() in self.keywords]
        return [1, *stored[-1:]]


@dataclass(frozen=True, slots=True)
class StreamsFinder:
    """A key finder: STREAMS, looked for from `start` on, and behind it keys and as many ids."""

    start: int

    def __call__(self, argv: list[bytes]) -> list[int]:
        for at in range(self.start, len(argv)):
            if argv[at].lower() == b"streams":
                return list(range(at + 1, at + 1 + (len(argv) - at - 1) // 2))
        raise CommandError("ERR Invalid arguments specified for command")


def numkeys_at(position: int, first: int | None = None) -> NumkeysFinder:
    """A key finder for commands with a count of keys at `argv[position]` and the keys after it (`first` names one
    key before them, e.g. the destination of ZUNIONSTORE)."""
    return NumkeysFinder(position, first)
