"""Reply values to bytes, for RESP2 and RESP3 (see `resp.reply` for the table).

The hot path is four exact types: bytes, int, None and Status; everything else goes through a table by type. A reply's
elements are appended to one list and joined once, so that a long array costs one copy of its bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import hiredis

from redraft.errors import CommandError
from redraft.resp.reply import (
    OK,
    BigNumber,
    DoubleText,
    Map,
    NilArray,
    PairMap,
    Pairs,
    Push,
    SetReply,
    Status,
    Verbatim,
)

ENCODED_OK = b"+OK\r\n"
_NULL = (b"", b"", b"$-1\r\n", b"_\r\n")
_NULL_ARRAY = (b"", b"", b"*-1\r\n", b"_\r\n")
_SMALL_INTS = [b":%d\r\n" % n for n in range(1024)]
_BULK_HEADERS = [b"$%d\r\n" % n for n in range(1024)]

MANY_STRINGS = 16
"""From here on it is worth looking whether all are strings, which hiredis makes an array of (a request is one too), or
even all of one length, as ids and numbers often are: joining them takes half the time of that."""


def encode(value: Any, protocol: int) -> bytes:
    """A whole reply. `protocol` is 2 or 3. Raises TypeError for what is no reply value."""
    kind = type(value)
    if kind is bytes:
        return b"$%d\r\n%b\r\n" % (len(value), value)
    if value is OK:
        return ENCODED_OK
    if kind is int:
        return _SMALL_INTS[value] if 0 <= value < 1024 else b":%d\r\n" % value
    if value is None:
        return _NULL[protocol]
    out: list[bytes] = []
    encode_into(out, value, protocol)
    return b"".join(out)


def encode_all(values: list[Any], protocol: int) -> bytes:
    """Several whole replies. A run of writes is mostly answered OK, each of them."""
    if len(values) == 1:
        return encode(values[0], protocol)
    if values[0] is OK and values[-1] is OK and values.count(OK) == len(values):
        return ENCODED_OK * len(values)
    return b"".join([encode(value, protocol) for value in values])


def encode_into(out: list[bytes], value: Any, protocol: int) -> None:
    """Append a reply's bytes to `out`, in pieces."""
    kind = type(value)
    if kind is bytes:
        size = len(value)
        out += (_BULK_HEADERS[size] if size < 1024 else b"$%d\r\n" % size, value, b"\r\n")
    elif kind is int:
        out.append(_SMALL_INTS[value] if 0 <= value < 1024 else b":%d\r\n" % value)
    elif value is None:
        out.append(_NULL[protocol])
    elif kind is list:
        _sequence(out, b"*", value, protocol)
    else:
        encoder = _ENCODERS.get(kind)
        if encoder is None:
            for base, candidate in _ENCODERS.items():
                if isinstance(value, base):
                    encoder = candidate
                    break
            else:
                raise TypeError(f"{kind.__name__} is no reply value")
        encoder(out, value, protocol)


def _sequence(out: list[bytes], sign: bytes, values: Any, protocol: int) -> None:
    headers = _BULK_HEADERS
    count = len(values)
    if count >= MANY_STRINGS:
        try:
            sizes = set(map(len, values))
            if len(sizes) == 1 and (size := sizes.pop()) < 1024:
                header = headers[size]
                # What has a length and is no string, an array, is refused here, at the first of them.
                out += (b"%b%d\r\n%b" % (sign, count, header), (b"\r\n" + header).join(values), b"\r\n")
                return
            if sign == b"*" and list(map(type, values)).count(bytes) == count:
                out.append(hiredis.pack_command(tuple(values)))
                return
        except TypeError:
            pass  # not only strings
    out.append(b"%b%d\r\n" % (sign, count))
    for value in values:
        if type(value) is bytes:
            size = len(value)
            out += (headers[size] if size < 1024 else b"$%d\r\n" % size, value, b"\r\n")
        else:
            encode_into(out, value, protocol)


def format_double(number: float) -> bytes:
    """A double as Redis 7.0 shows it: 17 significant digits at most, no exponent for whole numbers that fit."""
    if math.isinf(number):
        return b"inf" if number > 0 else b"-inf"
    if math.isnan(number):
        return b"nan"
    if number == int(number) and abs(number) < 1e17:
        return b"-0" if number == 0 and math.copysign(1.0, number) < 0 else b"%d" % int(number)
    return f"{number:.17g}".encode()


def _status(out: list[bytes], value: Status, protocol: int) -> None:
    out.append(b"+%b\r\n" % value.text)


def _error(out: list[bytes], value: CommandError, protocol: int) -> None:
    text = value.text.replace("\r", " ").replace("\n", " ")
    out.append(b"-%b\r\n" % text.encode("latin-1", "replace"))


def _nil_array(out: list[bytes], value: NilArray, protocol: int) -> None:
    out.append(_NULL_ARRAY[protocol])


def _bool(out: list[bytes], value: bool, protocol: int) -> None:
    if protocol == 3:
        out.append(b"#t\r\n" if value else b"#f\r\n")
    else:
        out.append(b":1\r\n" if value else b":0\r\n")


def _float(out: list[bytes], value: float, protocol: int) -> None:
    text = format_double(value)
    out.append(b",%b\r\n" % text if protocol == 3 else b"$%d\r\n%b\r\n" % (len(text), text))


def _double_text(out: list[bytes], value: DoubleText, protocol: int) -> None:
    out.append(b",%b\r\n" % value.text if protocol == 3 else b"$%d\r\n%b\r\n" % (len(value.text), value.text))


def _map(out: list[bytes], value: Map, protocol: int) -> None:
    out.append(b"%%%d\r\n" % len(value) if protocol == 3 else b"*%d\r\n" % (2 * len(value)))
    for key, item in value:
        encode_into(out, key, protocol)
        encode_into(out, item, protocol)


def _pairs(out: list[bytes], value: Pairs, protocol: int) -> None:
    if protocol == 3:
        _sequence(out, b"*", [list(pair) for pair in value], protocol)
    else:
        _sequence(out, b"*", [item for pair in value for item in pair], protocol)


def _pair_map(out: list[bytes], value: PairMap, protocol: int) -> None:
    if protocol == 3:
        _map(out, Map(value), protocol)
    else:
        _sequence(out, b"*", [list(pair) for pair in value], protocol)


def _set(out: list[bytes], value: SetReply, protocol: int) -> None:
    _sequence(out, b"~" if protocol == 3 else b"*", value, protocol)


def _push(out: list[bytes], value: Push, protocol: int) -> None:
    _sequence(out, b">" if protocol == 3 else b"*", value, protocol)


def _array(out: list[bytes], value: Any, protocol: int) -> None:
    _sequence(out, b"*", value, protocol)


def _verbatim(out: list[bytes], value: Verbatim, protocol: int) -> None:
    if protocol == 3:
        out.append(b"=%d\r\n%b:%b\r\n" % (len(value.text) + 4, value.form.encode(), value.text))
    else:
        out.append(b"$%d\r\n%b\r\n" % (len(value.text), value.text))


def _big_number(out: list[bytes], value: BigNumber, protocol: int) -> None:
    text = b"%d" % value.value
    out.append(b"(%b\r\n" % text if protocol == 3 else b"$%d\r\n%b\r\n" % (len(text), text))


def _bytearray(out: list[bytes], value: bytearray, protocol: int) -> None:
    encode_into(out, bytes(value), protocol)


_ENCODERS: dict[type, Callable[[list[bytes], Any, int], None]] = {
    Status: _status,
    CommandError: _error,
    NilArray: _nil_array,
    bool: _bool,
    float: _float,
    DoubleText: _double_text,
    Map: _map,
    Pairs: _pairs,
    PairMap: _pair_map,
    SetReply: _set,
    Push: _push,
    list: _array,
    tuple: _array,
    Verbatim: _verbatim,
    BigNumber: _big_number,
    bytearray: _bytearray,
}
