"""The command table: every command declared beside its function, one file a family.

Here live declarations and handlers: `(context, argv) -> reply`. A handler of a data command sees only its `Context`
(keyspace, time, randomness, settings that do not differ between replicas); a handler of a session or server command
sees the protocols of `commands.contexts`, which the node implements. Here may not live: sockets, encoding, routing.
"""
