"""The geo commands: what Redis answers, digit by digit."""

from __future__ import annotations

from typing import Any

import pytest

from redraft.resp.reply import NIL_ARRAY, DoubleText
from support.shell import AnyShell

PLACES = {
    "Palermo": ("13.361389", "38.115556"),
    "Catania": ("15.087269", "37.502669"),
    "Agrigento": ("13.583333", "37.316667"),
}
SYNTAX = "ERR syntax error"
NO_UNIT = "ERR unsupported unit provided. please use M, KM, FT, MI"


def plain(reply: Any) -> Any:
    """A reply as RESP2 shows it."""
    if isinstance(reply, list):
        return [plain(element) for element in reply]
    return reply.text if isinstance(reply, DoubleText) else reply


@pytest.fixture
def sicily(either: AnyShell) -> AnyShell:
    for name, position in PLACES.items():
        assert either("GEOADD", "sicily", *position, name) == 1
    return either


def test_positions_are_scores_of_a_sorted_set(sicily: AnyShell) -> None:
    assert sicily.run("ZCARD sicily") == 3
    assert plain(sicily.run("GEOSEARCH sicily FROMMEMBER Palermo BYRADIUS 1 m WITHHASH")) == [
        [b"Palermo", 3479099956230698]
    ]
    assert plain(sicily.run("GEOPOS sicily Palermo none Catania")) == [
        [b"13.36138933897018433", b"38.11555639549629859"],
        NIL_ARRAY,
        [b"15.08726745843887329", b"37.50266842333162032"],
    ]
    assert sicily.run("GEOHASH sicily Palermo none Catania") == [b"sqc8b49rny0", None, b"sqdtr74hyu0"]
    assert sicily.run("GEOPOS sicily") == []
    assert sicily.run("GEOPOS none a") == [NIL_ARRAY]
    assert sicily.run("GEOHASH none a") == [None]


@pytest.mark.parametrize(
    ("score", "is_east", "is_north"),
    [
        ("inf", False, False), ("-inf", True, False), ("1e30", False, False), ("-1e30", True, False),
        ("9223372036854775808", True, False), ("-9223372036854775808", True, False), ("1e19", True, True),
        ("18446744073709551615", False, False), ("4503599627370496.5", False, True), ("-1", True, True),
        ("-0.5", False, False),
    ],
)  # fmt: skip
def test_a_score_of_no_position_is_some_corner_of_the_map(
    either: AnyShell, score: str, is_east: bool, is_north: bool
) -> None:
    either("ZADD", "k", score, "m")
    [[longitude, latitude]] = plain(either("GEOPOS", "k", "m"))
    assert (float(longitude) > 0, float(latitude) > 0) == (is_east, is_north)


def test_digits_of_whole_and_of_small_coordinates(either: AnyShell) -> None:
    either.run("GEOADD k 0 0 zero -180 -85.05112878 corner 0.00001 -0.00001 near")
    assert plain(either.run("GEOPOS k zero corner near")) == [
        [b"0.00000268220901489", b"0.00000126736058093"],
        [b"-179.99999731779098511", b"-85.05112751263942528"],
        [b"0.00000804662704468", b"-0.00000887152405227"],
    ]


@pytest.mark.parametrize(
    ("words", "distance"),
    [
        ("Palermo Catania", b"166274.1516"),
        ("Palermo Catania M", b"166274.1516"),
        ("Palermo Catania km", b"166.2742"),
        ("Palermo Catania mi", b"103.3182"),
        ("Palermo Catania FT", b"545518.8700"),
        ("Palermo Palermo", b"0.0000"),
        ("Palermo none", None),
        ("none Palermo km", None),
    ],
)
def test_distances_have_four_decimals(sicily: AnyShell, words: str, distance: bytes | None) -> None:
    assert sicily.run(f"GEODIST sicily {words}") == distance
    assert sicily.run(f"GEODIST none {words}") is None


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("BYRADIUS 200 km ASC", [b"Catania", b"Agrigento", b"Palermo"]),
        ("BYRADIUS 200 km DESC", [b"Palermo", b"Agrigento", b"Catania"]),
        ("BYRADIUS 100 km", [b"Catania"]),
        ("BYRADIUS 200 km COUNT 1", [b"Catania"]),
        ("BYRADIUS 200 km COUNT 1 DESC", [b"Palermo"]),
        ("BYRADIUS 10 km", []),
        ("BYBOX 400 400 km ASC COUNT 2", [b"Catania", b"Agrigento"]),
        ("BYBOX 400 100 km ASC", [b"Agrigento"]),
        ("BYRADIUS 100 km WITHDIST", [[b"Catania", b"56.4413"]]),
        (
            "BYRADIUS 100 km WITHCOORD WITHHASH WITHDIST",
            [[b"Catania", b"56.4413", 3479447370796909, [b"15.08726745843887329", b"37.50266842333162032"]]],
        ),
    ],
)
def test_areas_are_searched(sicily: AnyShell, options: str, found: list[Any]) -> None:
    assert plain(sicily.run(f"GEOSEARCH sicily FROMLONLAT 15 37 {options}")) == found
    assert sicily.run(f"GEOSEARCH none FROMLONLAT 15 37 {options}") == []
    if "BYRADIUS" in options:
        older = options.replace("BYRADIUS ", "")
        assert plain(sicily.run(f"GEORADIUS sicily 15 37 {older}")) == found
        assert plain(sicily.run(f"GEORADIUS_RO sicily 15 37 {older}")) == found


def test_any_takes_what_comes_first(sicily: AnyShell) -> None:
    found = sicily.run("GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY")
    assert len(found) == 1
    assert found[0] in (b"Palermo", b"Agrigento", b"Catania")


def test_the_centre_may_be_a_member(sicily: AnyShell) -> None:
    expected = [b"Palermo", b"Agrigento"]
    assert sicily.run("GEOSEARCH sicily FROMMEMBER Palermo BYRADIUS 100 km ASC") == expected
    assert sicily.run("GEORADIUSBYMEMBER sicily Palermo 100 km ASC") == expected
    assert sicily.run("GEORADIUSBYMEMBER_RO sicily Palermo 100 km ASC") == expected
    for line in ("GEOSEARCH sicily FROMMEMBER none BYRADIUS 100 km", "GEORADIUSBYMEMBER sicily none 100 km"):
        assert sicily.error(*line.split()) == "ERR could not decode requested zset member"


def test_what_was_found_is_stored_with_its_scores_or_distances(sicily: AnyShell) -> None:
    sicily.run("SET to text EX 100")
    assert sicily.run("GEOSEARCHSTORE to sicily FROMLONLAT 15 37 BYRADIUS 100 km") == 1
    assert sicily.run("GEOHASH to Catania") == [b"sqdtr74hyu0"]
    assert sicily.run("TTL to") == -1
    for line in (
        "GEOSEARCHSTORE to sicily FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST",
        "GEORADIUS sicily 15 37 200 km STOREDIST to",
    ):
        assert sicily.run(line) == 3
        assert sicily.run("ZRANGE to 0 -1") == [b"Catania", b"Agrigento", b"Palermo"]
        assert sicily.run("ZCOUNT to 56.44 56.45") == 1
    assert sicily.run("GEORADIUSBYMEMBER sicily Palermo 1 km STORE to") == 1
    assert sicily.run("GEOSEARCHSTORE to sicily FROMLONLAT 0 0 BYRADIUS 1 km") == 0
    assert sicily.run("EXISTS to") == 0


def test_members_are_added_by_the_rules_of_zadd(sicily: AnyShell) -> None:
    assert sicily.run("GEOADD sicily NX 1 1 Palermo") == 0
    assert sicily.run("GEOADD sicily XX 1 1 none") == 0
    assert sicily.run("GEOADD sicily XX CH 1 1 Palermo 2 2 none") == 1
    assert sicily.run("ZCARD sicily") == 3
    assert sicily.run("GEODIST sicily Palermo Catania km") != b"166.2742"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("GEOADD k 181 0 a", "ERR invalid longitude,latitude pair 181.000000,0.000000"),
        ("GEOADD k 0 85.06 a", "ERR invalid longitude,latitude pair 0.000000,85.060000"),
        ("GEOADD k 0 0 a 181 0 b", "ERR invalid longitude,latitude pair 181.000000,0.000000"),
        ("GEOADD k x 0 a", "ERR value is not a valid float"),
        ("GEOADD k 0 0 a b", SYNTAX),
        ("GEOADD k NX XX 0 0 a", SYNTAX),
        ("GEODIST k a b yd", NO_UNIT),
        ("GEODIST k a b m m", SYNTAX),
        ("GEOSEARCH k FROMLONLAT 0 0 BYRADIUS 1 yd", NO_UNIT),
        ("GEOSEARCH k FROMLONLAT 0 0 BYRADIUS x m", "ERR need numeric radius"),
        ("GEOSEARCH k FROMLONLAT 0 0 BYRADIUS -1 m", "ERR radius cannot be negative"),
        ("GEOSEARCH k FROMLONLAT 0 0 BYBOX 1 -1 m", "ERR height or width cannot be negative"),
        ("GEOSEARCH k FROMLONLAT 0 0 BYBOX x 1 m", "ERR need numeric width"),
        ("GEOSEARCH k FROMLONLAT 0 0 BYBOX 1 x m", "ERR need numeric height"),
        ("GEOSEARCH k FROMLONLAT 0 0 BYRADIUS 1 m COUNT 0", "ERR COUNT must be > 0"),
        ("GEOSEARCH k FROMLONLAT 0 0 BYRADIUS 1 m ANY", "ERR the ANY argument requires COUNT argument"),
        ("GEOSEARCH k FROMLONLAT 0 0 BYRADIUS 1 m STOREDIST", SYNTAX),
        ("GEOSEARCH k FROMLONLAT 0 0 FROMMEMBER Palermo BYRADIUS 1 m", SYNTAX),
        (
            "GEOSEARCH k BYRADIUS 1 m ASC WITHDIST",
            "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH",
        ),
        (
            "GEOSEARCH k FROMLONLAT 0 0 ASC WITHDIST",
            "ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
        ),
        ("GEORADIUS k 0 0 1 m COUNT", SYNTAX),
        ("GEORADIUS_RO k 0 0 1 m STORE to", SYNTAX),
        (
            "GEORADIUS k 0 0 1 m STORE to WITHDIST",
            "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
        (
            "GEOSEARCHSTORE to k FROMLONLAT 0 0 BYRADIUS 1 m WITHDIST",
            "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(either: AnyShell, line: str, text: str) -> None:
    either("GEOADD", "k", *PLACES["Palermo"], "Palermo")
    assert either.error(*line.split()) == text
    assert either.run("ZCARD k") == 1
    assert either.run("EXISTS to") == 0


def test_other_types_are_refused(either: AnyShell) -> None:
    either.put_collection(b"c")
    for line in (
        "GEOADD c 0 0 a", "GEOPOS c a", "GEOHASH c a", "GEODIST c a b", "GEOSEARCH c FROMLONLAT 0 0 BYRADIUS 1 m",
        "GEOSEARCHSTORE to c FROMLONLAT 0 0 BYRADIUS 1 m", "GEORADIUS c 0 0 1 m", "GEORADIUSBYMEMBER_RO c a 1 m",
    ):  # fmt: skip
        assert either.error(*line.split()).startswith("WRONGTYPE"), line
