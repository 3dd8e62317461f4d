"""The ``data`` of one event of each type. A type not known here takes its contract's passing examples."""

import json
import random
from bisect import bisect
from collections.abc import Callable
from datetime import datetime
from typing import Any

from contracts.registry import Registry
from demo.machines import metric, request_log
from demo.people import Crowd
from demo.shop import Shop
from demo.world import DEVICE_SHARES, DEVICES, PAGE_SHARES, PAGES, REFERRERS

Data = dict[str, Any]
Painter = Callable[[random.Random, Crowd, datetime], Data]


class Studio:
    """Paints events of every type of the registry; ``name`` tells the apps and users of one run from another's."""

    def __init__(self, registry: Registry, name: str) -> None:
        self._shop = Shop(registry.types(), name)
        self._painters = {
            type_: _KNOWN.get(type_) or _from_examples(registry, type_)
            for type_ in registry.types()
            if type_ not in Shop.KINDS
        }

    def paint(self, type_: str, rng: random.Random, crowd: Crowd, at: datetime) -> tuple[str, Data]:
        """An event that occurs at ``at``: its type and data. Of the shop, what has to come first may come instead."""
        if type_ in Shop.KINDS:
            return self._shop.next(type_, rng, crowd, at)
        return type_, self._painters[type_](rng, crowd, at)


def page_view(rng: random.Random, crowd: Crowd, _at: datetime) -> Data:
    """A view of a page by a person or a bot."""
    viewer = crowd.viewer(rng)
    data: Data = {"region": viewer.region, "page_name": PAGES[bisect(PAGE_SHARES, rng.random() * PAGE_SHARES[-1])]}
    if viewer.visitor_id is not None:
        data["visitor_id"] = viewer.visitor_id
        data["session_id"] = f"s-{rng.getrandbits(40):010x}"
    if viewer.is_bot:
        data["is_bot"] = True
        return data
    data["device"] = DEVICES[bisect(DEVICE_SHARES, rng.random() * DEVICE_SHARES[-1])]
    referrer = rng.choice(REFERRERS)
    if referrer:
        data["referrer"] = referrer
    if rng.random() < 0.5:
        data["is_bot"] = False  # the same as saying nothing
    return data


def _from_examples(registry: Registry, type_: str) -> Painter:
    folder = registry.path / type_ / "examples"
    files = sorted(folder.glob(f"v{registry.newest(type_).version}.*.pass.json"))
    if not files:
        raise ValueError(f"{folder}: no passing example of the newest version to make events from")
    examples = [json.loads(file.read_text(encoding="utf-8"))["data"] for file in files]
    return lambda rng, _crowd, _at: dict(rng.choice(examples))


_KNOWN: dict[str, Painter] = {"page_view": page_view, "metric": metric, "request_log": request_log}
