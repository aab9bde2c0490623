"""CONFIG: the settings while the node runs (Redis: config.c)."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

from redraft.commands import errors
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.node.context import SessionContext
from redraft.resp.reply import OK, Map

log = logging.getLogger("redraft.node")

_sub = partial(command, flags="admin noscript loading stale", group="server")

container("CONFIG", -2, group="server", since="2.0.0", summary="Settings while the node runs")


@_sub("CONFIG GET", -3, since="2.0.0", summary="Tell the settings whose names match")
def get(context: SessionContext, argv: list[bytes]) -> Any:
    found = context.node.settings.get(argv[2:])
    return Map([(name.encode(), os.fsencode(value)) for name, value in found])


@_sub(
    "CONFIG SET", -4, since="2.0.0", summary="Change settings: all of them or none",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def set_(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) % 2:
        raise CommandError(errors.SYNTAX)
    settings = context.node.settings
    settings.set_many(list(zip(argv[2::2], argv[3::2], strict=True)))
    named = {name.decode("latin-1").lower() for name in argv[2::2]}
    for name, reason in settings.ignored():
        if name in named:
            log.warning("%s has no effect: %s", name, reason)
    return OK


@_sub("CONFIG RESETSTAT", 2, since="2.0.0", summary="Let INFO count anew")
def resetstat(context: SessionContext, argv: list[bytes]) -> Any:
    context.node.observer.reset_statistics()
    return OK


@_sub("CONFIG REWRITE", 2, since="2.8.0", summary="Make the configuration file say the present settings")
def rewrite(context: SessionContext, argv: list[bytes]) -> Any:
    context.node.settings.rewrite()
    return OK
