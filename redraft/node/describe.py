"""A session in words: a line of CLIENT LIST (Redis: networking.c, catClientInfoString)."""

from __future__ import annotations

from redraft.node.session import Session

SESSION_BYTES = 3700
"""What a connection takes that holds nothing (measured with CPython 3.11)."""


def describe(session: Session, steady_ms: int) -> str:
    """A session as CLIENT LIST shows it."""
    flags = "".join(
        letter
        for letter, holds in (
            ("O", session.monitor),
            ("x", session.multi is not None),
            ("b", session.waits()),
            ("d", session.watch_dirty),
            ("c", session.close_after_reply),
            ("U", session.unix),
            ("r", session.reads_stale),
            ("e", "no-evict" in session.flags),
            ("T", "no-touch" in session.flags),
        )
        if holds
    )
    sizes = session.statistics()
    unsent = sum(map(len, session.out)) + (session.transport.unsent_bytes if session.transport is not None else 0)
    fields = {
        "id": session.id,
        "addr": session.address,
        "laddr": session.local_address,
        "fd": session.transport.fd if session.transport is not None else -1,
        "name": session.name.decode("latin-1"),
        "age": (steady_ms - session.connected_ms) // 1000,
        "idle": (steady_ms - session.last_active_ms) // 1000,
        "flags": flags or "N",
        "db": session.database,
        "sub": 0,
        "psub": 0,
        "ssub": 0,
        "multi": sizes["multi"],
        "watch": sizes["watch"],
        "qbuf": sizes["qbuf"],
        "qbuf-free": 0,
        "argv-mem": 0,
        "multi-mem": sizes["multi-mem"],
        "rbs": 0,
        "rbp": 0,
        "obl": 0,
        "oll": sizes["segments"],
        "omem": unsent,
        "tot-mem": SESSION_BYTES + sizes["qbuf"] + sizes["multi-mem"] + unsent,
        "events": "r",
        "cmd": session.last_command.name if session.last_command is not None else "NULL",
        "user": session.user.decode("latin-1"),
        "redir": -1,
        "resp": session.protocol,
        "lib-name": session.library_name.decode("latin-1"),
        "lib-ver": session.library_version.decode("latin-1"),
    }
    return " ".join(f"{name}={value}" for name, value in fields.items()) + "\n"
