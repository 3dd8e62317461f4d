"""The stack survives kills, moves under nobody's feet, and leaves nothing behind; on real servers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from stack.lifecycle import Stack
from stack.programs import StackError
from stack.servers import postgres, redis_server
from stack.settings import REPO
from stack.supervise import ended


def silent(_part: str, _what: str) -> None:
    pass


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
    assert stack.down(silent)
    assert [process for process in family if not ended(process.pid)] == []
    assert stack.status() == []
    assert not stack.down(silent), "there was nothing to stop any more"


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


def test_an_up_with_other_values_leaves_the_running_stack_as_it_is_and_says_so(small: Callable[[], Stack]) -> None:
    small().up(silent)
    before, env = pids(small()), (small().settings.watershed_state / "env").read_text()
    other = Stack(small().settings.model_copy(update={"port_offset": 1, "kafka_heap_mb": 256, "ready_seconds": 99}))
    with pytest.raises(StackError, match=r"started with PORT_OFFSET=\d+ KAFKA_HEAP_MB=320, not PORT_OFFSET=1 KAFKA_"):
        other.up(silent)
    assert pids(small()) == before
    assert (small().settings.watershed_state / "env").read_text() == env


def test_a_copy_of_the_folder_is_another_stack(small: Callable[[], Stack], tmp_path: Path) -> None:
    small().up(silent)
    before = pids(small())
    state = small().settings.watershed_state
    copy = tmp_path / "copy"
    shutil.copytree(state, copy, ignore=shutil.ignore_patterns("data", "*.sock"))
    other = Stack(small().settings.model_copy(update={"watershed_state": copy}))
    assert other.status() == []
    assert not other.down(silent)
    assert pids(small()) == before


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


def test_postgres_finds_its_programs_in_a_folder_that_only_its_owner_may_enter(tmp_path: Path) -> None:
    """As root the server runs as somebody else, and a project may lie in root's own home."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    argv = [*postgres.as_server_user(), "test", "-x", str(program)]
    assert subprocess.run(argv, check=False).returncode == 0


STRAYS = """
import sys
from pathlib import Path
from stack.supervise import Supervisor
state = Path(sys.argv[1])
print(*(process.pid for process in Supervisor(state, state / "logs", state / "run").strays()))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another user")
def test_postgres_is_found_where_root_may_not_look_into_other_users_processes(small: Callable[[], Stack]) -> None:
    """As in a container with Docker's own capabilities: without CAP_SYS_PTRACE, and what newer kernels take for it."""
    stack = small()
    stack.up(silent)
    without = ["setpriv", "--bounding-set=-sys_ptrace,-sys_admin,-perfmon"]
    argv = [*without, sys.executable, "-c", STRAYS, str(stack.settings.watershed_state)]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=True)
    assert set(pids(stack).values()) <= {int(pid) for pid in done.stdout.split()}
