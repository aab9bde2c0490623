"""A payload, as DUMP answers it: a value under a seal that tells the version and a checksum (Redis: cluster.c).

```
1 byte      the value's type (see `rdb.types`)
the value   as the type has it
2 bytes     version of the format, little endian
8 bytes     CRC-64 of all before, little endian
```

As in Redis, bytes that follow a whole value are let pass if they are under the seal.
"""

from __future__ import annotations

from redraft.rdb.contents import Content
from redraft.rdb.crc64 import crc64
from redraft.rdb.decode import decode
from redraft.rdb.encode import encode
from redraft.rdb.errors import SealError

VERSION = 10
"""Of Redis 7.0. Older ones are read too."""
VERSION_BYTES = 2
SEAL_BYTES = VERSION_BYTES + 8


def dump(content: Content) -> bytes:
    """The payload of some contents."""
    return seal(encode(content))


def load(payload: bytes) -> Content:
    """The contents of a payload. Raises SealError; PayloadError where what is under the seal is no value."""
    return decode(unseal(payload))


def seal(body: bytes) -> bytes:
    """A value with its seal."""
    body += VERSION.to_bytes(VERSION_BYTES, "little")
    return body + crc64(body).to_bytes(8, "little")


def unseal(payload: bytes) -> bytes:
    """What is under the seal. Raises SealError."""
    if len(payload) < SEAL_BYTES:
        raise SealError("a payload is shorter than its seal")
    if int.from_bytes(payload[-SEAL_BYTES:-8], "little") > VERSION:
        raise SealError("a payload is of a version to come")
    if crc64(payload[:-8]) != int.from_bytes(payload[-8:], "little"):
        raise SealError("a payload's checksum is wrong")
    return payload[:-SEAL_BYTES]
