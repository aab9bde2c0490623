"""The values of the options: from the file, the command line and CONFIG SET, and told by CONFIG GET."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from redraft.errors import CommandError, UserError
from redraft.option_kinds import OptionError, OutputLimit
from redraft.options import BY_NAME, OPTIONS
from redraft.settings import Settings


def set_many(target: Settings, **values: str) -> None:
    """CONFIG SET, names with `_` for `-`."""
    target.set_many([(name.replace("_", "-").encode(), value.encode()) for name, value in values.items()])


def refusal(target: Settings, **values: str) -> str:
    """The error text of a CONFIG SET."""
    with pytest.raises(CommandError) as caught:
        set_many(target, **values)
    return caught.value.text


def mistake(*words: str) -> str:
    """What a wrong command line is told."""
    with pytest.raises(UserError) as caught:
        Settings.from_command_line(words)
    return str(caught.value)


def from_file(path: Path, text: str, *words: str) -> Settings:
    path.write_text(text)
    return Settings.from_command_line([str(path), *words])


# The command line and the file.


def test_without_a_command_line_everything_is_at_its_default() -> None:
    target = Settings.from_command_line([])
    assert target.config_file == ""
    assert all(target.value(option) == option.default_value for option in OPTIONS)


def test_options_of_the_command_line_are_read_as_redis_reads_them(tmp_path: Path) -> None:
    target = Settings.from_command_line(
        ["--port", "7001", "--BIND", "10.0.0.1", "::1", "--hz=20", "--save", "60 1", "--dir", str(tmp_path / "a b")]
    )
    assert (target.port, target.bind, target.hz) == (7001, ("10.0.0.1", "::1"), 20)
    assert target.dir == str(tmp_path / "a b")
    assert target.get([b"save"]) == [("save", "60 1")]


def test_a_value_may_be_negative_or_empty() -> None:
    target = Settings.from_command_line(["--slowlog-log-slower-than", "-1", "--save", "", "--requirepass="])
    assert (target.slowlog_log_slower_than, target.requirepass) == (-1, b"")
    assert target.get([b"save"]) == [("save", "")]


def test_the_command_line_wins_over_the_file_and_later_lines_over_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "redraft.conf"
    target = from_file(path, "port 1\nport 2\nhz 11\nhz 12\n", "--port", "3")
    assert (target.port, target.hz) == (3, 12)
    assert target.config_file == str(path)


def test_a_file_has_comments_quotes_and_lines_of_any_system(tmp_path: Path) -> None:
    text = '# a comment\r\n\r\n  PORT 7001  \r\nrequirepass "a b\\x41\\"#"\r\nlogfile \'x y\'\nbind 127.0.0.1 \t ::1\n'
    target = from_file(tmp_path / "c", text)
    assert (target.port, target.requirepass, target.logfile) == (7001, b'a bA"#', "x y")
    assert target.bind == ("127.0.0.1", "::1")


def test_a_password_of_any_bytes_comes_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"requirepass \xff\xfe\n")
    assert Settings.from_command_line([str(path)]).requirepass == b"\xff\xfe"


def test_the_file_may_be_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"port 7001\n")))
    target = Settings.from_command_line(["-", "--hz", "20"])
    assert (target.port, target.hz, target.config_file) == (7001, 20, "")


def test_lines_of_save_add_up_within_one_configuration(tmp_path: Path) -> None:
    target = from_file(tmp_path / "c", "save 60 1\nsave 300 10\n")
    assert target.get([b"save"]) == [("save", "60 1 300 10")]
    target = from_file(tmp_path / "c", 'save 60 1\nsave ""\nsave 300 10\n')
    assert target.get([b"save"]) == [("save", "300 10")]


def test_include_reads_other_files_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "1.inc").write_text("port 1\nhz 11\n")
    (tmp_path / "2.inc").write_text("port 2\n")
    text = f"port 9\ninclude {tmp_path}/*.inc\nhz 13\ninclude {tmp_path}/none*.inc\n"
    target = from_file(tmp_path / "c", text)
    assert (target.port, target.hz) == (2, 13)


def test_an_included_file_that_is_missing_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text(f"include {tmp_path}/absent.conf\n")
    assert mistake(str(path)) == (
        f"redraft: can't open config file '{tmp_path}/absent.conf': No such file or directory"
    )


def test_a_file_that_includes_itself_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_text(f"include {path}\n")
    assert mistake(str(path)).endswith("includes too deep")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("prot 1", "Bad directive or wrong number of arguments (did you mean 'port'?)"),
        ("qqqqqqqqqqqq 1", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ("port 65536", "argument must be between 0 and 65535 inclusive"),
        ('logfile "x', "Unbalanced quotes in configuration line"),
        ('logfile "x"y', "Unbalanced quotes in configuration line"),
        ("include", "wrong number of arguments"),
        ('""', "Bad directive or wrong number of arguments"),
    ],
)
def test_a_wrong_line_is_told_with_its_place(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "c"
    path.write_text(f"hz 10\n  {line}\n")
    assert mistake(str(path)) == f"redraft: {path}, line 2: '{line}': {told}"


def test_what_would_weaken_security_if_it_were_ignored_is_refused() -> None:
    for name in ("rename-command", "aclfile", "user", "loadmodule", "replicaof", "tls-replication", "tls-ciphersuites"):
        assert f"'--{name} x'" in mistake(f"--{name}", "x")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "x"], "redraft: '--port x': argument couldn't be parsed into an integer"),
        (["--port=x"], "redraft: '--port=x': argument couldn't be parsed into an integer"),
        (["--port"], "redraft: '--port': wrong number of arguments"),
        (["--maxmemry", "1gb"], "redraft: '--maxmemry 1gb': Bad directive or wrong number of arguments"
         " (did you mean 'maxmemory'?)"),
        (["-p", "1"], "redraft: '-p': an option was expected, as in --port 6379"),
        (["/absent/redraft.conf"],
         "redraft: can't open config file '/absent/redraft.conf': No such file or directory"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_told(words: list[str], told: str) -> None:
    assert mistake(*words) == told


def test_options_without_effect_are_told_when_they_are_set() -> None:
    assert Settings().ignored() == []
    [(name, reason)] = Settings(appendonly="no", port=7).ignored()
    assert name == "appendonly"
    assert "Raft log" in reason
    assert [name for name, _ in Settings(maxmemory_policy="allkeys-lru").ignored()] == ["maxmemory-policy"]


def test_plain_values_can_be_given_by_name() -> None:
    target = Settings(port=7, requirepass=b"a b", active_expire=False, bind="127.0.0.1 ::1")
    assert (target.port, target.requirepass, target.active_expire) == (7, b"a b", False)
    assert target.bind == ("127.0.0.1", "::1")
    with pytest.raises(UserError, match="prot=1"):
        Settings(prot=1)


# CONFIG GET.


def test_get_answers_names_that_match_a_pattern_once_and_in_order() -> None:
    target = Settings()
    names = [name for name, _ in target.get([b"maxmem*", b"MAXMEMORY", b"hz"])]
    assert names == ["maxmemory", "maxmemory-policy", "maxmemory-samples", "hz", *names[4:]]
    assert set(names[4:]) == {"maxmemory-eviction-tenacity", "maxmemory-clients"}


def test_get_tells_a_whole_name_as_it_was_asked_for() -> None:
    target = Settings()
    assert target.get([b"HZ"]) == target.get([b"HZ", b"h[z]", b"hz"]) == [("HZ", "10")]
    assert target.get([b"H[Z]", b"HZ"]) == [("hz", "10")]


def test_get_shows_plain_numbers_and_aliases() -> None:
    target = Settings(maxmemory="1gb", hash_max_listpack_entries=3)
    assert target.get([b"maxmemory"]) == [("maxmemory", "1073741824")]
    assert target.get([b"hash-max-*-entries"]) == [
        ("hash-max-listpack-entries", "3"),
        ("hash-max-ziplist-entries", "3"),
    ]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (b"p[nor]rt", ["port"]),
        (b"p[^o]*t", []),
        (b"[^a-z]*", []),
        (b"h?", ["hz"]),
        (b"absent", []),
    ],
)
def test_get_reads_globs(pattern: bytes, names: list[str]) -> None:
    assert [name for name, _ in Settings().get([pattern])] == names


def test_get_tells_a_hidden_option_only_by_its_whole_name() -> None:
    target = Settings()
    assert target.get([b"key-load-delay"]) == [("key-load-delay", "0")]
    assert target.get([b"key-load-dela*"]) == []
    assert len(target.get([b"*"])) == sum(not option.hidden for option in BY_NAME.values())


# CONFIG SET.


def test_set_changes_several_options_at_once() -> None:
    target = Settings()
    set_many(target, maxclients="50", HZ="20", loglevel="DEBUG")
    assert (target.maxclients, target.hz, target.loglevel) == (50, 20, "debug")


FAILED = "ERR CONFIG SET failed (possibly related to argument '%s') - %s"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Absent", "1", "ERR Unknown option or number of arguments for CONFIG SET - 'Absent'"),
        ("Port", "1", FAILED % ("Port", "can't set immutable config")),
        ("HZ", "12", FAILED % ("HZ", "duplicate parameter")),
        ("Maxclients", "0", FAILED % ("maxclients", "argument must be between 1 and 4294967295 inclusive")),
        ("lua-time-limit", "x", FAILED % ("lua-time-limit", "argument couldn't be parsed into an integer")),
    ],
)
def test_set_changes_nothing_when_one_of_the_options_is_refused(name: str, value: str, told: str) -> None:
    target = Settings()
    called: list[str] = []
    target.on_change("hz", lambda: called.append("hz"))
    with pytest.raises(CommandError) as caught:
        target.set_many([(b"hz", b"11"), (name.encode(), value.encode())])
    assert caught.value.text == told
    assert target.hz == 10
    assert called == []


def test_set_tells_an_unknown_name_byte_for_byte() -> None:
    with pytest.raises(CommandError) as caught:
        Settings().set_many([("é".encode(), b"1")])
    assert caught.value.text.encode("latin-1").endswith("'é'".encode())


def test_callbacks_are_called_for_options_that_changed_and_only_for_them() -> None:
    target = Settings()
    called: list[Any] = []
    target.on_change("hz", lambda: called.append(("hz", target.hz, target.maxclients)))
    target.on_change("hz", lambda: called.append("hz again"))
    target.on_change("timeout", lambda: called.append("timeout"))
    target.on_change("lua-time-limit", lambda: called.append("busy"))
    set_many(target, hz="20", maxclients="50", timeout="0", busy_reply_threshold="7")
    assert called == [("hz", 20, 50), "hz again", "busy"]


def test_a_callback_that_refuses_undoes_the_whole_set() -> None:
    target = Settings()
    seen: list[tuple[str, int, int]] = []
    target.on_change("hz", lambda: seen.append(("hz", target.hz, target.maxclients)))

    def refuse() -> None:
        seen.append(("maxclients", target.hz, target.maxclients))
        if target.maxclients > 100:
            raise OptionError("too many for this machine")

    target.on_change("maxclients", refuse)
    set_many(target, maxclients="50")
    assert refusal(target, hz="20", maxclients="1000", timeout="9") == (
        FAILED % ("maxclients", "too many for this machine")
    )
    assert (target.hz, target.maxclients, target.timeout) == (10, 50, 0)
    assert seen == [("maxclients", 10, 50), ("hz", 20, 1000), ("maxclients", 20, 1000), ("hz", 10, 50),
                    ("maxclients", 10, 50)]  # fmt: skip


def test_a_callback_for_no_option_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Settings().on_change("absent", lambda: None)


def test_an_output_limit_that_is_not_named_keeps_its_value() -> None:
    target = Settings()
    set_many(target, client_output_buffer_limit="pubsub 1mb 512kb 10")
    limits = target.client_output_buffer_limit
    assert limits.pubsub == OutputLimit(1024 * 1024, 512 * 1024, 10)
    assert limits.replica == OutputLimit(256 << 20, 64 << 20, 60)
    assert target.output_limit_normal == OutputLimit(0, 0, 0)
    assert target.get([b"client-output-buffer-limit"]) == [
        ("client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub 1048576 524288 10")
    ]
