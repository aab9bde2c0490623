"""Random geo commands: positions at poles, edges and equator, near each other and far; areas from nothing to the whole
earth."""

from __future__ import annotations

from hypothesis import strategies as st

from oracle.commands import Command, cased, extended, joined, sequences, with_options, words

KEYS = [b"g1", b"g2", b"text", b"none"]
MEMBERS = [b"Palermo", b"Catania", b"a", b"b", b"c", b"d", b"e", b"\x00\xff"]
LONGITUDES = [
    b"13.361389", b"15.087269", b"0", b"180", b"-180", b"179.999", b"-179.999", b"37", b"13.5", b"181", b"x", b"nan",
    b"-0",
]  # fmt: skip
LATITUDES = [
    b"38.115556", b"37.502669", b"0", b"85.05112878", b"-85.05112878", b"85.06", b"84.9", b"-70", b"67", b"15", b"",
    b"38",
]  # fmt: skip
LENGTHS = [b"0", b"1", b"200", b"166.2742", b"400", b"5000", b"30000", b"1e9", b"-1", b"x", b"0.5", b"166274.15"]
COUNTS = [b"1", b"2", b"3", b"100", b"0", b"-1", b"x"]

key = st.sampled_from(KEYS)
member = st.sampled_from(MEMBERS)
longitude = st.sampled_from(LONGITUDES) | st.floats(-180, 180).map(lambda number: b"%.6f" % number)
latitude = st.sampled_from(LATITUDES) | st.floats(-85, 85).map(lambda number: b"%.6f" % number)
length = st.sampled_from(LENGTHS)
unit = st.sampled_from([b"m", b"km", b"KM", b"mi", b"ft", b"yd", b"km", b"m"])
with_words = (
    words("WITHDIST"), words("WITHHASH"), words("WITHCOORD"), words("COUNT", st.sampled_from(COUNTS)), words("ANY"),
    words("ASC"), words("DESC"), words("COUNT", st.just(b"2"), "ANY"),
)  # fmt: skip
stores = (words("STORE", key), words("STOREDIST", key))
frommember, fromlonlat = words("FROMMEMBER", member), words("FROMLONLAT", longitude, latitude)
byradius, bybox = words("BYRADIUS", length, unit), words("BYBOX", length, length, unit)
asked = st.tuples(st.one_of(frommember, fromlonlat), st.one_of(byradius, bybox)).map(lambda pair: pair[0] + pair[1])
badly = st.lists(st.one_of(frommember, fromlonlat, byradius, bybox), max_size=4).map(lambda rows: sum(rows, ()))


added = extended(words("GEOADD", key), st.tuples(longitude, latitude, member), 5)

command: st.SearchStrategy[Command] = st.one_of(
    added, added, added,
    extended(joined(words("GEOADD", key), st.tuples(cased("xx") | cased("nx") | cased("ch"))),
             st.tuples(longitude, latitude, member)),
    words("GEOADD", key, "NX", "XX", longitude, latitude, member),
    words("GEOADD", key, longitude, latitude, member, member),
    extended(words("GEOPOS", key), st.tuples(member)), extended(words("GEOHASH", key), st.tuples(member)),
    words("GEODIST", key, member, member), words("GEODIST", key, member, member, unit),
    words("GEODIST", key, member, member, unit, unit),
    with_options(joined(words("GEOSEARCH", key), asked), *with_words),
    with_options(joined(words("GEOSEARCH", key), asked), *with_words),
    with_options(joined(words("GEOSEARCH", key), badly), *with_words, *stores),
    with_options(joined(words("GEOSEARCHSTORE", key, key), asked), *with_words, words("STOREDIST")),
    with_options(words("GEORADIUS", key, longitude, latitude, length, unit), *with_words, *stores),
    with_options(words("GEORADIUSBYMEMBER", key, member, length, unit), *with_words, *stores),
    with_options(words("GEORADIUS_RO", key, longitude, latitude, length, unit), *with_words, *stores),
    with_options(words("GEORADIUSBYMEMBER_RO", key, member, length, unit), *with_words),
    words("SET", st.just(b"text"), member), words("DEL", key),
    words("ZADD", key, st.sampled_from([b"0", b"1e15"]), member),
)  # fmt: skip


def sequence(most: int) -> st.SearchStrategy[list[Command]]:
    """Sequences of them."""
    return sequences(command, most)
