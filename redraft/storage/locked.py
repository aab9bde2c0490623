"""A directory whose lock this process holds: a running node's alone (`directory`), or shared by those who look at a
stopped one's (`stopped`)."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self


class LockedDirectory:
    """A context manager that lets the lock go; how it is taken is its subclasses' business."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        """The descriptor of the file LOCK."""

    def close(self) -> None:
        """Let the lock go."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
