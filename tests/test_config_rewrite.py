"""CONFIG REWRITE: a file that says the present values, changed as little as it can be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redraft.config_file import quote, split_line
from redraft.errors import CommandError
from redraft.option_kinds import (
    Bool,
    Enum,
    EventClasses,
    Int,
    Ints,
    Memory,
    MemoryOrPercent,
    Octal,
    OutputLimitsKind,
    Percentiles,
    Save,
    Secret,
    Text,
    Words,
)
from redraft.options import OPTIONS
from redraft.settings import SIGNATURE, Settings


def set_many(target: Settings, **values: str) -> None:
    """CONFIG SET, names with `_` for `-`."""
    target.set_many([(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()])


def from_file(path: Path, text: str, *words: str) -> Settings:
    path.write_text(text)
    return Settings.from_command_line([str(path), *words])


def rewritten(tmp_path: Path, text: str, **values: str) -> str:
    """The file's text after a CONFIG SET and a CONFIG REWRITE, which must read back as what was set."""
    path = tmp_path / "redraft.conf"
    target = from_file(path, text)
    set_many(target, **values)
    target.rewrite()
    again = Settings.from_command_line([str(path)])
    assert again.get([b"*"]) == target.get([b"*"])
    new = path.read_text()
    target.rewrite()
    assert path.read_text() == new
    return new


def test_rewrite_leaves_a_file_that_says_the_values_as_it_is(tmp_path: Path) -> None:
    text = "# mine\n\nport   7001\n\thz  20 \n\n# end"
    assert rewritten(tmp_path, text) == text
    assert rewritten(tmp_path, text, hz="20") == text


def test_rewrite_replaces_a_line_where_it_stands_and_keeps_comments(tmp_path: Path) -> None:
    assert rewritten(tmp_path, "# one\nhz 20 \n# two\nport 7001\n", hz="30") == "# one\nhz 30\n# two\nport 7001\n"


def test_rewrite_puts_what_is_new_at_the_end_under_its_signature(tmp_path: Path) -> None:
    text = rewritten(tmp_path, "port 7001\n", hz="30", maxmemory="2gb")
    assert text == f"port 7001\n\n{SIGNATURE}\nmaxmemory 2gb\nhz 30\n"
    assert rewritten(tmp_path, text, hz="31", timeout="5") == (
        f"port 7001\n\n{SIGNATURE}\nmaxmemory 2gb\nhz 31\ntimeout 5\n"
    )


def test_rewrite_makes_one_line_of_an_option_that_is_said_twice(tmp_path: Path) -> None:
    assert rewritten(tmp_path, "hz 20\nport 1\nhz 21\n", hz="30") == "hz 30\nport 1\n"


def test_rewrite_keeps_the_name_by_which_an_option_is_declared(tmp_path: Path) -> None:
    assert rewritten(tmp_path, "lua-time-limit 7\n", busy_reply_threshold="8") == "busy-reply-threshold 8\n"


def test_rewrite_writes_several_lines_where_a_value_needs_them(tmp_path: Path) -> None:
    assert rewritten(tmp_path, "save 1 1\nhz 20\n", save="60 1 300 10") == "save 60 1\nsave 300 10\nhz 20\n"
    assert rewritten(tmp_path, "save 1 1\nhz 20\n", save="") == 'save ""\nhz 20\n'


def test_rewrite_overrules_what_an_included_file_says(tmp_path: Path) -> None:
    (tmp_path / "other.conf").write_text("hz 20\nsave 60 1\n")
    include = f"include {tmp_path}/other.conf\n"
    text = rewritten(tmp_path, include, hz="30", save="5 5")
    assert text == f'{include}\n{SIGNATURE}\nhz 30\nsave ""\nsave 5 5\n'
    assert (tmp_path / "other.conf").read_text() == "hz 20\nsave 60 1\n"


def test_rewrite_quotes_what_needs_it(tmp_path: Path) -> None:
    text = rewritten(tmp_path, "", requirepass='a "b" #\\')
    assert text == f'{SIGNATURE}\nrequirepass "a \\"b\\" #\\\\"\n'


def test_rewrite_keeps_the_mode_of_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "redraft.conf"
    target = from_file(path, "hz 20\n")
    path.chmod(0o640)
    set_many(target, hz="30")
    target.rewrite()
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["redraft.conf"]


def test_rewrite_makes_a_file_that_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "redraft.conf"
    target = from_file(path, "hz 20\n")
    path.unlink()
    target.rewrite()
    assert path.read_text() == f"{SIGNATURE}\nhz 20\n"


def test_rewrite_without_a_file_is_refused() -> None:
    with pytest.raises(CommandError, match="ERR The server is running without a config file"):
        Settings().rewrite()


def test_rewrite_that_cannot_write_is_an_error_reply(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "redraft.conf"
    path.parent.mkdir()
    target = from_file(path, "hz 20\n")
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(CommandError, match="ERR Rewriting config file: No such file or directory"):
        target.rewrite()


def test_rewrite_of_a_file_that_can_no_longer_be_read_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "redraft.conf"
    target = from_file(path, "hz 20\n")
    path.write_text("hz 20\nbroken 1\n")
    set_many(target, hz="30")
    with pytest.raises(CommandError, match=r"ERR Rewriting config file: .*line 2"):
        target.rewrite()
    assert path.read_text() == "hz 20\nbroken 1\n"


SAMPLES: dict[type, list[str]] = {
    Bool: ["yes", "no"],
    Memory: ["1mb", "5000000"],
    MemoryOrPercent: ["5%", "3kb"],
    Octal: ["700"],
    Text: ["", "a b", "'\"\\\t\r\n\x00 ü"],
    Secret: ["", "p w", "#", "\x01\x7f"],
    Words: ["a b", ""],
    Ints: ["1 2 3"],
    Percentiles: ["", "1 2.5"],
    Save: ["", "1 2 3 4"],
    OutputLimitsKind: ["normal 1 2 3 pubsub 4kb 5 6"],
    EventClasses: ["", "KEA", "gx"],
}


def samples(kind: Any) -> list[str]:
    """Values that an option of the kind can be set to."""
    if isinstance(kind, Int):
        return [str(kind.low), str(kind.high)]
    return list(kind.words) if isinstance(kind, Enum) else SAMPLES[type(kind)]


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.mutable], ids=lambda option: option.name)
def test_every_option_can_be_set_told_and_written_back(option: Any) -> None:
    for sample in samples(option.kind):
        target = Settings()
        target.set_many([(option.name.encode(), sample.encode())])
        target.check()
        again = Settings()
        [(_, shown)] = target.get([option.name.encode()])
        again.set_many([(option.name.encode(), shown.encode())])
        assert again.value(option) == target.value(option)
        text = target.rewritten("", "test")
        assert text == "" or text.startswith(f"{SIGNATURE}\n{option.name} ")
        assert target.rewritten(text, "test") == text


words = st.lists(st.binary(max_size=12).map(lambda data: data.decode("utf-8", "surrogateescape")), max_size=5)


@settings(deadline=None)
@given(words)
def test_words_of_any_bytes_survive_quoting(words: list[str]) -> None:
    line = " ".join(map(quote, words))
    assert split_line(line) == words
    assert "\n" not in line
