"""Hash slots: which of the 16384 a key belongs to, as in Redis Cluster (cluster.c, keyHashSlot).

CRC16 is the XMODEM variant, which `binascii.crc_hqx` computes. A key with a part in braces is hashed by the first such
part alone, if that is not empty: keys with the same *tag* are in the same slot.
"""

from __future__ import annotations

from binascii import crc_hqx

from redraft.ids import SLOT_COUNT, Slot


def key_slot(key: bytes) -> Slot:
    """The slot of a key.

    >>> key_slot(b"foo"), key_slot(b"{user1000}.following") == key_slot(b"user1000")
    (12182, True)
    """
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return Slot(crc_hqx(key, 0) % SLOT_COUNT)
