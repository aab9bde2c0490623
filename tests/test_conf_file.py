"""conf/redraft.conf: written by tools/conf, up to date, and what it says is what holds without it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from redraft.options import BY_NAME, OPTIONS
from redraft.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf" / "redraft.conf"

OPTION_LINE = re.compile(r"^#(?=[a-z])", re.MULTILINE)
"""The `#` of an option at its default; that of an explanation has a space behind it."""


def tools_conf(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "conf", *words], capture_output=True, text=True, check=False
    )


def test_the_file_is_what_the_options_say() -> None:
    checked = tools_conf("--check")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_file_that_differs_or_is_missing_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "redraft.conf"
    assert tools_conf("--check", path).returncode == 1
    assert not path.exists()
    assert tools_conf(path).returncode == 0
    assert path.read_text() == CONF.read_text()
    path.write_text(CONF.read_text().replace("#port 6379", "#port 6380"))
    checked = tools_conf("--check", path)
    assert checked.returncode == 1
    assert checked.stderr == f"{path} is not what redraft/options.py says; run tools/conf\n"
    assert "#port 6380" in path.read_text()


def test_the_file_changes_nothing_as_it_is() -> None:
    target = Settings.from_command_line([str(CONF)])
    assert target.get([b"*"]) == Settings().get([b"*"])


def test_the_file_gives_the_defaults_when_every_option_in_it_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "redraft.conf"
    path.write_text(OPTION_LINE.sub("", CONF.read_text()))
    target = Settings.from_command_line([str(path)])
    assert target.get([b"*"]) == Settings().get([b"*"])
    assert target.ignored() == []


def test_the_file_has_every_option_that_is_not_hidden_once() -> None:
    lines = OPTION_LINE.sub("", CONF.read_text()).split("\n")
    names = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert list(dict.fromkeys(names)) == [option.name for option in OPTIONS if not option.hidden]
    assert {name for name in names if names.count(name) > 1} == {"client-output-buffer-limit", "save"}
    assert all(BY_NAME[name].name == name for name in names)


def test_the_file_explains_every_option_that_has_an_effect() -> None:
    prose = " ".join(line[2:] for line in CONF.read_text().split("\n") if line.startswith("# "))
    for option in OPTIONS:
        assert (option.help or option.inert) in prose, option.name
        assert option.inert or option.alias in prose, option.name
