"""The memtable: a shard's live keys in order, their deadlines, and what a flush must still write.

Here live `Database` (one numbered database), `Keyspace` (all of a shard's) and `Flush` (memory to image). Here may not
live: commands, replies, files, clocks. What is written to disk goes through the `ImageWriter` protocol of `flush`,
which the storage floor implements.
"""
