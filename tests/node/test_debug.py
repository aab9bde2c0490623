"""DEBUG: the forms that test suites of clients and servers call."""

from __future__ import annotations

import pytest

from support.processes import ReplyError
from support.world import Client, World


def test_sleep_serves_nobody_for_so_long(world: World, client: Client, other: Client) -> None:
    assert client.pipeline("DEBUG SLEEP 0.5", "PING") == []
    assert other.pipeline("GET key") == []
    world.advance(499)
    world.settle()
    assert client.replies() == other.replies() == []
    world.advance(1)
    world.settle()
    assert client.replies() == [b"OK", b"PONG"]
    assert other.replies() == [None]


def test_a_sleep_enters_the_slow_log(world: World, client: Client) -> None:
    client.ask("DEBUG SLEEP 0.5")
    world.settle()
    world.advance(500)
    world.settle()
    [entry] = world.connect()("SLOWLOG GET")
    assert entry[2] == 500_000
    assert entry[3] == [b"DEBUG", b"SLEEP", b"0.5"]


@pytest.mark.parametrize("word", ["0", "-1", "0.0000001"])
def test_a_sleep_of_no_time_is_over_at_once(world: World, client: Client, word: str) -> None:
    client.ask(f"DEBUG SLEEP {word}")
    world.settle()
    world.advance(1)
    world.settle()
    assert client.replies() == [b"OK"]
    assert world.node.plain, "nothing is paused any more"


def test_who_leaves_asleep_wakes_nobody(world: World, client: Client, other: Client) -> None:
    client.ask("DEBUG SLEEP 1")
    world.settle()
    client.hang_up()
    world.advance(1000)
    world.settle()
    assert other("PING") == b"PONG"


def test_reload_reads_back_what_was_written(world: World, client: Client, other: Client) -> None:
    other("DEBUG SET-ACTIVE-EXPIRE 0")
    client.pipeline("SET a 1", "SET b 2 PX 100000", "SET due 1 PX 5", "SELECT 3", "SET c 3", "SELECT 0")
    world.advance(10)
    before = other("DEBUG DIGEST")
    client.ask("DEBUG RELOAD", "GET a")
    world.finish()
    assert client.replies() == [b"OK", b"1"]
    assert other("DEBUG DIGEST") == before
    assert other("PTTL b") == 99_990
    assert other("GET due") is None
    client.ask("DEBUG LOADAOF")
    world.finish()
    assert client.replies() == [b"OK"]
    assert other("DEBUG DIGEST") == before
    assert client("APPEND a x") == 2, "what was read back can be changed"
    world.restart()
    assert world.connect()("GET a") == b"1x"


def test_reload_keeps_writes_that_are_under_way(world: World, client: Client, other: Client) -> None:
    client("SET a 1")
    client.ask("DEBUG RELOAD")
    world.settle()
    world.hold = True
    other.ask("INCR a")
    world.settle()
    world.run_jobs()
    assert client.replies() == [b"OK"]
    assert client("GET a") == b"1"
    world.release()
    assert other.replies() == [2]
    assert client("GET a") == b"2"


def test_reload_refuses_other_words(client: Client) -> None:
    text = "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."
    assert client("DEBUG RELOAD quickly") == ReplyError(text)


def test_digest_is_equal_for_equal_data_however_it_came_to_be(client: Client) -> None:
    assert client("DEBUG DIGEST") == b"0" * 40
    one = World().connect()
    one.pipeline("SET a 12", "SET b 2", "SET c 3", "DEL c")
    two = World().connect()
    two.pipeline("SET b 2", "SET a 1", "APPEND a 2")
    assert one("DEBUG DIGEST") == two("DEBUG DIGEST") != b"0" * 40
    assert one("DEBUG DIGEST-VALUE a nosuch") == [two("DEBUG DIGEST-VALUE a")[0], b"0" * 40]


@pytest.mark.parametrize("change", ["SET a 2", "RENAME a b", "EXPIRE a 100", "MOVE a 1", "SWAPDB 0 1", "SET b 1"])
def test_digest_differs_for_different_data(client: Client, change: str) -> None:
    client("SET a 1")
    before = client("DEBUG DIGEST")
    client(change)
    assert client("DEBUG DIGEST") != before


def test_digest_does_not_see_keys_that_are_over(world: World, client: Client) -> None:
    client("DEBUG SET-ACTIVE-EXPIRE 0")
    client("SET a 1")
    before = client("DEBUG DIGEST")
    client("SET b 1 PX 10")
    assert client("DEBUG DIGEST") != before
    world.advance(10)
    assert client("DEBUG DIGEST") == before


def test_object_tells_about_a_value(client: Client) -> None:
    client.pipeline("SET number 12", "SET text hello")
    assert b" encoding:int " in client("DEBUG OBJECT number")
    assert b" encoding:embstr serializedlength:5 " in client("DEBUG OBJECT text")
    assert client("DEBUG OBJECT nosuch") == ReplyError("ERR no such key")


def test_set_active_expire_stops_and_starts_the_removal_of_due_keys(world: World, client: Client) -> None:
    client("DEBUG SET-ACTIVE-EXPIRE 0")
    client("SET a 1 PX 10")
    world.advance(1000)
    world.settle()
    assert client("DBSIZE") == 1
    assert client("GET a") is None
    client("DEBUG SET-ACTIVE-EXPIRE 1")
    world.advance(1000)
    world.settle()
    assert client("DBSIZE") == 0


PROTOCOL = {
    "string": (b"$11\r\nHello World\r\n", b"$11\r\nHello World\r\n"),
    "integer": (b":12345\r\n", b":12345\r\n"),
    "double": (b"$5\r\n3.141\r\n", b",3.141\r\n"),
    "null": (b"$-1\r\n", b"_\r\n"),
    "array": (b"*3\r\n:0\r\n:1\r\n:2\r\n", b"*3\r\n:0\r\n:1\r\n:2\r\n"),
    "set": (b"*3\r\n:0\r\n:1\r\n:2\r\n", b"~3\r\n:0\r\n:1\r\n:2\r\n"),
    "map": (b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n", b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
    "bignum": (b"$37\r\n1234567999999999999999999999999999999\r\n", b"(1234567999999999999999999999999999999\r\n"),
    "verbatim": (b"$25\r\nThis is a verbatim\nstring\r\n", b"=29\r\ntxt:This is a verbatim\nstring\r\n"),
    "true": (b":1\r\n", b"#t\r\n"),
    "false": (b":0\r\n", b"#f\r\n"),
}


@pytest.mark.parametrize("kind", PROTOCOL)
def test_protocol_answers_the_named_type_in_either_protocol(client: Client, kind: str) -> None:
    resp2, resp3 = PROTOCOL[kind]
    client.ask(f"DEBUG PROTOCOL {kind}")
    client.world.settle()
    assert client.raw == resp2
    client.ask("HELLO 3", f"DEBUG PROTOCOL {kind.upper()}")
    client.world.settle()
    assert client.raw.endswith(resp3)


def test_protocol_refuses_other_types(client: Client) -> None:
    assert str(client("DEBUG PROTOCOL colour")).startswith("ERR Wrong protocol type name.")


def test_error_answers_the_given_error(client: Client) -> None:
    assert client(b"DEBUG", b"ERROR", b"ODD is the word") == ReplyError("ODD is the word")
    assert client(b"DEBUG", b"ERROR", b"ODD\r\n+OK\r\n") == ReplyError("ODD  +OK  "), "one error, one line"


def test_stringmatch_len_matches_a_run_of_a(client: Client) -> None:
    assert client("DEBUG STRINGMATCH-LEN 1000 a*a*a*b") == 0
    assert client("DEBUG STRINGMATCH-LEN 1000 a*") == 1


@pytest.mark.parametrize(
    "line",
    [
        "JMAP", "CHANGE-REPL-ID", "QUICKLIST-PACKED-THRESHOLD 0", "QUICKLIST-PACKED-THRESHOLD 100b",
        "QUICKLIST-PACKED-THRESHOLD 1gb", "REPLYBUFFER PEAK-RESET-TIME never", "replybuffer resizing 0",
        "SET-ACTIVE-EXPIRE 1",
    ],
)  # fmt: skip
def test_what_changes_nothing_here_is_accepted(client: Client, line: str) -> None:
    client("RPUSH list a b")
    assert client(f"DEBUG {line}") == b"OK"
    assert client("LRANGE list 0 -1") == [b"a", b"b"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (
            "QUICKLIST-PACKED-THRESHOLD 4gb",
            "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        ),
        ("QUICKLIST-PACKED-THRESHOLD x", "ERR argument must be a memory value bigger than 1 and smaller than 4gb"),
        (
            "REPLYBUFFER colour red",
            "ERR unknown subcommand or wrong number of arguments for 'REPLYBUFFER'. Try DEBUG HELP.",
        ),
        ("HTSTATS 16", "ERR Out of range database"),
        ("HTSTATS x", "ERR value is not an integer or out of range"),
        ("LISTPACK none", "ERR no such key"),
        ("LISTPACK list", "ERR Not a listpack encoded object."),
    ],
)
def test_what_is_refused_is_refused_in_the_words_of_redis(client: Client, line: str, text: str) -> None:
    client("RPUSH list a")
    assert client(f"DEBUG {line}") == ReplyError(text)


def test_listpack_tells_what_a_small_hash_is(client: Client) -> None:
    client("HSET hash field value")
    assert client("DEBUG LISTPACK hash") == b"Listpack structure printed on stdout"


def test_htstats_counts_keys_and_times_to_live(client: Client) -> None:
    client.pipeline("SET a 1", "SET b 1 EX 100", "SELECT 1", "SET c 1")
    text = client("DEBUG HTSTATS 0")
    assert text == b"[Dictionary HT]\n number of elements: 2\n[Expires HT]\n number of elements: 1\n"
    assert b"number of elements: 1\n[Expires" in client("DEBUG HTSTATS 1")
