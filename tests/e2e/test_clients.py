"""The programs and the library that people use, against a real server process."""

from __future__ import annotations

import shutil
import subprocess
import threading

import hiredis
import pytest
import redis

from support.processes import Server

RUN_SECONDS = 120
needs_cli = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
needs_benchmark = pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="redis-benchmark is not installed")


def run(program: str, server: Server, *arguments: str, stdin: bytes = b"") -> str:
    """What the program prints; it must end well."""
    done = subprocess.run(
        [program, "-p", str(server.port), *arguments],
        input=stdin,
        capture_output=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout.decode()


# redis-cli.


@needs_cli
def test_redis_cli_pipe_loads_everything(server: Server) -> None:
    count = 20_000
    loaded = b"".join(hiredis.pack_command((b"SET", b"key:%d" % n, b"value of %d" % n)) for n in range(count))
    printed = run("redis-cli", server, "--pipe", stdin=loaded)
    assert f"errors: 0, replies: {count}" in printed
    assert server.client().dbsize() == count
    assert server.client().get("key:19999") == b"value of 19999"


@needs_cli
def test_redis_cli_pipe_counts_errors(server: Server) -> None:
    done = subprocess.run(
        ["redis-cli", "-p", str(server.port), "--pipe"],
        input=b"SET a 1\r\nNOTHING\r\nINCR a\r\n", capture_output=True, timeout=RUN_SECONDS, check=False,
    )  # fmt: skip
    assert b"errors: 1, replies: 3" in done.stdout
    assert server.client().get("a") == b"2"


@needs_cli
def test_redis_cli_finds_big_keys(server: Server) -> None:
    client = server.client()
    client.mset({f"small:{n}": "x" for n in range(500)})
    client.set("large", "x" * 5000)
    client.hset("hash", mapping={str(n): n for n in range(30)})
    client.zadd("scores", {str(n): n for n in range(20)})
    printed = run("redis-cli", server, "--bigkeys")
    assert "Sampled 503 keys in the keyspace!" in printed
    assert 'Biggest string found "large" has 5000 bytes' in printed.replace("'", '"').replace('""', '"')
    assert "has 30 fields" in printed
    assert "has 20 members" in printed
    printed = run("redis-cli", server, "--memkeys")
    assert "Sampled 503 keys in the keyspace!" in printed


@needs_cli
def test_redis_cli_scans(server: Server) -> None:
    server.client().mset({f"user:{n}": n for n in range(1000)} | {f"other:{n}": n for n in range(1000)})
    printed = run("redis-cli", server, "--scan", "--pattern", "user:*").split()
    assert sorted(printed) == sorted(f"user:{n}" for n in range(1000))


@needs_cli
@pytest.mark.parametrize("protocol", [[], ["-3"]], ids=["RESP2", "RESP3"])
def test_redis_cli_prints_replies(server: Server, protocol: list[str]) -> None:
    assert run("redis-cli", server, *protocol, "SET", "key", "a value") == "OK\n"
    assert run("redis-cli", server, *protocol, "GET", "key") == "a value\n"
    assert run("redis-cli", server, *protocol, "HELLO").split()[:2] == ["server", "redis"]
    assert run("redis-cli", server, *protocol, "LPUSH") == "ERR wrong number of arguments for 'lpush' command\n\n"
    assert run("redis-cli", server, *protocol, stdin=b"INCR n\nINCR n\nDEL n\n") == "1\n2\n1\n"


# redis-benchmark.


@needs_benchmark
@pytest.mark.parametrize("pipeline", [1, 16])
def test_redis_benchmark_runs_to_its_end(server: Server, pipeline: int) -> None:
    printed = run("redis-benchmark", server, "-q", "-n", "2000", "-r", "1000", "-P", str(pipeline))
    assert "error" not in printed.lower()
    assert printed.count("requests per second") >= 15


# redis-py.


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_s_usual_calls(server: Server, protocol: int) -> None:
    client = server.client(protocol=protocol, decode_responses=True)
    assert client.ping()
    assert client.set("key", "value", ex=100, nx=True)
    assert client.set("key", "other", nx=True) is None
    assert (client.get("key"), client.getrange("key", 0, 1), client.strlen("key")) == ("value", "va", 5)
    assert 90 < client.ttl("key") <= 100
    assert client.incrby("n", 5) == 5
    assert client.incrbyfloat("f", 1.5) == 1.5
    assert client.mget("key", "n", "none") == ["value", "5", None]
    assert client.exists("key", "n", "none") == 2
    assert client.expire("n", 10, gt=True) is False
    assert sorted(client.scan_iter(match="*", count=1)) == ["f", "key", "n"]
    assert client.type("key") == "string"
    assert client.rename("key", "name") is True
    assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    assert client.client_setname("me") is True
    assert client.client_getname() == "me"
    assert [each["name"] for each in client.client_list()] == ["me"]
    assert client.info("server")["redis_version"]
    assert client.object("encoding", "n") == "int"
    assert client.dbsize() == 3
    assert client.delete("f", "none") == 1
    with pytest.raises(redis.ResponseError, match="not an integer"):
        client.incr("name")
    assert client.hset("hash", mapping={"a": 1, "b": 2}) == 2
    assert client.hgetall("hash") == {"a": "1", "b": "2"}
    assert client.zadd("scores", {"x": 1.5, "y": 2}) == 2
    assert [list(pair) for pair in client.zrange("scores", 0, -1, withscores=True)] == [["x", 1.5], ["y", 2]]
    assert client.sadd("set", "m") == 1
    assert client.smembers("set") == {"m"}
    assert client.flushall() is True


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_s_pipelines_and_transactions(server: Server, protocol: int) -> None:
    client = server.client(protocol=protocol, decode_responses=True)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.set("a", 1).incr("a").get("a")
        assert pipeline.execute() == [True, 2, "2"]
    with client.pipeline(transaction=False) as pipeline:
        for number in range(1000):
            pipeline.set(f"key:{number}", number)
        assert pipeline.execute() == [True] * 1000
    with client.pipeline() as pipeline:
        pipeline.watch("a")
        client.set("a", 10)
        pipeline.multi()
        pipeline.set("a", 3)
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    assert client.get("a") == "10"


def test_many_clients_of_redis_py_count_together(server: Server) -> None:
    each, clients = 200, 8

    def count() -> None:
        client = server.client()
        for _ in range(each):
            client.incr("counter")

    threads = [threading.Thread(target=count) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.client().get("counter") == b"%d" % (each * clients)
