"""The declarations of the options, and the kinds of value that they have."""

from __future__ import annotations

import re
import typing
from typing import Any

import pytest

from redraft.option_kinds import (
    Bool,
    Directory,
    Enum,
    EventClasses,
    Flags,
    Int,
    Ints,
    Memory,
    MemoryOrPercent,
    Octal,
    OptionError,
    OutputLimitsKind,
    Percentiles,
    Save,
    Secret,
    Switch,
    Text,
    Words,
)
from redraft.options import BY_NAME, OPTIONS, SECTIONS
from redraft.settings import Settings, help_text

# The declarations.


def test_settings_annotates_what_the_options_declare() -> None:
    types = {
        Bool: "bool",
        Switch: "bool",
        Int: "int",
        Memory: "int",
        Octal: "int",
        MemoryOrPercent: "int",
        Enum: "str",
        Text: "str",
        Directory: "str",
        EventClasses: "str",
        Secret: "bytes",
        Words: "tuple[str, ...]",
        OutputLimitsKind: "OutputLimits",
    }
    declared = {option.attribute: types[type(option.kind)] for option in OPTIONS if not option.inert}
    assert Settings.__annotations__ == declared


def test_every_default_has_the_annotated_type() -> None:
    defaults = Settings()
    for name, hint in typing.get_type_hints(Settings).items():
        kind = typing.get_origin(hint) or hint
        assert type(getattr(defaults, name)) is kind, name


def test_the_defaults_satisfy_the_invariants() -> None:
    Settings().check()


def test_every_live_option_is_explained_and_every_section_known() -> None:
    for option in OPTIONS:
        assert option.section in SECTIONS
        assert option.help or option.inert
        assert not (option.help and option.inert)


def test_names_are_lower_case_words() -> None:
    for name in BY_NAME:
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", name)


def test_an_alias_is_the_same_option() -> None:
    assert BY_NAME["slave-read-only"] is BY_NAME["replica-read-only"]
    assert Settings(hash_max_ziplist_entries=7).hash_max_listpack_entries == 7


# The kinds of value.

K, KB, M, MB, G, GB = 1000, 1 << 10, 10**6, 1 << 20, 10**9, 1 << 30


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("0", 0),
        ("", 0),
        ("1b", 1),
        ("1k", K),
        ("1kb", KB),
        ("1m", M),
        ("1mb", MB),
        ("1g", G),
        ("1gb", GB),
        ("2GB", 2 * GB),
        ("3Kb", 3 * KB),
        ("007", 7),
    ],
)
def test_memory_has_units(word: str, value: int) -> None:
    assert Memory().parse([word]) == value


@pytest.mark.parametrize("word", ["-1", "1tb", "1.5gb", "gb", "1 gb", "x", "1e3", "١", "9" * 5000])
def test_what_is_no_memory_value_is_refused(word: str) -> None:
    with pytest.raises(OptionError, match="argument must be a memory value"):
        Memory().parse([word])


WRONG = [
    (Bool(), ["true"], "argument must be 'yes' or 'no'"),
    (Bool(), ["yes", "no"], "wrong number of arguments"),
    (Int(), [""], "argument couldn't be parsed into an integer"),
    (Int(), ["1.0"], "argument couldn't be parsed into an integer"),
    (Int(), ["+1"], "argument couldn't be parsed into an integer"),
    (Int(), ["01"], "argument couldn't be parsed into an integer"),
    (Int(), ["-0"], "argument couldn't be parsed into an integer"),
    (Int(), ["1\n"], "argument couldn't be parsed into an integer"),
    (Int(), ["9223372036854775808"], "argument couldn't be parsed into an integer"),
    (Int(), ["-9223372036854775809"], "argument couldn't be parsed into an integer"),
    (Int(), ["9" * 5000], "argument couldn't be parsed into an integer"),
    (Int(), ["2147483648"], "argument must be between 0 and 2147483647 inclusive"),
    (Int(1, 5), ["0"], "argument must be between 1 and 5 inclusive"),
    (Octal(), ["8"], "argument couldn't be parsed into an integer"),
    (Octal(), ["1000"], "argument must be between 0 and 777 inclusive"),
    (Memory(MB), ["1kb"], f"argument must be between {MB} and 9223372036854775807 inclusive"),
    (Memory(), ["9223372036854775807gb"], "argument must be between 0 and 9223372036854775807 inclusive"),
    (MemoryOrPercent(), ["101%"], "percentage argument must be less or equal to 100"),
    (MemoryOrPercent(), ["-5%"], "argument must be a memory or percent value"),
    (MemoryOrPercent(), ["x"], "argument must be a memory or percent value"),
    (Enum(("a", "b")), ["c"], "argument(s) must be one of the following: a, b"),
    (Flags(("none", "a")), ["a", "c"], "argument(s) must be one of the following: none, a"),
    (Words(2, "Too many."), ["a", "b", "c"], "Too many."),
    (Words(2), [], "wrong number of arguments"),
    (Ints(2, 0, 9), ["1"], "wrong number of arguments"),
    (Percentiles(), ["x"], "Invalid latency-tracking-info-percentiles parameters"),
    (Percentiles(), ["1_0"], "Invalid latency-tracking-info-percentiles parameters"),
    (Percentiles(), ["nan"], "Invalid latency-tracking-info-percentiles parameters"),
    (Percentiles(), ["100.1"], "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"),
    (Save(), ["60"], "Invalid save parameters"),
    (Save(), ["0", "1"], "Invalid save parameters"),
    (Save(), ["60", "-1"], "Invalid save parameters"),
    (OutputLimitsKind(), ["normal", "0", "0"], "Wrong number of arguments in buffer limit configuration."),
    (OutputLimitsKind(), ["x", "0", "0", "0"], "Invalid client class specified in buffer limit configuration."),
    (
        OutputLimitsKind(),
        ["normal", "1x", "0", "0"],
        "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
    ),
    (EventClasses(), ["Q"], "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
]


@pytest.mark.parametrize(("kind", "words", "text"), WRONG)
def test_a_wrong_value_is_refused_in_words_of_redis(kind: Any, words: list[str], text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(text)):
        kind.parse(words)


SHOWN = [
    (Bool(), ["YES"], True, "yes", [["yes"]]),
    (Int(-1), ["-1"], -1, "-1", [["-1"]]),
    (Int(0, clamp=(1, 500)), ["0"], 1, "1", [["1"]]),
    (Int(0, clamp=(1, 500)), ["501"], 500, "500", [["500"]]),
    (Octal(), ["0700"], 0o700, "700", [["700"]]),
    (Memory(), ["1024"], 1024, "1024", [["1kb"]]),
    (Memory(), ["1000"], 1000, "1000", [["1000"]]),
    (Memory(), ["3072mb"], 3 * GB, "3221225472", [["3gb"]]),
    (MemoryOrPercent(), ["5%"], -5, "5%", [["5%"]]),
    (MemoryOrPercent(), ["1kb"], 1024, "1024", [["1024"]]),
    (Enum(("a", "b")), ["B"], "b", "b", [["b"]]),
    (Flags(("none", "a", "b")), ["b", "A"], "a b", "a b", [["a", "b"]]),
    (Flags(("none", "a", "b")), ["none", "b"], "b", "b", [["b"]]),
    (Flags(("none", "a", "b")), ["none"], "none", "none", [["none"]]),
    (Words(), ["a", "b"], ("a", "b"), "a b", [["a", "b"]]),
    (Words(), [""], (), "", [[""]]),
    (Ints(2, -9, 9), ["-9", "9"], (-9, 9), "-9 9", [["-9", "9"]]),
    (Percentiles(), ["50", "99.9"], (50.0, 99.9), "50 99.9", [["50", "99.9"]]),
    (Percentiles(), ["33.333333333333"], (33.33333333,), "33.33333333", [["33.33333333"]]),
    (Percentiles(), ["0.0000001"], (1e-07,), "1e-07", [["1e-07"]]),
    (Percentiles(), [""], (), "", [[""]]),
    (Save(), ["60", "1", "300", "10"], ((60, 1), (300, 10)), "60 1 300 10", [["60", "1"], ["300", "10"]]),
    (Save(), [""], (), "", [[""]]),
    (Secret(), ["p\udcff"], b"p\xff", "p\udcff", [["p\udcff"]]),
    (EventClasses(), ["KEA"], "AKE", "AKE", [["AKE"]]),
    (EventClasses(), ["g$lshzxetd"], "A", "A", [["A"]]),
    (EventClasses(), ["Elg"], "glE", "glE", [["glE"]]),
    (EventClasses(), [""], "", "", [[""]]),
]


@pytest.mark.parametrize(("kind", "words", "value", "shown", "lines"), SHOWN)
def test_a_value_is_read_shown_and_written(
    kind: Any, words: list[str], value: Any, shown: str, lines: list[list[str]]
) -> None:
    assert kind.parse(words) == value
    assert kind.show(value) == shown
    assert kind.lines(value) == lines


# The help.


def test_help_lists_every_option_that_has_an_effect() -> None:
    text = help_text()
    for option in OPTIONS:
        assert (f"  --{option.name} " in text) is not (bool(option.inert) or option.hidden), option.name
