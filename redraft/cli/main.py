"""`redraft`: the sub-commands and their help.

A mistake of the person (a bad option, a directory in use, a port taken) is one sentence on standard error and a
non-zero exit status: 1 when the server could not start or had to stop, 2 when the command line was wrong.
"""

from __future__ import annotations

import os
import sys

from redraft import __version__
from redraft.cli import cluster, image_dump, local, log_dump, recover, repair, server
from redraft.errors import RedraftError, UserError

USAGE = """\
usage: redraft COMMAND [ARGUMENT ...]

  redraft server [CONFIG-FILE] [--OPTION VALUE ...]   run a node (redraft server --help lists the options)
  redraft local --dir DIR                             run a cluster on this machine
  redraft members | status | leave                    look at a cluster; take a node out of it
  redraft promote | remove | transfer-leader NODE     change a cluster (each has --help, --json)
  redraft replace OLD NEW                             have one node take the place of another
  redraft table [VERSION]                             the config table: nodes and shards
  redraft log dump DIR                                what is in a stopped node's log
  redraft image dump DIR                              what is in its data on disk
  redraft repair DIR                                  go on with what can be read of a damaged directory
  redraft recover --dir DIR                           go on with one node when the majority is gone for good
  redraft --version
  redraft --help
"""

OTHERS = {
    "server": server.run,
    "local": local.run,
    "log": log_dump.run,
    "image": image_dump.run,
    "recover": recover.run,
    "repair": repair.run,
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; its exit status."""
    try:
        status = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except RedraftError as error:
        print(f"redraft: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output wants no more of it (head, less); the flush at the exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if words[0] in ("-v", "--version", "version"):
        print(f"redraft {__version__}")
        return 0
    if words[0] in OTHERS:
        return OTHERS[words[0]](words[1:])
    if words[0] in cluster.COMMANDS:
        return cluster.run(words[0], words[1:])
    raise UserError(f"redraft: there is no command '{words[0]}'; see redraft --help", exit_code=2)


if __name__ == "__main__":
    sys.exit(main())
