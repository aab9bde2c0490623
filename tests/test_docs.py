"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`((?:tests/)?[a-z0-9_]+/[a-z0-9_/]+\.(?:py|txt))(?:::([a-z0-9_]+))?`")


def test_every_test_that_is_named_exists() -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    named = NAMED.findall(page)
    assert len(named) > 30
    for path, name in named:
        file = ROOT / "tests" / path.removeprefix("tests/")
        assert file.exists(), path
        assert not name or re.search(rf"^(async )?def {name}\(", file.read_text(), re.MULTILINE), f"{path}::{name}"


def test_every_kind_of_fault_has_a_row_in_the_report_s_words() -> None:
    """docs/testing.md shows the table that tools/chaos prints."""
    from chaos.faults import DESCRIPTIONS

    page = (ROOT / "docs" / "testing.md").read_text()
    rows = re.findall(r"^\| (.+?) \| \d+ \| [\d.]+ \| [\d.]+ \|$", page, re.MULTILINE)
    assert rows
    assert {*rows} <= {*DESCRIPTIONS.values()}
