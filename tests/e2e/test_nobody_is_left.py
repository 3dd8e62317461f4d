"""Somebody is forgotten on the whole stack: every store is searched, and who keeps them for a time keeps its word."""

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from collector.kafka_settings import KafkaSettings
from collector.land_events import keyed_hash
from collector.topics import kept_for
from stack import secrets
from stack.servers import postgres
from tests.e2e.kit import Warehouse, last_json, watershed
from tests.stores import cached, databases, files, holding, messages

TENANT = "forgetful"
SHOWN = """
    select coalesce(sum(page_views), 0)::int from marts.region_daily where tenant = 'forgetful'
"""
HAVE_HASH = """
    select count(*)::int from marts.page_views_daily where tenant = 'forgetful' and visitors_sketch::text like %s
"""
HISTORY = "select count(*)::int from intermediate.int_user_history where tenant = 'forgetful' and user_hash = %s"
OLDER = re.compile(r"data/s3/[^/]+/.*/(events[./](page_view|signup|purchase)|quality[./]rejected_events)/")
"""Where older snapshots of the lake's tables and their files lie, which `--finish` deletes (test_forget.py)."""
STATED = {"events.page_view", "rejected_events"}
"""Topics that keep what arrived until their retention has passed."""
STATED_OF_USER = {"events.signup", "events.purchase"}
CACHED_FOR = timedelta(hours=1)
"""How long Superset keeps in Redis what a chart showed."""


def test_of_who_was_forgotten_no_store_has_more_than_is_stated_nor_longer(
    env: Mapping[str, str], demo: dict[str, Any], warehouse: Warehouse, whole_stack: Any, tmp_path: Path
) -> None:
    anna, now = f"anna-{uuid.uuid4().hex}", datetime.now(UTC)
    hashed = keyed_hash(env["VISITOR_HASH_KEY"].encode(), TENANT, "visitor_id", anna)
    state = whole_stack.settings.watershed_state
    known = secrets.load(state / "secrets.json")
    models = Warehouse(postgres.dsn(whole_stack.settings, known, "dbt", "warehouse"))  # nobody else may read histories
    views = (view(anna, now), view(anna, now, session_id=f"s-{anna}"), view("ben", now), view(anna, now, **{anna: 1}))
    user = f"user-{uuid.uuid4().hex}"
    hashed_user = keyed_hash(env["VISITOR_HASH_KEY"].encode(), TENANT, "user_id", user)
    bought = {"purchase_id": "p-1", "app_id": "a", "amount": "2.50", "currency": "EUR", "quantity": 1}
    of_them = {"user_id": user, "region": "DE"}
    deeds = (event("signup", now, **of_them), event("purchase", now, **of_them, **bought))
    send(env, *views, *deeds)
    warehouse.until("they are charted", lambda: warehouse.one(SHOWN) == 3)
    warehouse.until("the user has a history", lambda: models.one(HISTORY, hashed_user) == 1)
    warehouse.until("the rejection is counted", lambda: bool(rejected(warehouse)))
    dump(env, now)
    dumped = [name for name in holding(str(hashed), files(state)) if "/dumps/" in name]
    assert dumped, "or the scan does not see into dumps"
    assert "database warehouse" in holding(str(hashed), databases(whole_stack.settings, known, tmp_path))

    asked = ("--visitor", anna, "--tenant", TENANT, "--apply", "--by", "tests", "--json")
    done = last_json(watershed(env, "forget", *asked))
    assert {one["table"]: one["rows"] for one in done["tables"] if one["rows"]} == {
        "events.page_view": 2, "quality.rejected_events": 1
    }  # fmt: skip
    of_user = last_json(watershed(env, "forget", "--user", user, *asked[2:]))
    assert {one["table"]: one["rows"] for one in of_user["tables"] if one["rows"]} == {
        "events.signup": 1, "events.purchase": 1
    }  # fmt: skip
    warehouse.until("uniques are restated", lambda: warehouse.one(HAVE_HASH, f"%{hashed}%") == 0)
    warehouse.until("the user has no history", lambda: models.one(HISTORY, hashed_user) == 0)
    assert warehouse.one("select sum(revenue) from marts.revenue_daily where tenant = 'forgetful'") == Decimal("2.50")
    assert warehouse.one(SHOWN) == 3, "counts stay"
    assert [name for name in holding(str(hashed), files(state)) if "/dumps/" in name] == dumped, "as it is stated"
    dump(env, now)

    left = holding(anna, files(state), databases(whole_stack.settings, known, tmp_path))
    assert [name for name in left if not OLDER.search(name)] == []
    assert any(OLDER.search(name) for name in left), "or the scan sees nothing"
    assert holding(str(hashed), databases(whole_stack.settings, known, tmp_path)) == []
    assert [name for name in holding(str(hashed), files(state)) if not OLDER.search(name)] == []
    kept = list(cached(env["REDIS_URL"]))
    assert holding(anna, (piece for piece, _ in kept)) == []
    answers = [seconds for piece, seconds in kept if "_data_" in piece.name]
    assert all(seconds is not None and seconds <= CACHED_FOR.total_seconds() for seconds in answers)

    # The user is nowhere else either; the hash in the user history and in who bought is gone with them.
    left = holding(user, files(state), databases(whole_stack.settings, known, tmp_path))
    assert [name for name in left if not OLDER.search(name)] == []
    assert holding(str(hashed_user), databases(whole_stack.settings, known, tmp_path)) == []

    kept_messages = list(messages(env["KAFKA_BOOTSTRAP_SERVERS"]))
    assert {one.topic for one in kept_messages if user.encode() in one.content} == STATED_OF_USER
    named = [one for one in kept_messages if anna.encode() in one.content]
    assert {one.topic for one in named} == STATED
    periods = kept_for(STATED, KafkaSettings(kafka_bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"]))
    (said,) = (one["what"] for one in done["elsewhere"] if one["place"] == "Kafka")
    until = datetime.fromisoformat(re.search(r"until (20\d\d-\d\d-\d\d \d\d:\d\d) UTC", said)[1] + "+00:00")  # type: ignore[index]
    assert all(one.at + (periods[one.topic] or timedelta.max) <= until + timedelta(minutes=1) for one in named)


def view(visitor: str, at: datetime, **data: Any) -> dict[str, Any]:
    return event("page_view", at, **{"region": "DE", "page_name": "/", "visitor_id": visitor, **data})


def event(type_: str, at: datetime, **data: Any) -> dict[str, Any]:
    return {"event_type": type_, "event_id": str(uuid.uuid4()), "occurred_at": at.isoformat(), "data": data}


def send(env: Mapping[str, str], *events: dict[str, Any]) -> None:
    created = last_json(watershed(env, "keys", "create", "--tenant", TENANT, "--kind", "server", "--json"))
    authorised = {"Authorization": f"Bearer {created['key']}"}
    answer = httpx.post(f"{env['COLLECTOR_URL']}/events", content=json.dumps(events), headers=authorised, timeout=30)
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (5, 1), answer.text


def rejected(warehouse: Warehouse) -> list[Any]:
    return warehouse.rows("select 1 from marts.rejects_hourly where tenant = %s", TENANT)


def dump(env: Mapping[str, str], day: datetime) -> None:
    for report in ("daily", "dump"):
        last_json(watershed(env, "report", report, "--date", f"{day:%Y-%m-%d}", "--json"))
