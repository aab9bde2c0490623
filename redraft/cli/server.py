"""`redraft server`: run a node."""

from __future__ import annotations

from redraft.server.app import App
from redraft.server.logs import start_logging
from redraft.settings import Settings, help_text

_HEAD = """\
usage: redraft server [CONFIG-FILE] [--OPTION VALUE ...]

Runs a node: by default a durable one on 127.0.0.1:6379. The options are those of the configuration file and take
precedence over it; conf/redraft.conf explains them all.
"""


def run(words: list[str]) -> int:
    """Run a node until it is told to stop; the exit status."""
    if "-h" in words or "--help" in words:
        print(_HEAD + help_text(), end="")
        return 0
    settings = Settings.from_command_line(words)
    with start_logging(settings):
        return App(settings).run()
