"""The stack survives kills, leaves nothing behind, and says what stands in its way; on real servers."""

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from stack.lifecycle import Stack
from stack.programs import StackError
from stack.servers import postgres, redis_server
from stack.settings import StackSettings
from stack.supervise import ended

SMALL = ("postgres-roles", "redis")
PORT_OFFSET = int(os.environ.get("WATERSHED_TEST_PORT_OFFSET", "1000")) + 2000


def silent(_part: str, _what: str) -> None:
    pass


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Callable[[], Stack]]:
    """A stack of Postgres and Redis only; called again, it is the same stack met by a new command."""
    settings = StackSettings(watershed_state=tmp_path / "state", port_offset=PORT_OFFSET, disk_needed_mb=10)

    def make() -> Stack:
        return Stack(settings, SMALL)

    yield make
    make().down(silent)


def pids(stack: Stack) -> dict[str, int]:
    return {row.name: row.pid for row in stack.status()}


def logins(stack: Stack) -> tuple[str, str]:
    """Superset's at Redis and the loader's at Postgres."""
    settings, secrets = stack.settings, stack.secrets
    return redis_server.url(settings, secrets, "superset"), postgres.dsn(settings, secrets, "loader")


def test_up_is_ready_and_down_leaves_no_process(small: Callable[[], Stack]) -> None:
    stack = small()
    stack.up(silent)
    assert [row.reason for row in stack.status()] == [None, None]
    family = stack.supervisor.strays()
    assert len(family) >= 3
    stack.down(silent)
    assert [process for process in family if not ended(process.pid)] == []
    assert stack.status() == []


def test_a_killed_server_is_started_again_and_its_data_is_there(small: Callable[[], Stack]) -> None:
    stack = small()
    stack.up(silent)
    dsn = postgres.dsn(stack.settings, stack.secrets, "watershed")
    with psycopg.connect(dsn) as connection:
        connection.execute("create schema keep; create table keep.me as select 42 as answer")
    before = pids(stack)
    psutil.Process(before["postgres"]).kill()
    small().up(silent)
    assert pids(stack)["postgres"] != before["postgres"]
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select answer from keep.me").fetchone() == (42,)


def test_up_recovers_after_the_supervisor_itself_was_killed(small: Callable[[], Stack]) -> None:
    stack = small()
    stack.up(silent)
    before = pids(stack)
    pid = int((stack.settings.run / "supervisord.pid").read_text())
    psutil.Process(pid).kill()
    assert not stack.supervisor.alive()
    small().up(silent)
    after = pids(small())
    assert set(after) == set(before)
    assert not set(before.values()) & set(after.values())
    assert [pid for pid in before.values() if not ended(pid)] == []


def test_a_second_up_changes_nothing(small: Callable[[], Stack]) -> None:
    small().up(silent)
    before = pids(small())
    small().up(silent)
    assert pids(small()) == before


def test_a_port_in_use_is_named_with_its_holder_and_its_setting(small: Callable[[], Stack]) -> None:
    stack = small()
    port = stack.settings.port("redis")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(StackError, match=rf"port {port} is in use by .*pid.*REDIS_PORT"):
            stack.up(silent)


def test_a_half_initialised_data_folder_is_refused_with_the_way_out(small: Callable[[], Stack]) -> None:
    stack = small()
    (stack.settings.data / "postgres").mkdir(parents=True)
    with pytest.raises(StackError, match=r"not a whole Postgres data folder.*make reset"):
        stack.up(silent)


def test_an_interrupted_initialisation_is_done_again(small: Callable[[], Stack]) -> None:
    stack = small()
    draft = stack.settings.data / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "half").write_text("written before the power went")
    stack.up(silent)
    assert not draft.exists()


def test_too_little_disk_is_said_before_anything_starts(small: Callable[[], Stack]) -> None:
    stack = small()
    starved = Stack(stack.settings.model_copy(update={"disk_needed_mb": 10**9}), SMALL)
    with pytest.raises(StackError, match=r"MiB free.*DISK_NEEDED_MB"):
        starved.up(silent)
    assert not starved.supervisor.alive()


def test_a_stale_pid_file_is_no_obstacle(small: Callable[[], Stack]) -> None:
    stack = small()
    stack.settings.run.mkdir(parents=True)
    (stack.settings.run / "supervisord.pid").write_text("1\n")
    stack.up(silent)
    assert [row.reason for row in stack.status()] == [None, None]


def test_everything_listens_on_loopback_only(small: Callable[[], Stack]) -> None:
    stack = small()
    stack.up(silent)
    listening = [
        connection.laddr.ip
        for process in stack.supervisor.strays()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


def test_a_role_cannot_enter_a_database_that_is_not_its_own(small: Callable[[], Stack]) -> None:
    stack = small()
    stack.up(silent)
    for role, database in (
        ("reader", "catalog"),
        ("airflow", "warehouse"),
        ("loader", "airflow"),
        ("catalog", "warehouse"),
    ):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(postgres.dsn(stack.settings, stack.secrets, role, database))


def test_a_password_taken_out_of_the_secrets_is_made_anew_and_the_old_one_is_void(
    small: Callable[[], Stack],
) -> None:
    stack = small()
    stack.up(silent)
    old = logins(stack)
    path = stack.settings.watershed_state / "secrets.json"
    kept = {
        name: secret
        for name, secret in json.loads(path.read_text()).items()
        if name not in {"loader", "redis_superset"}
    }
    path.write_text(json.dumps(kept))

    stack = small()
    stack.up(silent)
    new = logins(stack)
    with redis.Redis.from_url(new[0]) as client, psycopg.connect(new[1]):
        assert client.ping()
    with redis.Redis.from_url(old[0]) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(old[1])


def test_reset_deletes_only_after_saying_what(small: Callable[[], Stack]) -> None:
    stack = small()
    stack.up(silent)
    doomed = stack.doomed()
    assert stack.settings.data in doomed
    stack.reset(silent)
    assert stack.doomed() == []
    assert stack.supervisor.strays() == []


def test_postgres_finds_its_programs_in_a_folder_that_only_its_owner_may_enter(tmp_path: Path) -> None:
    """As root the server runs as somebody else, and a project may lie in root's own home."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    argv = [*postgres.as_server_user(), "test", "-x", str(program)]
    assert subprocess.run(argv, check=False).returncode == 0
