"""Whatever the order, the batches and the accidents: the rollups are those of one batch over everything.

The model is plain Python and knows only the set of rows. Each example is a history of several tenants on the real
servers, with loads, interrupted loads, two loads at once and compaction wherever hypothesis puts them.
"""

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TENANTS = 6
GAMMA = 1.01 / 0.99


def winners_and_losers(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], dict[Any, Counter[str]]]:
    """The counted rows, and by (minute, received hour) the numbers of the cells."""
    by_identity = defaultdict(list)
    for row in rows:
        by_identity[minute_of(row), row["event_id"]].append(row)
    won, cells = [], defaultdict(Counter)
    for (minute, _), same in by_identity.items():
        same.sort(key=lambda r: (r["received_at"], r["collector_id"], r["sequence"]))
        seen = set()
        for place, row in enumerate(same):
            cell = cells[minute, row["received_at"].replace(minute=0, second=0, microsecond=0)]
            cell["landed"] += 1
            arrival = (row["collector_id"], row["sequence"])
            if place == 0:
                won.append(row)
                cell["counted"] += 1
                cell["minted"] += row["minted"]
            elif row["content_hash"] == same[0]["content_hash"]:
                cell["duplicates"] += 1
                cell["copies"] += arrival in seen
            else:
                cell["collisions"] += 1
            seen.add(arrival)
    return won, cells


def minute_of(row: Mapping[str, Any]) -> Any:
    return row["occurred_at"].replace(second=0, microsecond=0)


def page_of(row: Mapping[str, Any]) -> str:
    return "(none)" if row["page"] is None else row["page"]


def model(rows: list[Mapping[str, Any]], cap: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rollup rows and the cells of one tenant's ``rows``."""
    won, cells = winners_and_losers(rows)
    pages = defaultdict(Counter)
    for row in won:
        pages[minute_of(row)][page_of(row)] += 1
    kept = {m: set(sorted(c, key=lambda page: (-c[page], page))[:cap]) for m, c in pages.items()}
    groups = defaultdict(list)
    for row in won:
        minute, page = minute_of(row), page_of(row)
        if page not in kept[minute]:
            page = "(other)"
            cells[minute, row["received_at"].replace(minute=0, second=0, microsecond=0)]["over_cap"] += 1
        groups[minute, row["region"] or "ZZ", page, row["status"]].append(row)
    rollup = [
        {"minute": minute, "region": region, "page": page, "status": status, **measures(group)}
        for (minute, region, page, status), group in sorted(groups.items())
    ]
    names = ("landed", "counted", "duplicates", "collisions", "copies", "minted", "over_cap", "quarantined", "erased")
    return rollup, [
        {"minute": minute, "received_hour": hour, **{name: cell[name] for name in names}}
        for (minute, hour), cell in sorted(cells.items())
    ]


def measures(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    people = [r for r in rows if not r["is_bot"]]
    amounts = [r["amount"] for r in rows if r["amount"] is not None]
    quantities = [r["quantity"] for r in rows if r["quantity"] is not None]
    return {
        "seen": len(rows),
        "bots": len(rows) - len(people),
        "errors": sum(r["status"] >= 500 for r in rows),
        "amount_sum": sum(amounts) if amounts else None,
        "amount_min": min(amounts, default=None),
        "amount_max": max(amounts, default=None),
        **latest(rows, "amount", "amount"),
        **latest(rows, "page", "page"),
        **latest(rows, "visitor", "visitor_hash"),
        "quantity_sum": sum(quantities) if quantities else None,
        "quantity_spread": dict(Counter(bucket(q) for q in quantities)),
        "visitors": sorted({r["visitor_hash"] for r in people if r["visitor_hash"] is not None}),
    }


def latest(rows: list[Mapping[str, Any]], name: str, column: str) -> dict[str, Any]:
    known = (r for r in rows if r[column] is not None)
    last = max(known, key=lambda r: (r["occurred_at"], r["event_id"]), default=None)
    return {f"{name}_last": last and last[column], f"{name}_last_at": last and last["occurred_at"]}


def bucket(value: int) -> str:
    return str(math.ceil(math.log(value) / math.log(GAMMA))) if value > 0 else "zero"


text = st.sampled_from([None, "a", 'q"uote', "com,ma", "back\\slash", "line\nbreak", "ümläut", "(other)", "{}", ""])
data = st.fixed_dictionaries(
    {},
    optional={
        "region": st.sampled_from(["DE", "FR", None]),
        "page": text,
        "status": st.sampled_from([200, 404, 500, 503]),
        "amount": st.decimals(-1000, 1000, places=4),
        "quantity": st.integers(-3, 10**6),
        "visitor": st.sampled_from([None, "v1", "v2", "v3"]),
        "is_bot": st.sampled_from([None, False, True]),
    },
)
"""What an event may say. Each event below has two contents to choose from, so that an id meets other content."""
event = st.fixed_dictionaries(
    {
        "minute": st.sampled_from([0, 0, 1, -1, -70, 50000]),
        "second": st.integers(0, 59),
        "contents": st.tuples(data, data),
    }
)
arriving = st.fixed_dictionaries(
    {
        "event": st.integers(0, 9),
        "content": st.sampled_from([0, 0, 0, 1]),
        "collector": st.sampled_from("ab"),
        "received_after": st.sampled_from([0, 1, 1, 30, 4000, 90 * 86400]),
        "minted": st.booleans(),
        "tenant": st.integers(0, TENANTS - 1),
        "again": st.sampled_from([False, False, False, True]),
    }
)
step = st.tuples(
    st.lists(st.lists(arriving, max_size=12), max_size=2),
    st.sampled_from(["load", "load", "nothing", "a chunk", "two loads", "compact", "touch"]),
)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # a smaller example is not worth the minutes it takes to find here
    suppress_health_check=list(HealthCheck),
)
@given(
    events=st.lists(event, min_size=10, max_size=10),
    history=st.lists(step, min_size=4, max_size=9),
)
def test_any_history_gives_what_one_batch_over_everything_gives(probe, arrival, events, history):
    tenants = [f"p-{uuid.uuid4().hex[:8]}" for _ in range(TENANTS)]
    landed: dict[str, list[dict[str, Any]]] = {tenant: [] for tenant in tenants}
    sequence = 0
    for batches, action in history:
        for batch in batches:
            rows = []
            for one in batch:
                tenant, said = tenants[one["tenant"]], events[one["event"]]
                sequence += 1
                row = probe.row(
                    tenant,
                    arrival(
                        event=one["event"],
                        sequence=sequence,
                        minute=said["minute"],
                        second=said["second"],
                        received_after=one["received_after"],
                        collector=one["collector"],
                        minted=one["minted"],
                        data=said["contents"][one["content"]],
                    ),
                )
                if one["again"] and landed[tenant]:
                    row = landed[tenant][one["event"] % len(landed[tenant])]
                landed[tenant].append(row)
                rows.append(row)
            if rows:
                probe.land(rows)
        act(probe, action, tenants)
    probe.load()
    for tenant in tenants:
        rollup, cells = model(landed[tenant], probe.contract.rollup.cap)
        for made, expected in zip_longest(rollup_of(probe, tenant) + cells_of(probe, tenant), rollup + cells):
            assert made == expected
        assert probe.touched(tenant) == []
        hours = {minute_of(row).replace(minute=0) for row in landed[tenant]}
        unpublished = probe.query("select hour from ledger.unpublished where tenant = %s", tenant)
        assert {row["hour"].astimezone(UTC) for row in unpublished} == hours


def act(probe: Any, action: str, tenants: list[str]) -> None:
    if action == "load":
        probe.load()
    elif action == "a chunk":
        probe.load(load_budget_seconds=0.001, load_chunk_minutes=2)
    elif action == "two loads":
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: probe.load(load_chunk_minutes=3), range(2)))
    elif action == "compact":
        probe.compact()
    elif action == "touch":
        probe.watershed.execute(
            "insert into ledger.touched (type, tenant, minute, cause, received_from)"
            " select distinct type, tenant, minute, 'reprocess', now() from ledger.cells where tenant = any(%s)"
            " on conflict do nothing",
            (tenants,),
        )


def rollup_of(probe: Any, tenant: str) -> list[dict[str, Any]]:
    rows = [{k: v for k, v in row.items() if k != "tenant"} for row in probe.rollup(tenant)]
    return sorted(rows, key=lambda r: (r["minute"], r["region"], r["page"], r["status"]))


def cells_of(probe: Any, tenant: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("type", "tenant")} for row in probe.cells(tenant)]


def test_the_model_itself_tells_a_duplicate_from_a_collision(probe, arrival):
    """A model that is wrong in the same way proves nothing: so its own numbers, by hand."""
    rows = [
        probe.row("t", arrival(event=1, sequence=s, received_after=a, data={"amount": Decimal(v)}))
        for s, a, v in ((1, 5, 1), (2, 4, 2), (3, 6, 2), (3, 6, 2))
    ]
    (row,), (cell,) = model(rows, cap=3)
    assert row["amount_sum"] == 2
    assert {k: v for k, v in cell.items() if v and isinstance(v, int)} == {
        "landed": 4,
        "counted": 1,
        "duplicates": 2,
        "collisions": 1,
        "copies": 1,
    }
