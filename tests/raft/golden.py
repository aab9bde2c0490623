"""Golden scripts: blocks of command lines, a line `----`, and what the commands print (toydb's goldenscript, etcd's
datadriven). A blank line ends a block, and `#` begins a comment.

`REDRAFT_REWRITE_SCRIPTS=1 pytest tests/raft` writes the outputs anew; read the diff before committing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

REWRITE = os.environ.get("REDRAFT_REWRITE_SCRIPTS") == "1"


def scripts(directory: str) -> list[Path]:
    """The scripts of a directory beside this file."""
    found = sorted((Path(__file__).parent / directory).glob("*.txt"))
    assert found
    return found


def run_script(text: str, run: Callable[[str], Iterator[str]]) -> str:
    """The script with the outputs that its commands have now; `run` gives those of one line."""
    blocks = []
    for block in re.split(r"\n{2,}", text.strip()):
        head = block.split("\n----", 1)[0]
        lines = [line for line in head.split("\n") if not line.startswith("#")]
        if not lines:
            blocks.append(head)
            continue
        output = [line for command in lines for line in run(command)]
        blocks.append("\n".join([head, "----", *(output or ["ok"])]))
    return "\n\n".join(blocks) + "\n"


def play(path: Path, run: Callable[[str], Iterator[str]]) -> None:
    """Assert that a script prints what it says, or have it say what it prints."""
    text = path.read_text()
    output = run_script(text, run)
    if REWRITE:
        path.write_text(output)
    else:
        assert output == text
