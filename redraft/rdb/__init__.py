"""Redis's own form of a value, the one of DUMP, RESTORE and its RDB files: what moves data between the two servers.

Here live the encodings of Redis 7.0 (RDB version 10) and of its elder kin: listpacks, intsets, ziplists, zipmaps, LZF.
They are read into the plain contents of `rdb.contents` and written from them. Here may not live: the value classes,
keys, deadlines, commands, files.

Nothing that is read is trusted: a payload is a client's, and whatever is wrong with it is a `PayloadError`, found in
time and memory that are linear in what it unpacks to.
"""
