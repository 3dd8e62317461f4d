"""The parts of ``watershed demo run``: its tenant, its write key, what was sent before, and the closing addresses."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx
import psycopg

from collector.keys import KeyFile, KeyKind
from contracts.registry import Registry
from demo import compare
from demo.generate import Plan, fingerprint
from demo.send import from_json
from demo.settings import RunSettings
from demo.truth import Truth

TENANT = "demo"
"""The tenant of WRITE_KEY."""
DAYS, TOTAL, SEED = 35, 200_000, 1
"""What a history is where nobody says otherwise."""
KEY_SECONDS = 10.0
"""The collector reads the keys once a second; so long it may take to know a new one."""


class DemoError(Exception):
    """The demo cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Wish:
    """What is asked of a plan; None: whatever was sent before, or else the default."""

    days: int | None = None
    total: int | None = None
    seed: int | None = None

    def is_met_by(self, plan: Plan) -> bool:
        """Whether ``plan`` has every value that was asked for."""
        pairs = ((self.days, (plan.end - plan.start).days), (self.total, plan.total), (self.seed, plan.seed))
        return all(asked is None or asked == planned for asked, planned in pairs)

    def plan(self, end: datetime) -> Plan:
        """A new plan until ``end``, with defaults for what was not asked for."""
        days, total, seed = (
            default if asked is None else asked
            for asked, default in ((self.days, DAYS), (self.total, TOTAL), (self.seed, SEED))
        )
        return Plan.history(seed, end, days, total)


def words(plan: Plan) -> str:
    """A plan as it is told."""
    days = (plan.end - plan.start).days
    return f"{plan.total:,} page views of {days} days until {plan.end:%F %T} (seed {plan.seed})"


def tenant_for(
    settings: RunSettings, registry: Registry, wish: Wish, tell: Callable[[str], None]
) -> tuple[str, Plan | None]:
    """The tenant to send to, and the plan that an earlier run sent to it.

    ``demo``, unless a run sent it something else than what is wished for, or than this version would make of its plan,
    or it shows events that no run of ours sent (somebody tried the collector with its key): then ``demo-2`` and so on,
    since a comparison to the last event can only be made of a tenant of one's own. ``tell`` hears why one is passed
    over.
    """
    with psycopg.connect(settings.reader_dsn) as reader, psycopg.connect(settings.warehouse_dsn) as warehouse:
        maker = fingerprint(registry)
        for number in itertools.count(1):
            tenant = TENANT if number == 1 else f"{TENANT}-{number}"
            kept = kept_truth(settings, tenant)
            plan = from_json(kept.plan) if kept is not None else None
            if kept is not None and kept.plan.get("maker") != maker:
                tell(f"tenant {tenant} has events that another version of the demo made: these go to another tenant")
            elif plan is not None and not wish.is_met_by(plan):
                tell(f"tenant {tenant} has {words(plan)}: other events go to a tenant of their own")
            elif compare.shows_more(reader, warehouse, kept or Truth(tenant), registry):
                tell(f"tenant {tenant} has events that no demo sent: the demo's go to a tenant of their own")
            else:
                return tenant, plan
    raise AssertionError  # count() does not end


@contextmanager
def write_key(settings: RunSettings, tenant: str, kind: KeyKind = KeyKind.SERVER) -> Iterator[str]:
    """A key to send to ``tenant`` with: WRITE_KEY for its own, else a new one that is revoked afterwards.

    :raises DemoError: the collector does not take the key.
    """
    if tenant == TENANT:
        yield settings.write_key.get_secret_value()
        return
    keys = KeyFile(settings.keys_file)
    key, secret = keys.create(tenant, kind, note="demo run")
    try:
        _wait_for_key(settings.collector_url, secret)
        yield secret
    finally:
        keys.revoke(key.id)


def truth_path(settings: RunSettings, tenant: str) -> Path:
    """Where the truth of a tenant is kept: under ``data``, so that ``make reset`` forgets it with the events."""
    return settings.watershed_state / "data" / "demo" / f"{tenant}.json"


def kept_truth(settings: RunSettings, tenant: str) -> Truth | None:
    """What an earlier run sent; None when this is the first."""
    path = truth_path(settings, tenant)
    return Truth.load(path) if path.exists() else None


def addresses(settings: RunSettings) -> list[str]:
    """Where to look, and how to log in; lines, not a table, since a terminal would cut what is to be copied."""
    rows = [
        ("charts", f"{settings.superset_url}/superset/dashboard/overview/"),
        ("", f"log-in {settings.superset_user} / {settings.superset_password.get_secret_value()}"),
        ("runs", settings.airflow_url),
        ("", f"log-in {settings.airflow_user} / {settings.airflow_password.get_secret_value()}"),
        ("models", settings.dbt_docs_url),
        ("gates", settings.data_docs_url),
        ("contracts", f"{settings.collector_url}/contracts"),
    ]
    return [f"  {name:<10} {text}" for name, text in rows]


def _wait_for_key(url: str, secret: str) -> None:
    deadline = time.monotonic() + KEY_SECONDS
    with httpx.Client(headers={"Authorization": f"Bearer {secret}"}, trust_env=False) as http:
        while True:
            try:
                answer = http.post(f"{url}/events", json=[])
            except httpx.TransportError as error:
                raise DemoError(f"{url} does not answer ({error}); is the stack up (`make up`)?") from error
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                return
            if time.monotonic() >= deadline:
                raise DemoError(f"{url} does not know the new key: is its KEYS_FILE the one of this stack?")
            time.sleep(0.2)
