"""SLOWLOG and LATENCY: what took long (Redis: slowlog.c, latency.c)."""

from __future__ import annotations

from functools import partial
from typing import Any

from redraft.commands import errors, parse
from redraft.commands.table import command, container
from redraft.node.context import SessionContext
from redraft.resp.reply import OK, Verbatim

SLOWLOG_DEFAULT_COUNT = 10
_BAD_COUNT = "ERR count should be greater than or equal to -1"

_slowlog = partial(command, flags="admin loading stale", group="server")
_latency = partial(
    command, flags="admin noscript loading stale", group="server",
    tips=("nondeterministic_output", "request_policy:all_nodes", "response_policy:special"),
)  # fmt: skip

container("SLOWLOG", -2, group="server", since="2.2.12", summary="The slowest commands", help_since="6.2.0")


@_slowlog(
    "SLOWLOG GET", -2, since="2.2.12", summary="Show the newest entries: 10, or as many as asked for, or all (-1)",
    tips=("request_policy:all_nodes", "nondeterministic_output"),
)  # fmt: skip
def slowlog_get(context: SessionContext, argv: list[bytes]) -> Any:
    if len(argv) > 3:
        raise errors.wrong_subcommand(argv)
    count = SLOWLOG_DEFAULT_COUNT if len(argv) == 2 else parse.integer_in(argv[2], -1, (1 << 31) - 1, _BAD_COUNT)
    entries = list(context.node.observer.slowlog.entries)
    return [
        [entry.id, entry.time_s, entry.duration_us, entry.argv, entry.client_address, entry.client_name]
        for entry in (entries if count == -1 else entries[:count])
    ]


@_slowlog(
    "SLOWLOG LEN", 2, since="2.2.12", summary="Count the entries",
    tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"),
)  # fmt: skip
def slowlog_len(context: SessionContext, argv: list[bytes]) -> Any:
    return len(context.node.observer.slowlog.entries)


@_slowlog(
    "SLOWLOG RESET", 2, since="2.2.12", summary="Forget the entries",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def slowlog_reset(context: SessionContext, argv: list[bytes]) -> Any:
    context.node.observer.slowlog.entries.clear()
    return OK


container("LATENCY", -2, group="server", since="2.8.13", summary="Events that took long", help_since="2.8.13")


@_latency("LATENCY LATEST", 2, since="2.8.13", summary="Show the newest and the worst sample of every event")
def latency_latest(context: SessionContext, argv: list[bytes]) -> Any:
    return [
        [name.encode(), event.samples[-1].time_s, event.samples[-1].latency_ms, event.worst_ms]
        for name, event in sorted(context.node.observer.latency.events.items())
    ]


@_latency("LATENCY HISTORY", 3, since="2.8.13", summary="Show the samples of an event")
def latency_history(context: SessionContext, argv: list[bytes]) -> Any:
    event = context.node.observer.latency.events.get(argv[2].decode("latin-1"))
    return [] if event is None else [[sample.time_s, sample.latency_ms] for sample in event.samples]


@command(
    "LATENCY RESET", -2, "admin noscript loading stale", group="server", since="2.8.13",
    summary="Forget the samples of the named events, or all",
    tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
)  # fmt: skip
def latency_reset(context: SessionContext, argv: list[bytes]) -> Any:
    return context.node.observer.latency.reset([name.decode("latin-1") for name in argv[2:]])


@_latency("LATENCY DOCTOR", 2, since="2.8.13", summary="Tell in words what was slow")
def latency_doctor(context: SessionContext, argv: list[bytes]) -> Any:
    threshold = context.node.settings.latency_monitor_threshold
    events = context.node.observer.latency.events
    if not threshold:
        text = "Nothing is measured: set a threshold, e.g. CONFIG SET latency-monitor-threshold 100 (milliseconds).\n"
    elif not events:
        text = f"No event has taken {threshold} ms or longer.\n"
    else:
        text = "".join(
            f"{name}: {len(event.samples)} samples of {threshold} ms or longer, the worst {event.worst_ms} ms"
            f" (mean {sum(sample.latency_ms for sample in event.samples) // len(event.samples)} ms). {_ADVICE[name]}\n"
            for name, event in sorted(events.items())
        )
    return Verbatim("txt", text.encode())


_ADVICE = {
    "command": "Look into SLOWLOG for commands over many members.",
    "fast-command": "A command that should be fast waited for the processor: is the machine overloaded?",
    "fsync": "The disk is slow to make writes durable; see INFO storage.",
    "tick": "Many commands came at once, or one of them was slow.",
}
