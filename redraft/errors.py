"""The error types that every floor uses.

Theory: a replicated state machine may answer a client only with what every replica would have answered. So each
error says which kind it is:

* `CommandError` is a *reply*: made from the log, the keyspace and the command's own words alone, it is the same
  on every replica, and the client reads its text exactly as Redis words it.
* `StorageError` and its children depend on this machine (its disk, its files). They are never answered as the
  outcome of a write; they stop the node (design section 9).
* `UserError` is a person's mistake at the command line or in the configuration: a sentence and an exit code,
  never a traceback.

What this module leaves out: a protocol error of a client (`resp.parser.ProtocolError`), which only the parser
raises, and Raft's refusals (`raft.errors`), which only a shard sees.
"""

from __future__ import annotations


class RedraftError(Exception):
    """The root of every error that redraft raises on purpose."""


class CommandError(RedraftError):
    """An error reply. The text starts with its code (`ERR`, `WRONGTYPE`, …), word for word as Redis has it.

    It is raised by a handler to end its command, or returned (also inside an array, as EXEC does) as a reply value.
    """

    @property
    def text(self) -> str:
        """The reply's text without the leading `-` and the line's end."""
        return str(self.args[0])


class StorageError(RedraftError):
    """The disk or the operating system refused; whoever sees it stops the node."""


class DamagedDataError(StorageError):
    """What was read back is not what was written: a bad checksum, a hole in a log, an unknown format."""


DAMAGE_ADVICE = (
    "a node of a cluster whose files are damaged is replaced by a new one (redraft replace OLD NEW); one that is alone"
    " is repaired (redraft repair DIR)"
)
"""What to do about a DamagedDataError that ends a node."""


class DiskFullError(StorageError):
    """A write was refused for want of space."""


class DirectoryInUseError(StorageError):
    """Another process holds the data directory."""


class UserError(RedraftError):
    """A person's mistake: `str(error)` is the whole message to print, `exit_code` the process's exit status."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
