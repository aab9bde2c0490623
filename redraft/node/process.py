"""What a node is told about the process that it runs in; the server implements it, a simulator answers zeros."""

from __future__ import annotations

from typing import Any, Protocol


class ProcessFacts(Protocol):
    """Figures of the process and its disk."""

    peak_rss_bytes: int

    @property
    def pid(self) -> int:
        """The process id."""

    @property
    def tcp_port(self) -> int:
        """The port that clients connect to."""

    def rss_bytes(self) -> int:
        """Resident memory."""

    def secret_bytes(self, size: int) -> bytes:
        """Bytes that nobody can guess."""

    def release_memory(self) -> None:
        """Give memory that is not used back to the system."""

    def cpu_seconds(self) -> tuple[float, float]:
        """(user, system) CPU time."""

    def storage_statistics(self) -> dict[str, Any]:
        """Figures of the log, the image and the fsyncs."""


class NoProcess:
    """No process: zeros."""

    peak_rss_bytes = 0
    pid = 0
    tcp_port = 0

    def rss_bytes(self) -> int:
        """Nothing."""
        return 0

    def secret_bytes(self, size: int) -> bytes:
        """Bytes that everybody can guess."""
        return bytes(size)

    def release_memory(self) -> None:
        """Nothing to do."""

    def cpu_seconds(self) -> tuple[float, float]:
        """No time."""
        return 0.0, 0.0

    def storage_statistics(self) -> dict[str, Any]:
        """No figures."""
        return {}
