"""FUNCTION and SCRIPT as they are on a server to which no library and no script was ever sent (Redis: function_lua.c,
script.c, eval.c).

Test suites and client libraries clean up with these whether or not they use scripts. What would need Lua (EVAL, FCALL,
the LOAD forms) is not there, and is answered as an unknown command. What Redis calls writes goes through the log here
too, though there is nothing to delete yet.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from redraft.commands import errors
from redraft.commands.table import command, container
from redraft.errors import CommandError
from redraft.node.context import SessionContext
from redraft.rdb import payload
from redraft.resp.reply import OK, Map

_NOT_BUSY = "NOTBUSY No scripts in execution right now."
_EVERY_SHARD = ("request_policy:all_shards", "response_policy:all_succeeded")
_ONE_SUCCEEDS = ("request_policy:all_shards", "response_policy:one_succeeded")

_function = partial(command, group="scripting", since="7.0.0", acl="scripting")
_script = partial(command, group="scripting", since="2.6.0", acl="scripting")

container(
    "FUNCTION", -2, group="scripting", since="7.0.0", summary="Libraries of functions: there are none",
    help_since="7.0.0", help_acl="scripting",
)  # fmt: skip


@_function(
    "FUNCTION LIST", -2, "noscript", summary="List the libraries: none", tips=("nondeterministic_output_order",)
)  # fmt: skip
def function_list(context: SessionContext, argv: list[bytes]) -> Any:
    with_code = named = False
    words = iter(argv[2:])
    for word in words:
        if word.lower() == b"withcode" and not with_code:
            with_code = True
        elif word.lower() == b"libraryname" and not named:
            named = True
            if next(words, None) is None:
                raise CommandError("ERR library name argument was not given")
        else:
            raise CommandError(f"ERR Unknown argument {word.decode('latin-1')}")
    return []


@_function(
    "FUNCTION STATS", 2, "noscript allow_busy", summary="Tell what function runs, and how many there are: none",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)  # fmt: skip
def function_stats(context: SessionContext, argv: list[bytes]) -> Any:
    counts = Map([(b"libraries_count", 0), (b"functions_count", 0)])
    return Map([(b"running_script", None), (b"engines", Map([(b"LUA", counts)]))])


@_function("FUNCTION DUMP", 2, "noscript", summary="Answer all libraries as a payload: an empty one")
def function_dump(context: SessionContext, argv: list[bytes]) -> Any:
    return payload.seal(b"")


@_function("FUNCTION KILL", 2, "noscript allow_busy", summary="End the function that runs: none", tips=_ONE_SUCCEEDS)
def function_kill(context: SessionContext, argv: list[bytes]) -> Any:
    raise CommandError(_NOT_BUSY)


@_function("FUNCTION DELETE", 3, "write noscript", summary="Delete a library: there is none", tips=_EVERY_SHARD)
def function_delete(context: Any, argv: list[bytes]) -> Any:
    raise CommandError("ERR Library not found")


@_function("FUNCTION FLUSH", -2, "write noscript", summary="Delete all libraries: there are none", tips=_EVERY_SHARD)
def function_flush(context: Any, argv: list[bytes]) -> Any:
    if len(argv) > 3:
        raise errors.wrong_subcommand(argv)
    _check_mode(argv, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    return OK


container(
    "SCRIPT", -2, group="scripting", since="2.6.0", summary="The cache of scripts: it is empty", help_acl="scripting"
)  # fmt: skip


@_script(
    "SCRIPT FLUSH", -2, "noscript", summary="Forget all scripts: there are none",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def script_flush(context: SessionContext, argv: list[bytes]) -> Any:
    _check_mode(argv, "ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    return OK


@_script(
    "SCRIPT EXISTS", -3, "noscript", summary="Tell which scripts are in the cache: none of them",
    complexity="O(N) where N is the number of scripts asked for.",
    tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
)  # fmt: skip
def script_exists(context: SessionContext, argv: list[bytes]) -> Any:
    return [0] * (len(argv) - 2)


@_script("SCRIPT KILL", 2, "noscript allow_busy", summary="End the script that runs: none", tips=_ONE_SUCCEEDS)
def script_kill(context: SessionContext, argv: list[bytes]) -> Any:
    raise CommandError(_NOT_BUSY)


def _check_mode(argv: list[bytes], refusal: str) -> None:
    """A flush may be told how to be done; anything else is `refusal`."""
    if len(argv) > 2 and (len(argv) > 3 or argv[2].lower() not in (b"sync", b"async")):
        raise CommandError(refusal)
