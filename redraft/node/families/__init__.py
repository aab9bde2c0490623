"""The commands that concern a connection or the node: they are declared in the same table as the data commands.

They stand on this floor, not in `commands/`, because they need the node itself; a protocol that lists all that they
need would only repeat it. A handler is `(context: SessionContext, argv) -> reply`, runs in the client's order as soon
as it is routed, and is never logged.
"""
