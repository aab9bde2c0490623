"""File descriptors: how many the process may have, and how many of them are left for clients.

A process that has none left cannot write its image, reach another node, or read how much memory it has. So some are
kept for that: for the files of the two databases, for links and snapshots, and for what is opened for a moment. As
Redis does, a start raises the soft limit as far as it must and may, and lowers `maxclients` to what is left.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Callable

from redraft.option_kinds import OptionError
from redraft.settings import Settings
from redraft.storage.rocks import most_open_files

log = logging.getLogger("redraft.server")

RESERVED = 96
"""For what is neither a client nor a file of a database: sockets that listen, links both ways and those who may become
one, snapshots, the log, what is opened for a moment."""
DATABASES = 2
LEAST_SHARE = 4
"""However low the limit is, clients have this part of it, and most likely some database has less than it might."""

_TOO_MANY = "The operating system is not able to handle the specified number of clients, try with %d"


def make_room(settings: Settings) -> None:
    """Raise the soft limit to what `maxclients` needs, or as far as it goes, and lower `maxclients` to what fits."""
    most = _raised_limit(settings.maxclients + _reserved(resource.RLIM_INFINITY))
    fits = _clients_within(most)
    if settings.maxclients > fits:
        log.warning(
            "the limit of %d file descriptors (ulimit -n) leaves room for %d clients: maxclients is lowered from %d to"
            " that", most, fits, settings.maxclients,
        )  # fmt: skip
        settings.maxclients = fits
    settings.on_change("maxclients", _follower(settings))


def _follower(settings: Settings) -> Callable[[], None]:
    def follow() -> None:
        """CONFIG SET maxclients. Raises OptionError if so many do not fit."""
        fits = _clients_within(_raised_limit(settings.maxclients + _reserved(resource.RLIM_INFINITY)))
        if settings.maxclients > fits:
            raise OptionError(_TOO_MANY % fits)

    return follow


def _raised_limit(wanted: int) -> int:
    """The soft limit, raised to `wanted` if that may be, or else as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of file descriptors stays at %d: %s", soft, error)
        return soft
    return most


def _reserved(limit: int) -> int:
    return RESERVED + DATABASES * most_open_files(limit)


def _clients_within(limit: int) -> int:
    return max(limit - _reserved(limit), limit // LEAST_SHARE, 1)
