"""How large files are that come and go, for figures that people read."""

from __future__ import annotations

from pathlib import Path


def bytes_of_files(directory: Path) -> int:
    """Bytes of the files of a directory. What cannot be looked at (it has just gone, or the process has no descriptor
    left) is not counted: nothing depends on it."""
    total = 0
    try:
        for file in directory.iterdir():
            try:
                total += file.stat().st_size if file.is_file() else 0
            except OSError:
                continue
    except OSError:
        return total
    return total
