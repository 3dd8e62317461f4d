"""The comparison with the marts, on a migrated warehouse of its own in the real Postgres."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from contracts.parse import HERE
from contracts.registry import Registry
from demo import compare
from demo.commands import app
from demo.generate import Plan
from demo.run import Wish, tenant_for, truth_path
from demo.send import as_json
from demo.settings import RunSettings
from demo.truth import Truth, Views
from demo.wait import Outcome, until_equal
from warehouse.migrate import migrate

REGISTRY = Registry.load(HERE)
DAY = "2026-11-20"
MINUTE = datetime(2026, 11, 20, 12, 34, tzinfo=UTC)
SENT_BY = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def dsns(stack: Any) -> Iterator[dict[str, str]]:
    """Connection strings by role to an empty, migrated warehouse."""
    name = f"compare_{uuid4().hex[:12]}"
    secrets = json.loads((Path(stack.env["WATERSHED_STATE"]) / "secrets.json").read_text())
    at = urlsplit(stack.env["WAREHOUSE_DSN"])
    superuser = f"postgresql://postgres:{secrets['postgres']}@{at.hostname}:{at.port}/postgres"
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} owner watershed").format(sql.Identifier(name)))
        roles = ("WAREHOUSE", "LOADER", "PUBLISHER", "READER")
        found = {role: urlunsplit(urlsplit(stack.env[f"{role}_DSN"])._replace(path=f"/{name}")) for role in roles}
        migrate(found["WAREHOUSE"], REGISTRY)
        yield found
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def truth(dsns: dict[str, str]) -> Truth:
    """A tenant of one day and two regions, whose charts and rollups show exactly that."""
    tenant = f"t-{uuid4().hex[:8]}"
    views = {"DE": Views(5, 1, 3), "FR": Views(2, 0, 2)}
    with psycopg.connect(dsns["PUBLISHER"]) as publisher:
        for region, counted in views.items():
            publisher.execute(
                "insert into marts.region_daily values (%s, %s, %s, %s, %s, %s, '{}')",
                (tenant, region, DAY + "Z", counted.page_views, counted.visitors, counted.bot_page_views),
            )
        publisher.execute(
            "insert into marts.revenue_daily values "
            "(%s, 'DE', 'EUR', %s, 0.30, 0, 0.30, 1, 0, 3, 1, 0.30, '{}'), "
            "(%s, 'US', 'USD', %s, 7, 0, 7, 1, 0, 1, 1, 7, '{}')",
            (tenant, DAY + "Z", tenant, DAY + "Z"),
        )
        publisher.execute(
            "insert into marts.user_activity_daily values (%s, %s, 0, 2, 2, 2, 1, 2, 0)", (tenant, DAY + "Z")
        )
    with psycopg.connect(dsns["LOADER"]) as loader:
        loader.execute("select rollups.ensure_months('page_view_minute', %s::date[])", ([DAY],))
        loader.execute("select rollups.ensure_months('purchase_minute', %s::date[])", ([DAY],))
        loader.execute(
            "insert into rollups.page_view_minute values (%s, %s, 'DE', '/', 5, 1, '{}'), "
            "(%s, %s, 'FR', '/', 2, 0, '{}')",
            (tenant, MINUTE, tenant, MINUTE),
        )
        loader.execute(
            "insert into rollups.purchase_minute values "
            "(%s, %s, 'DE', 'EUR', 'a', 0.30, 1, 3, '{}'), (%s, %s, 'US', 'USD', 'a', 7, 1, 1, '{}')",
            (tenant, MINUTE, tenant, MINUTE),
        )
    return Truth(
        tenant,
        {DAY: views},
        {
            "page_view": {DAY: {"page_views": "7", "bot_page_views": "1"}},
            "purchase": {DAY: {"revenue": "7.3", "purchases": "2", "quantity": "4"}},
        },
        {"purchase": {DAY: {"EUR": {"revenue": "0.3"}, "USD": {"revenue": "7"}}}},
        {DAY: 2},
    )


def _outcome(dsns: dict[str, str], truth: Truth, patience: float = 0) -> Outcome:
    sent_by = SENT_BY if patience else None
    pauses: list[float] = []
    return until_equal(
        dsns["READER"],
        dsns["WAREHOUSE"],
        truth,
        REGISTRY,
        sent_by=sent_by,
        patience=patience,
        tell=lambda _line: None,
        pause=pauses.append,
    )


def _say_loaded(dsns: dict[str, str], through: datetime) -> None:
    with psycopg.connect(dsns["WAREHOUSE"]) as owner:
        for type_ in REGISTRY.types():
            owner.execute(
                "insert into ledger.cursors (type, loaded_through) values (%s, %s) "
                "on conflict (type) do update set loaded_through = excluded.loaded_through",
                (type_, through),
            )


def _leave_to_do(dsns: dict[str, str], truth: Truth, table: str) -> None:
    statements = {
        "touched": "insert into ledger.touched (type, tenant, minute, cause, received_from) "
        "values (%s, %s, %s, 'load', %s)",
        "unpublished": "insert into ledger.unpublished (type, tenant, hour, cause, received_from) "
        "values (%s, %s, %s, 'load', %s)",
    }
    with psycopg.connect(dsns["WAREHOUSE"]) as owner:
        owner.execute(statements[table], ("page_view", truth.tenant, MINUTE, SENT_BY - timedelta(hours=1)))


@pytest.fixture
def some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look takes two seconds."""
    monkeypatch.setattr("demo.wait.time.monotonic", iter(range(0, 1000, 2)).__next__)


def test_charts_that_show_the_truth_are_equal(dsns: dict[str, str], truth: Truth) -> None:
    outcome = _outcome(dsns, truth)
    assert outcome.equal, outcome


@pytest.mark.parametrize("measure", ["page_views", "bot_page_views", "visitors"])
def test_one_event_too_few_is_a_difference_by_name(dsns: dict[str, str], truth: Truth, measure: str) -> None:
    wrong = deepcopy(truth)
    setattr(wrong.views[DAY]["DE"], measure, getattr(wrong.views[DAY]["DE"], measure) + 1)
    outcome = _outcome(dsns, wrong)
    assert not outcome.equal
    (difference,) = outcome.differences
    assert (difference.where, difference.day, difference.key) == ("marts.region_daily", DAY, "DE")
    assert difference.found == "5 views, 1 by bots, 3 visitors"


def test_a_row_that_is_missing_and_one_that_was_never_sent_are_differences(dsns: dict[str, str], truth: Truth) -> None:
    wrong = deepcopy(truth)
    wrong.views[DAY]["IT"] = wrong.views[DAY].pop("FR")
    found = {d.key: (d.expected, d.found) for d in _outcome(dsns, wrong).differences}
    assert found["IT"][1] == found["FR"][0] == "no row"


def test_money_moved_from_one_currency_to_another_is_two_differences(dsns: dict[str, str], truth: Truth) -> None:
    other = deepcopy(truth)
    other.money["purchase"][DAY] = {"EUR": {"revenue": "0.31"}, "USD": {"revenue": "6.99"}}
    assert [(d.where, d.key) for d in _outcome(dsns, other).differences] == [
        ("marts.revenue_daily", "revenue EUR"),
        ("marts.revenue_daily", "revenue USD"),
    ]


def test_a_user_too_many_is_a_difference(dsns: dict[str, str], truth: Truth) -> None:
    (difference,) = _outcome(dsns, replace(truth, active_users={DAY: 1})).differences
    assert (difference.where, difference.expected, difference.found) == ("marts.user_activity_daily", "1", "2")


def test_a_cent_in_the_rollups_is_a_difference(dsns: dict[str, str], truth: Truth) -> None:
    wrong = deepcopy(truth)
    wrong.totals["purchase"][DAY]["revenue"] = "7.31"
    (difference,) = _outcome(dsns, wrong).differences
    assert asdict(difference) == {
        "where": "rollups.purchase_minute",
        "day": DAY,
        "key": "revenue",
        "expected": "7.31",
        "found": "7.3000",
    }


def test_other_tenants_do_not_count(dsns: dict[str, str], truth: Truth) -> None:
    with psycopg.connect(dsns["PUBLISHER"]) as publisher:
        publisher.execute(
            "insert into marts.region_daily values ('somebody', 'DE', %s, 100, 10, 1, '{}') on conflict do nothing",
            (DAY + "Z",),
        )
    assert _outcome(dsns, truth).equal


def test_equal_is_not_enough_before_everything_sent_is_loaded(
    dsns: dict[str, str], truth: Truth, some_seconds: None
) -> None:
    _say_loaded(dsns, SENT_BY - timedelta(seconds=1))
    outcome = _outcome(dsns, truth, patience=5)
    assert not outcome.equal
    assert outcome.reason == "equal, but not all that was sent is loaded and published after 6 s"


def test_waiting_ends_at_once_when_everything_is_loaded_and_published(dsns: dict[str, str], truth: Truth) -> None:
    _say_loaded(dsns, SENT_BY)
    assert _outcome(dsns, truth, patience=3600).equal
    truth.views[DAY]["DE"].page_views += 1
    outcome = _outcome(dsns, truth, patience=3600)
    assert outcome.reason == "everything is loaded and published, and is not equal"


@pytest.mark.parametrize("table", ["touched", "unpublished"])
def test_waiting_goes_on_while_something_is_to_do(
    dsns: dict[str, str], truth: Truth, table: str, some_seconds: None
) -> None:
    _say_loaded(dsns, SENT_BY)
    _leave_to_do(dsns, truth, table)
    truth.views[DAY]["DE"].page_views += 1
    assert _outcome(dsns, truth, patience=5).reason == "not equal after 6 s"


def test_a_type_that_was_never_loaded_is_waited_for(dsns: dict[str, str], truth: Truth, some_seconds: None) -> None:
    _say_loaded(dsns, SENT_BY)
    with psycopg.connect(dsns["WAREHOUSE"]) as owner:
        owner.execute("delete from ledger.cursors where type = 'purchase'")
    assert not _outcome(dsns, truth, patience=5).equal


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (lambda truth: None, False),
        (lambda truth: setattr(truth.views[DAY]["DE"], "page_views", 6), False),
        (lambda truth: setattr(truth.views[DAY]["DE"], "page_views", 4), True),
        (lambda truth: setattr(truth.views[DAY]["DE"], "bot_page_views", 0), True),
        (lambda truth: truth.views[DAY].pop("FR"), True),
        (lambda truth: truth.totals.pop("purchase"), True),
        (lambda truth: truth.totals["purchase"][DAY].update(revenue="7.31"), False),
    ],
)
def test_events_of_somebody_else_are_more_and_those_still_to_come_are_not(
    dsns: dict[str, str], truth: Truth, change: Callable[[Truth], object], more: bool
) -> None:
    change(truth)
    with psycopg.connect(dsns["READER"]) as reader, psycopg.connect(dsns["WAREHOUSE"]) as warehouse:
        assert compare.shows_more(reader, warehouse, truth, REGISTRY) is more


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def choose(
    dsns: dict[str, str], truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> Callable[[Wish], tuple[str, Plan | None]]:
    """Where a demo goes whose first tenant is the truth's, which has its events."""
    monkeypatch.setattr("demo.run.TENANT", truth.tenant)
    settings = RunSettings.model_construct(
        reader_dsn=dsns["READER"], warehouse_dsn=dsns["WAREHOUSE"], watershed_state=tmp_path
    )
    return lambda wish: tenant_for(settings, REGISTRY, wish, told.append)


def _was_sent(tmp_path: Path, truth: Truth, tenant: str, plan: Plan, **more: str) -> None:
    kept = replace(truth, tenant=tenant, plan={**as_json(plan, REGISTRY), **more})
    kept.save(truth_path(RunSettings.model_construct(watershed_state=tmp_path), tenant))


PLAN = Plan.history(1, SENT_BY, 35, 200_000)
OTHER_PLAN = Plan.history(7, SENT_BY, 7, 1000)


def test_a_demo_keeps_to_a_tenant_that_is_its_own(
    truth: Truth, tmp_path: Path, choose: Callable[[Wish], tuple[str, Plan | None]], told: list[str]
) -> None:
    assert choose(Wish()) == (f"{truth.tenant}-2", None), "its events were sent by somebody else"
    assert "events that no demo sent" in told[0]
    _was_sent(tmp_path, truth, truth.tenant, PLAN)
    assert choose(Wish()) == (truth.tenant, PLAN), "an earlier run sent them"


@pytest.mark.parametrize("wish", [Wish(), Wish(days=35), Wish(35, 200_000, 1)])
def test_a_demo_of_what_was_sent_before_sends_the_same_again(
    truth: Truth, tmp_path: Path, choose: Callable[[Wish], tuple[str, Plan | None]], told: list[str], wish: Wish
) -> None:
    _was_sent(tmp_path, truth, truth.tenant, PLAN)
    assert choose(wish) == (truth.tenant, PLAN)
    assert told == []


@pytest.mark.parametrize("wish", [Wish(days=7), Wish(total=1000), Wish(seed=7), Wish(7, 1000, 7)])
def test_a_demo_of_something_else_goes_to_a_tenant_of_its_own_and_says_why(
    truth: Truth, tmp_path: Path, choose: Callable[[Wish], tuple[str, Plan | None]], told: list[str], wish: Wish
) -> None:
    _was_sent(tmp_path, truth, truth.tenant, PLAN)
    assert choose(wish) == (f"{truth.tenant}-2", None)
    (said,) = told
    assert "200,000 page views of 35 days until 2026-11-21 00:00:00 (seed 1): other events go to a tenant" in said
    _was_sent(tmp_path, truth, f"{truth.tenant}-2", OTHER_PLAN)
    assert choose(wish) == (f"{truth.tenant}-2", OTHER_PLAN), "the second time it is what was sent there before"


def test_what_another_version_made_is_left_alone(
    truth: Truth, tmp_path: Path, choose: Callable[[Wish], tuple[str, Plan | None]], told: list[str]
) -> None:
    _was_sent(tmp_path, truth, truth.tenant, PLAN, maker="of before")
    assert choose(Wish()) == (f"{truth.tenant}-2", None), "the same plan would give other events"
    assert "another version" in told[0]


def test_the_reader_of_the_marts_needs_no_more_rights_than_that(dsns: dict[str, str], truth: Truth) -> None:
    with psycopg.connect(dsns["READER"]) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("select 1 from rollups.page_view_minute where tenant = %s", (truth.tenant,))


def test_a_warehouse_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("READER_DSN", "postgresql://reader@127.0.0.1:1/warehouse")
    monkeypatch.setenv("WAREHOUSE_DSN", "postgresql://watershed@127.0.0.1:1/warehouse")
    Truth("t").save(tmp_path / "truth.json")
    result = CliRunner().invoke(app, ["compare", "--truth", str(tmp_path / "truth.json")])
    assert result.exit_code == 1
    assert "the warehouse does not answer" in result.stderr
