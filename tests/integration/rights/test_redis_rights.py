"""What Superset's log-in at Redis must not do, tried on the real server."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.servers.redis_server import SUPERSET_KEYS

MINE, OTHERS = f"{SUPERSET_KEYS}rights", "serving_rights"

MUST_NOT: list[list[Any]] = [
    ["GET", OTHERS],
    ["SET", OTHERS, "x"],
    ["DEL", OTHERS],
    ["EXPIRE", OTHERS, 1],
    ["RENAME", MINE, OTHERS],
    ["EVAL", "return redis.call('get', KEYS[1])", 1, OTHERS],
    ["EVAL", f"return redis.call('get', '{OTHERS}')", 0],
    ["KEYS", "*"],
    ["EVAL", "return redis.call('keys', '*')", 0],
    ["FLUSHALL"],
    ["FLUSHDB"],
    ["SWAPDB", 0, 1],
    ["CONFIG", "GET", "*"],
    ["CONFIG", "SET", "maxmemory", "1"],
    ["ACL", "LIST"],
    ["ACL", "SETUSER", "superset", "~*", "+@all"],
    ["INFO"],
    ["CLIENT", "LIST"],
    ["CLIENT", "KILL", "TYPE", "normal"],
    ["MONITOR"],
    ["DEBUG", "SLEEP", "0"],
    ["SAVE"],
    ["BGREWRITEAOF"],
    ["REPLICAOF", "NO", "ONE"],
    ["MODULE", "LIST"],
    ["PUBLISH", "anything", "x"],
    ["SUBSCRIBE", "anything"],
    ["SHUTDOWN", "NOSAVE"],
]
MAY: list[list[Any]] = [
    ["PING"],
    ["SETEX", MINE, 60, "x"],
    ["GET", MINE],
    ["MGET", MINE],
    ["EXISTS", MINE],
    ["INCRBY", f"{MINE}_n", 1],
    ["EXPIRE", f"{MINE}_n", 60],
    ["EVAL", "return redis.call('incrby', KEYS[1], 1)", 1, f"{MINE}_n"],
    ["SCRIPT", "LOAD", "return 1"],
    ["UNLINK", MINE],
    ["DEL", f"{MINE}_n"],
]


@pytest.fixture
def operator(stack: Any) -> Iterator[redis.Redis]:
    """The operator, and a key that is none of Superset's business."""
    with redis.Redis.from_url(stack.env["REDIS_URL"]) as client:
        client.set(OTHERS, "as it was")
        yield client
        client.delete(OTHERS)


@pytest.fixture
def superset(stack: Any) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(stack.own("superset")["REDIS_URL"]) as client:
        yield client


@pytest.mark.parametrize("command", MUST_NOT, ids=lambda words: " ".join(map(str, words))[:40])
def test_superset_is_refused_what_is_not_its_business(operator, superset, command):
    with pytest.raises(redis.ResponseError, match=r"(?i)NOPERM|can't access|no permission|can't run"):
        superset.execute_command(*command)
    assert operator.get(OTHERS) == b"as it was"


@pytest.mark.parametrize("command", MAY, ids=lambda words: " ".join(map(str, words))[:40])
def test_superset_may_do_its_work(superset, command):
    superset.execute_command(*command)


@pytest.mark.parametrize("command", [["GET", OTHERS], ["KEYS", "serving_*"], ["INFO"], ["CONFIG", "GET", "maxmemory"]])
def test_the_operator_sees_everything(operator, command):
    assert operator.execute_command(*command)


def test_who_has_no_log_in_or_another_ones_password_is_turned_away(stack):
    address = urlsplit(stack.env["REDIS_URL"])
    superset = urlsplit(stack.own("superset")["REDIS_URL"])
    wrong = [
        {},
        {"password": address.password},  # the user called default is off
        {"username": "operator", "password": superset.password},
        {"username": "superset", "password": address.password},
    ]
    for login in wrong:
        with (
            redis.Redis(host=address.hostname, port=address.port, retry=Retry(NoBackoff(), 0), **login) as stranger,
            pytest.raises((redis.AuthenticationError, redis.ResponseError), match=r"(?i)authenticat|invalid username"),
        ):
            stranger.ping()
