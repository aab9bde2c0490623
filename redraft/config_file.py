"""The format of `redis.conf`: lines, quotes, `include`, and writing a file anew without spoiling it.

A line is an option's name and its words. A word may stand in double quotes, with escapes (`\\n \\r \\t \\a \\b \\xHH`),
or in single ones; a closing quote ends its word. Lines that begin with `#` are comments. `include PATH` reads another
file at its place (the path may have `*`, as in Redis); later lines win.

Files are text in UTF-8; bytes that are not are kept as they are (surrogateescape): a password or a path may hold any.

Invariants: `split_line(" ".join(map(quote, words))) == words`; `write_atomically` leaves either the old file or the new
one, whatever happens in between.

Left out: what the options mean (settings.py).
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from redraft.errors import UserError

ENCODING = "utf-8"
MAX_INCLUDES_DEEP = 16
"""A file that includes itself is found out at this depth."""
_SPACES = " \t\r\n\v\f\0"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
_BACK = {"\\": "\\\\", '"': '\\"', **{letter: f"\\{name}" for name, letter in _ESCAPES.items()}}
_HEX_BYTE = re.compile(r"\\x([0-9a-fA-F]{2})")
_PLAIN = re.compile(r"[^\s\"'\\#\x00-\x1f\x7f\udc80-\udcff][^\s\"'\\\x00-\x1f\x7f\udc80-\udcff]*")


class Line(NamedTuple):
    """One line that sets an option. `place` names it for a person."""

    name: str
    words: tuple[str, ...]
    place: str
    exit_code: int = 1
    """The status of a process that ends because of it."""


def split_line(text: str) -> list[str] | None:
    """The words of a line, None if its quotes do not fit."""
    words: list[str] = []
    at = 0
    while True:
        while at < len(text) and text[at] in _SPACES:
            at += 1
        if at >= len(text):
            return words
        letters: list[str] = []
        while at < len(text) and text[at] not in _SPACES:
            if text[at] not in "\"'":
                letters.append(text[at])
                at += 1
                continue
            end = _quoted(text, at, letters)
            if end is None:
                return None
            at = end
            break
        words.append(_bytes_joined("".join(letters)))


def _quoted(text: str, at: int, letters: list[str]) -> int | None:
    """Read what stands in the quotes that open at `at`; the index behind them, None if they do not close a word."""
    quote, at = text[at], at + 1
    while at < len(text) and text[at] != quote:
        if quote == '"' and (match := _HEX_BYTE.match(text, at)):
            letters.append(bytes([int(match[1], 16)]).decode(ENCODING, "surrogateescape"))
            at += 4
        elif text[at] == "\\" and at + 1 < len(text) and (quote == '"' or text[at + 1] == "'"):
            letters.append(_ESCAPES.get(text[at + 1], text[at + 1]) if quote == '"' else "'")
            at += 2
        else:
            letters.append(text[at])
            at += 1
    closes = at < len(text) and (at + 1 == len(text) or text[at + 1] in _SPACES)
    return at + 1 if closes else None


def _bytes_joined(word: str) -> str:
    """Escapes may spell one character byte by byte: read the bytes again as one text."""
    return word.encode(ENCODING, "surrogateescape").decode(ENCODING, "surrogateescape")


def quote(word: str) -> str:
    """The word as it may stand in a line; in double quotes only where it needs them."""
    if _PLAIN.fullmatch(word):
        return word
    letters = []
    for letter in word:
        if letter in _BACK:
            letters.append(_BACK[letter])
        elif letter < " " or letter == "\x7f" or "\udc80" <= letter <= "\udcff":
            letters.append("".join(f"\\x{byte:02x}" for byte in letter.encode(ENCODING, "surrogateescape")))
        else:
            letters.append(letter)
    return '"' + "".join(letters) + '"'


def read_text(path: str) -> str:
    """The text of a file, `-` being standard input. Raises UserError."""
    try:
        if path == "-":
            return sys.stdin.buffer.read().decode(ENCODING, "surrogateescape")
        with open(path, encoding=ENCODING, errors="surrogateescape", newline="") as file:
            return file.read()
    except OSError as error:
        raise UserError(f"redraft: can't open config file '{path}': {error.strerror}") from None


def parse_text(text: str, name: str, deep: int = 0) -> Iterator[Line]:
    """The lines of a file's text that set options, those of included files at their place. Raises UserError."""
    for number, raw in enumerate(text.split("\n"), 1):
        stripped = raw.strip(_SPACES)
        if not stripped or stripped.startswith("#"):
            continue
        place = f"{name}, line {number}: '{stripped}'"
        words = split_line(stripped)
        if words is None:
            raise UserError(f"redraft: {place}: Unbalanced quotes in configuration line")
        if words[0].lower() != "include":
            yield Line(words[0].lower(), tuple(words[1:]), place)
            continue
        if len(words) != 2 or deep >= MAX_INCLUDES_DEEP:
            raise UserError(
                f"redraft: {place}: {'includes too deep' if len(words) == 2 else 'wrong number of arguments'}"
            )
        for path in sorted(glob.glob(words[1])) if glob.has_magic(words[1]) else [words[1]]:
            yield from parse_text(read_text(path), path, deep + 1)


def option_of(raw: str) -> str:
    """The name of the option that a raw line sets, empty where it sets none."""
    stripped = raw.strip(_SPACES)
    if not stripped or stripped.startswith("#"):
        return ""
    words = split_line(stripped)
    return words[0].lower() if words else ""


def write_atomically(path: str, text: str) -> None:
    """Replace a file: written aside, forced to disk, renamed; it keeps its mode. Raises OSError."""
    path = os.path.realpath(path)
    directory = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", suffix=".new", dir=directory)
    try:
        with open(handle, "w", encoding=ENCODING, errors="surrogateescape", newline="") as file:
            file.write(text)
            file.flush()
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(file.fileno(), os.stat(path).st_mode & 0o7777)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
