"""What a session command's handler sees: its session and its node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redraft.node.node import Node
    from redraft.node.permission import Permission
    from redraft.node.session import Session

NO_REPLY: Any = object()
"""What a handler returns when it has answered already, will answer later (the session is blocked) or must not."""


class SessionContext:
    """The world of one session command. One object a node; `session` and `permission` are set before each call."""

    __slots__ = ("in_transaction", "node", "permission", "session")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.session: Session = None  # type: ignore[assignment]
        self.permission: Permission | None = None
        """By which data may be read and written here; None where they may not."""
        self.in_transaction = False
        """Whether it is a step of an EXEC, so that it must be answered now."""
