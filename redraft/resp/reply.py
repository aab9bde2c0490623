"""Reply values: what handlers return, before anybody has decided how to encode them.

| value | RESP2 | RESP3 |
|---|---|---|
| `bytes` | bulk string | bulk string |
| `int` | integer | integer |
| `None` | null bulk string | null |
| `NIL_ARRAY` | null array | null |
| `list`, `tuple` | array | array |
| `Status` | simple string | simple string |
| `CommandError` | error | error |
| `bool` | integer | boolean |
| `float` | bulk string | double |
| `DoubleText` | bulk string | double |
| `Map` | flat array | map |
| `SetReply` | array | set |
| `Pairs` | flat array | array of arrays of two |
| `PairMap` | array of arrays of two | map |
| `Verbatim` | bulk string | verbatim string |
| `BigNumber` | bulk string | big number |
| `Push` | array | push |
"""

from __future__ import annotations

from typing import Any


class Status:
    """A simple string."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Status({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Status) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class NilArray:
    """The type of `NIL_ARRAY`."""

    __slots__ = ()


class Map(list[tuple[Any, Any]]):
    """Pairs of key and value, in order."""

    __slots__ = ()


class Pairs(list[tuple[Any, Any]]):
    """Pairs that RESP3 shows nested and RESP2 flat (WITHSCORES, WITHVALUES)."""

    __slots__ = ()


class PairMap(list[tuple[Any, Any]]):
    """Pairs of key and value that RESP2 shows nested (XREAD)."""

    __slots__ = ()


class SetReply(list[Any]):
    """Distinct members."""

    __slots__ = ()


class Push(list[Any]):
    """An out-of-band message."""

    __slots__ = ()


class Verbatim:
    """Text for people, with its three-letter format."""

    __slots__ = ("form", "text")

    def __init__(self, form: str, text: bytes) -> None:
        self.form = form
        self.text = text


class DoubleText:
    """A double in digits of the command's choice."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


class BigNumber:
    """An integer of any size."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


OK = Status(b"OK")
QUEUED = Status(b"QUEUED")
PONG = Status(b"PONG")
NIL_ARRAY = NilArray()
EMPTY_ARRAY: list[Any] = []
