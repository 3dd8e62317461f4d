"""What the charts must show: counted in plain Python from what is sent, never read back from what is checked."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from contracts.model import Condition, Contract, Measure
from contracts.registry import Registry
from demo.generate import Made

PAGE_VIEW = "page_view"
ACTIVE = ("signup", "purchase")
"""The types whose users count as active."""


class TruthError(Exception):
    """A truth file cannot be read; the message names it."""


@dataclass
class Views:
    """Of one region and day: views by people, by bots, and distinct people."""

    page_views: int = 0
    bot_page_views: int = 0
    visitors: int = 0


@dataclass
class Truth:
    """Of one tenant. ``views``: by ISO day (UTC) and region; ``totals``: by type, day and measure, as text.

    ``money``: by type, day, currency and measure; ``active_users``: by day, who signed up or bought something.
    """

    tenant: str
    views: dict[str, dict[str, Views]] = field(default_factory=dict)
    totals: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    money: dict[str, dict[str, dict[str, dict[str, str]]]] = field(default_factory=dict)
    active_users: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    """How many were sent that are ``new``, ``again`` or ``invalid``."""
    plan: dict[str, Any] = field(default_factory=dict)
    """What they were made from, to make them again."""

    @property
    def page_views(self) -> int:
        """All views, by people and bots."""
        return sum(v.page_views + v.bot_page_views for regions in self.views.values() for v in regions.values())

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Truth":
        """Read what :meth:`save` wrote.

        :raises TruthError: it is not there, or not such a file.
        """
        try:
            found = json.loads(path.read_bytes())
            views = {
                day: {region: Views(**value) for region, value in regions.items()}
                for day, regions in found.pop("views").items()
            }
            return cls(views=views, **found)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise TruthError(f"{path}: no truth to compare with: {error}") from error


class Tally:
    """Counts what is made while it is sent; only what is new and valid counts."""

    def __init__(self, registry: Registry) -> None:
        self._contracts = {contract.type: contract for contract in registry}
        self._sums = {type_: _summed(contract) for type_, contract in self._contracts.items()}
        self._views: dict[tuple[date, str], Views] = {}
        self._people: dict[tuple[date, str], set[int]] = {}
        self._totals: dict[str, dict[date, dict[str, int | Decimal]]] = {}
        self._money: dict[tuple[str, date, str], dict[str, Decimal]] = {}
        self._active: dict[date, set[int]] = {}
        self._sent: Counter[str] = Counter()

    def add(self, made: Made) -> None:
        """Count one sending."""
        self._sent[made.kind] += 1
        if made.kind != "new":
            return
        type_, data = made.event["event_type"], made.event["data"]
        day = datetime.fromisoformat(made.event["occurred_at"]).astimezone(UTC).date()
        sums = self._totals.setdefault(type_, {}).setdefault(day, {})
        for measure in self._sums[type_]:
            if holds(self._contracts[type_], measure.where, data):
                term = 1 if measure.field is None else _number(data.get(measure.field))
                sums[measure.name] = sums.get(measure.name, 0) + term
                if isinstance(term, Decimal) and "currency" in data:
                    money = self._money.setdefault((type_, day, data["currency"]), {})
                    money[measure.name] = money.get(measure.name, Decimal(0)) + term
            else:
                sums.setdefault(measure.name, 0)
        if type_ in ACTIVE:
            self._active.setdefault(day, set()).add(hash(data["user_id"]))
        if type_ == PAGE_VIEW:
            self._add_view(day, data)

    def truth(self, tenant: str, plan: Mapping[str, Any] | None = None) -> Truth:
        """What was counted so far."""
        views: dict[str, dict[str, Views]] = {}
        for (day, region), counted in sorted(self._views.items()):
            visitors = len(self._people.get((day, region), ()))
            of_day = views.setdefault(day.isoformat(), {})
            of_day[region] = Views(counted.page_views, counted.bot_page_views, visitors)
        totals = {
            type_: {
                day.isoformat(): {name: str(value) for name, value in sums.items()}
                for day, sums in sorted(days.items())
            }
            for type_, days in sorted(self._totals.items())
        }
        money: dict[str, dict[str, dict[str, dict[str, str]]]] = {}
        for (type_, day, currency), sums in sorted(self._money.items()):
            currencies = money.setdefault(type_, {}).setdefault(day.isoformat(), {})
            currencies[currency] = {name: str(value) for name, value in sums.items()}
        active = {day.isoformat(): len(users) for day, users in sorted(self._active.items())}
        return Truth(tenant, views, totals, money, active, dict(self._sent), dict(plan or {}))

    def _add_view(self, day: date, data: Mapping[str, Any]) -> None:
        key = (day, data["region"])
        counted = self._views.setdefault(key, Views())
        if data.get("is_bot", False):
            counted.bot_page_views += 1
            return
        counted.page_views += 1
        if "visitor_id" in data:
            # A number for each text takes a tenth of the memory; equal texts give equal numbers within a process.
            self._people.setdefault(key, set()).add(hash(data["visitor_id"]))


def holds(contract: Contract, where: Mapping[str, Condition] | None, data: Mapping[str, Any]) -> bool:
    """Whether every condition of a measure holds for ``data``; an absent field counts as its default."""
    return all(
        _meets(data.get(name, contract.field_named(name).default), condition)
        for name, condition in (where or {}).items()
    )


def _meets(value: Any, condition: Condition) -> bool:
    if not isinstance(condition, Mapping):
        return bool(value == condition)
    checks = {"gte": int.__ge__, "gt": int.__gt__, "lte": int.__le__, "lt": int.__lt__}
    return value is not None and all(checks[sign](value, bound) for sign, bound in condition.items())


def _summed(contract: Contract) -> tuple[Measure, ...]:
    return tuple(m for m in contract.rollup.measures if m.kind in ("count", "sum"))


def _number(value: str | int | None) -> int | Decimal:
    return Decimal(value) if isinstance(value, str) else value or 0
