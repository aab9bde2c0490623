"""The cluster as a whole: the config table, the group that replicates it, and what follows from it. Sans-IO.

Here may not live: data, sessions, sockets, files. A shard knows nothing of this package, nor this package of a shard.
"""
