"""One Raft group, whole: its consensus, its keyspace, the execution of commands, its flushes. Sans-IO.

Here may not live: sockets, sessions' protocol state, encoding of replies, files. The log and the image are handed in.
"""
