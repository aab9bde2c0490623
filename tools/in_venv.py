"""Have a command of this directory run by the Python of the clone's own .venv, which is made where it is missing.

What a command needs may not be installed for the Python that it was called with, so it imports this before all else.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv" / "bin" / "python"
MARK = "REDRAFT_TOOL"
"""Set for a command that runs where it should, and for what it starts: a copy of the sources has no .venv."""


def enter() -> None:
    """Go on in .venv, with redraft and what its tests need installed; it returns there."""
    if os.environ.get(MARK) or Path(sys.executable) == PYTHON:
        return
    if subprocess.run([ROOT / "tools" / "venv", "test"], check=False).returncode:
        sys.exit(1)
    os.environ[MARK] = "1"
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
