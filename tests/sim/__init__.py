"""Whole clusters in one process, in virtual time, from one seed (design section 10).

Everything above the sockets is the real node: sessions, routing, ticks, Raft, keyspace, commands, the config group.
What stands below is made up here, and does what it likes, as far as a real machine may: `clocks`, `disk`, `wires`. A
`machine` is one process with its disk; a `cluster` has all of them, with `clients` whose histories are checked, `chaos`
that disturbs them, and `invariants` that must hold after every event. The list of what is checked and of what is
injected stands at the top of those two.

What runs is a queue of events (`events`): the same seed gives the same events, to the last byte of every frame.
"""
