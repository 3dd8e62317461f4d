"""What end-to-end tests do: run commands, read the warehouse, ask Airflow."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

import httpx
import psycopg

from stack.rooms import WATERSHED
from warehouse.marts import MARTS

Row = tuple[Any, ...]
VIEWS = tuple(mart.name for mart in MARTS if mart.event_types == ("page_view",))


def watershed(env: Mapping[str, str], *words: str, seconds: float = 1800) -> subprocess.CompletedProcess[str]:
    """Run a ``watershed`` command against the test stack."""
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    argv = [str(WATERSHED), *words]
    return subprocess.run(argv, env={**own, **env}, capture_output=True, text=True, check=False, timeout=seconds)


def last_json(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON object a command ends with; the command must have succeeded."""
    assert done.returncode == 0, f"{done.args}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


class Warehouse:
    """Reads (and, to break things on purpose, writes) the test stack's warehouse as its owner."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def rows(self, query: str, *values: object) -> list[Row]:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def run(self, script: str, **values: object) -> None:
        """Run several statements in one transaction; ``values`` are literals in all of them."""
        with psycopg.ClientCursor(psycopg.connect(self._dsn)) as cursor:
            cursor.execute(script, values)
            cursor.connection.commit()
            cursor.connection.close()

    def one(self, query: str, *values: object) -> Any:
        return self.rows(query, *values)[0][0]

    def until(self, what: str, happened: Callable[[], bool], seconds: float = 400) -> None:
        """Wait, within bounds, until the pipeline has done something."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, f"{what}: not after {seconds:.0f} s"
            time.sleep(1)

    def checksum(self, tenant: str) -> str:
        """A checksum over everything a tenant's readers see."""
        rows = "select coalesce(md5(string_agg(m::text, '|' order by m::text)), '') from marts.{} m where tenant = %s"
        parts = [self.one(rows.format(mart), tenant) for mart in VIEWS]
        return " ".join(parts)


def send_page_view(env: Mapping[str, str], tenant: str) -> str:
    """One page view of ``tenant``, now, with a key of its own; gives its id."""
    created = last_json(watershed(env, "keys", "create", "--tenant", tenant, "--kind", "server", "--json"))
    event = {
        "event_id": str(uuid.uuid4()),
        "event_type": "page_view",
        "occurred_at": datetime.now(UTC).isoformat(),
        "data": {"region": "DE", "page_name": "/only"},
    }
    authorised = {"Authorization": f"Bearer {created['key']}"}
    answer = httpx.post(f"{env['COLLECTOR_URL']}/events", json=event, headers=authorised, timeout=30)
    assert answer.status_code == httpx.codes.OK, answer.text
    return str(event["event_id"])


class Airflow:
    """Airflow's public REST API, logged in as the administrator."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._http = httpx.Client(base_url=env["AIRFLOW_URL"], timeout=30)
        login = {"username": env["AIRFLOW_USER"], "password": env["AIRFLOW_PASSWORD"]}
        answer = self._http.post("/auth/token", json=login)
        answer.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self._http.get(f"/api/v2/{path}", params=query)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self._http.post(f"/api/v2/{path}", json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def set_slots(self, pool: str, slots: int) -> None:
        """How many tasks of a pool may run at once."""
        # Airflow wants to be told all that makes a pool, though it changes only what the mask names.
        body = {"pool": pool, "slots": slots, "include_deferred": False}
        answer = self._http.patch(f"/api/v2/pools/{pool}", params={"update_mask": "slots"}, json=body)
        answer.raise_for_status()

    def trigger(self, dag_id: str, logical_date: str | None = None) -> str:
        run_id: str = self.post(f"dags/{dag_id}/dagRuns", logical_date=logical_date)["dag_run_id"]
        return run_id

    def state(self, dag_id: str, run_id: str) -> str:
        state: str = self.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state
