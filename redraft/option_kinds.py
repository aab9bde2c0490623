"""What an option's value may be: from words to a value and back.

A `Kind` reads the words that stand after an option's name in a file, on the command line or in CONFIG SET, and tells
them back in two manners: `show`, as CONFIG GET answers (plain bytes, `1073741824`), and `lines`, as a file has it
(`1gb`, several lines for `save`). A word that does not fit raises `OptionError`, whose text is Redis 7.0's, letter for
letter, so that the three ways in speak alike.

Invariants: `parse(words of lines(value)) == value` for every value a kind can have; values are immutable.

Left out: quoting and comments (config_file.py); which options there are (options.py); what an option does (its user).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from redraft.errors import RedraftError

INT_MAX = 2**31 - 1
UINT_MAX = 2**32 - 1
LONG_MAX = 2**63 - 1

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_DECIMAL = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]{1,3})?", re.IGNORECASE | re.ASCII)
_SHOWN_PERCENTILE = "%.10g"
"""Redis shows ten digits; no more are kept, so that what is shown is the value."""
_MEMORY = re.compile(r"([0-9]{1,19})(b|kb|k|mb|m|gb|g)?", re.IGNORECASE | re.ASCII)
_MEMORY_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}


class OptionError(RedraftError):
    """A value does not fit its option; `str(error)` says what would, in Redis's words."""


class Kind:
    """One kind of value; the base takes exactly one word and keeps it as text."""

    several = False
    """Whether the value may be several words. CONFIG SET then splits its one argument at spaces."""

    def parse(self, words: Sequence[str], current: Any = None, *, adding: bool = False) -> Any:
        """The value that `words` stand for.

        `current` is the value so far, for kinds whose words may change only a part of it; `adding` says that an earlier
        line of the same configuration has set it (lines of `save` add up). Raises OptionError.
        """
        if len(words) != 1:
            raise OptionError("wrong number of arguments")
        return self.parse_word(words[0])

    def parse_word(self, word: str) -> Any:
        """The value of one word."""
        return word

    def show(self, value: Any) -> str:
        """The value as CONFIG GET tells it."""
        return str(value)

    def lines(self, value: Any) -> list[list[str]]:
        """The value as words of one or more lines of a file."""
        return [[self.show(value)]]


class Text(Kind):
    """Any one word."""


class Secret(Kind):
    """Any bytes, for comparison with what a client sends."""

    def parse_word(self, word: str) -> bytes:
        return os.fsencode(word)

    def show(self, value: bytes) -> str:
        return os.fsdecode(value)


class Directory(Kind):
    """A path, made absolute when it is read, since the process may change its directory later."""

    def parse_word(self, word: str) -> str:
        return os.path.abspath(word)


class Bool(Kind):
    """yes or no."""

    def parse_word(self, word: str) -> bool:
        lowered = word.lower()
        if lowered not in ("yes", "no"):
            raise OptionError("argument must be 'yes' or 'no'")
        return lowered == "yes"

    def show(self, value: bool) -> str:
        return "yes" if value else "no"


class Switch(Bool):
    """yes or no; yes where it stands alone."""

    def parse(self, words: Sequence[str], current: Any = None, *, adding: bool = False) -> Any:
        return super().parse(words or ("yes",), current, adding=adding)


def _check_bounds(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise OptionError(f"argument must be between {low} and {high} inclusive")
    return value


@dataclass(frozen=True)
class Int(Kind):
    """A whole number from `low` to `high`; what is accepted but senseless is moved into `clamp`."""

    low: int = 0
    high: int = INT_MAX
    clamp: tuple[int, int] | None = None

    def parse_word(self, word: str) -> int:
        if not _INTEGER.fullmatch(word) or not -LONG_MAX - 1 <= int(word) <= LONG_MAX:
            raise OptionError("argument couldn't be parsed into an integer")
        value = _check_bounds(int(word), self.low, self.high)
        return value if self.clamp is None else min(max(value, self.clamp[0]), self.clamp[1])


@dataclass(frozen=True)
class Octal(Kind):
    """A file mode, in octal digits."""

    high: int = 0o777

    def parse_word(self, word: str) -> int:
        if not re.fullmatch(r"[0-7]+", word, re.ASCII):
            raise OptionError("argument couldn't be parsed into an integer")
        value = int(word, 8)
        if value > self.high:
            raise OptionError(f"argument must be between 0 and {self.high:o} inclusive")
        return value

    def show(self, value: int) -> str:
        return f"{value:o}"


def parse_memory(word: str) -> int | None:
    """Bytes of `1000`, `1k`, `1kb`, `1m`, `1mb`, `1g`, `1gb`, in any case; None if it is none of these."""
    match = _MEMORY.fullmatch(word)
    if match is None:
        return None
    return int(match[1]) * _MEMORY_UNITS[(match[2] or "").lower()]


def show_memory(value: int) -> str:
    """Bytes as a file has them: the largest unit that divides them."""
    for unit in ("gb", "mb", "kb"):
        if value and value % _MEMORY_UNITS[unit] == 0:
            return f"{value // _MEMORY_UNITS[unit]}{unit}"
    return str(value)


@dataclass(frozen=True)
class Memory(Kind):
    """A number of bytes."""

    low: int = 0
    high: int = LONG_MAX

    def parse_word(self, word: str) -> int:
        value = 0 if not word else parse_memory(word)
        if value is None:
            raise OptionError("argument must be a memory value")
        return _check_bounds(value, self.low, self.high)

    def lines(self, value: int) -> list[list[str]]:
        return [[show_memory(value)]]


class MemoryOrPercent(Kind):
    """A number of bytes, or a part of maxmemory, which is kept as a negative number, as Redis does."""

    def parse_word(self, word: str) -> int:
        if word.endswith("%"):
            if not re.fullmatch(r"[0-9]{1,9}%", word, re.ASCII):
                raise OptionError("argument must be a memory or percent value")
            percent = int(word[:-1])
            if percent > 100:
                raise OptionError("percentage argument must be less or equal to 100")
            return -percent
        value = parse_memory(word)
        if value is None:
            raise OptionError("argument must be a memory or percent value")
        return value

    def show(self, value: int) -> str:
        return f"{-value}%" if value < 0 else str(value)


@dataclass(frozen=True)
class Enum(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    def parse_word(self, word: str) -> str:
        lowered = word.lower()
        if lowered not in self.words:
            raise OptionError(f"argument(s) must be one of the following: {', '.join(self.words)}")
        return lowered


@dataclass(frozen=True)
class Flags(Enum):
    """Some of a few words, told in the order of their declaration; the first of them stands for none."""

    several = True

    def parse(self, words: Sequence[str], current: Any = None, *, adding: bool = False) -> str:
        chosen = {self.parse_word(word) for word in words} - {self.words[0]}
        return " ".join(word for word in self.words if word in chosen) or self.words[0]

    def lines(self, value: str) -> list[list[str]]:
        return [value.split()]


@dataclass(frozen=True)
class Words(Kind):
    """Up to `limit` words, of any text; no word at all where one empty word stands."""

    limit: int = 16
    too_many: str = "wrong number of arguments"

    several = True

    def parse(self, words: Sequence[str], current: Any = None, *, adding: bool = False) -> tuple[str, ...]:
        if not words:
            raise OptionError("wrong number of arguments")
        if len(words) > self.limit:
            raise OptionError(self.too_many)
        return () if list(words) == [""] else tuple(words)

    def show(self, value: tuple[str, ...]) -> str:
        return " ".join(value)

    def lines(self, value: tuple[str, ...]) -> list[list[str]]:
        return [list(value) or [""]]


@dataclass(frozen=True)
class Ints(Kind):
    """Exactly `count` whole numbers from `low` to `high`."""

    count: int
    low: int
    high: int

    several = True

    def parse(self, words: Sequence[str], current: Any = None, *, adding: bool = False) -> tuple[int, ...]:
        if len(words) != self.count:
            raise OptionError("wrong number of arguments")
        kind = Int(-LONG_MAX, LONG_MAX)
        values = tuple(kind.parse_word(word) for word in words)
        if not all(self.low <= value <= self.high for value in values):
            raise OptionError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
        return values

    def show(self, value: tuple[int, ...]) -> str:
        return " ".join(map(str, value))

    def lines(self, value: tuple[int, ...]) -> list[list[str]]:
        return [[str(number) for number in value]]


class Percentiles(Kind):
    """Percentiles to report: numbers from 0 to 100, or none."""

    several = True

    def parse(self, words: Sequence[str], current: Any = None, *, adding: bool = False) -> tuple[float, ...]:
        if list(words) == [""]:
            return ()
        values = []
        for word in words:
            if not _DECIMAL.fullmatch(word):
                raise OptionError("Invalid latency-tracking-info-percentiles parameters")
            value = float(_SHOWN_PERCENTILE % float(word))
            if not 0.0 <= value <= 100.0:
                raise OptionError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
            values.append(value)
        return tuple(values)

    def show(self, value: tuple[float, ...]) -> str:
        return " ".join(_SHOWN_PERCENTILE % number for number in value)

    def lines(self, value: tuple[float, ...]) -> list[list[str]]:
        return [self.show(value).split() or [""]]


class Save(Kind):
    """Pairs of seconds and changes. Lines add up; an empty word, or a CONFIG SET, starts anew."""

    several = True

    def parse(self, words: Sequence[str], current: Any = None, *, adding: bool = False) -> tuple[tuple[int, int], ...]:
        if list(words) == [""]:
            return ()
        if not words or len(words) % 2 or not all(re.fullmatch(r"[0-9]{1,18}", word, re.ASCII) for word in words):
            raise OptionError("Invalid save parameters")
        numbers = [int(word) for word in words]
        pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        if any(seconds < 1 for seconds, _ in pairs):
            raise OptionError("Invalid save parameters")
        return (*current, *pairs) if adding else pairs

    def show(self, value: tuple[tuple[int, int], ...]) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, value: tuple[tuple[int, int], ...]) -> list[list[str]]:
        return [[str(seconds), str(changes)] for seconds, changes in value] or [[""]]


class OutputLimit(NamedTuple):
    """When a client that does not read is closed: at `hard_bytes`, or `soft_seconds` above `soft_bytes`; 0 is never."""

    hard_bytes: int
    soft_bytes: int
    soft_seconds: int


class OutputLimits(NamedTuple):
    """The limits of the three classes of clients."""

    normal: OutputLimit
    replica: OutputLimit
    pubsub: OutputLimit


class OutputLimitsKind(Kind):
    """`client-output-buffer-limit`: quadruples of class, hard, soft and seconds; a class left out keeps its limit."""

    several = True
    _classes = {"normal": "normal", "replica": "replica", "slave": "replica", "pubsub": "pubsub"}

    def parse(self, words: Sequence[str], current: Any = None, *, adding: bool = False) -> OutputLimits:
        if len(words) % 4 or not words:
            raise OptionError("Wrong number of arguments in buffer limit configuration.")
        limits = current or OutputLimits(*[OutputLimit(0, 0, 0)] * 3)
        for start in range(0, len(words), 4):
            name, *figures = words[start : start + 4]
            if name.lower() not in self._classes:
                raise OptionError("Invalid client class specified in buffer limit configuration.")
            hard, soft = parse_memory(figures[0]), parse_memory(figures[1])
            if hard is None or soft is None or not re.fullmatch(r"[0-9]{1,9}", figures[2], re.ASCII):
                raise OptionError("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
            limit = OutputLimit(hard, soft, int(figures[2]))
            limits = limits._replace(**{self._classes[name.lower()]: limit})
        return limits

    def show(self, value: OutputLimits) -> str:
        names = ("normal", "slave", "pubsub")
        return " ".join(f"{name} {' '.join(map(str, limit))}" for name, limit in zip(names, value, strict=True))

    def lines(self, value: OutputLimits) -> list[list[str]]:
        return [
            [name, show_memory(limit.hard_bytes), show_memory(limit.soft_bytes), str(limit.soft_seconds)]
            for name, limit in value._asdict().items()
        ]


class EventClasses(Kind):
    """`notify-keyspace-events`: letters; `A` stands for all classes of events but `m` and `n`."""

    _all = "g$lshzxetd"

    def parse_word(self, word: str) -> str:
        if not set(word) <= set("Ag$lshzxeKEtmdn"):
            raise OptionError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        chosen = set(word.replace("A", self._all))
        classes = "A" if set(self._all) <= chosen else "".join(letter for letter in self._all if letter in chosen)
        return classes + "".join(letter for letter in "nKEm" if letter in chosen)


def words_of(kind: Kind, argument: str) -> list[str]:
    """The words of CONFIG SET's one argument."""
    return argument.split(" ") if kind.several else [argument]
