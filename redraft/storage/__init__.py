"""RocksDB and the data directory: the only floor that imports rocksdict.

Here live the log of all groups (`log_store`), a shard's image (`image`), the directory and its lock (`directory`). Here
may not live: what an entry or a record means.
"""
