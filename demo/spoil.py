"""Events broken on purpose, each in a way that a real sender once found."""

import random
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


def spoiled(rng: random.Random, event: Event) -> Event:
    """A copy of a valid event that every collector must refuse."""
    copy = {**event, "data": dict(event["data"])}
    rng.choice(_WAYS)(copy)
    return copy


def _unknown_field(event: Event) -> None:
    event["data"]["pageTitle"] = "Pricing"


def _data_missing(event: Event) -> None:
    del event["data"]


def _null_where_a_value_is_due(event: Event) -> None:
    event["data"]["region"] = None


def _region_in_words(event: Event) -> None:
    event["data"]["region"] = "Germany"


def _time_without_offset(event: Event) -> None:
    event["occurred_at"] = event["occurred_at"][:19]


def _id_that_is_none(event: Event) -> None:
    event["event_id"] = f"row {event['event_id'][:4]}"


def _version_to_come(event: Event) -> None:
    event["schema_version"] = 999


def _type_misspelt(event: Event) -> None:
    event["event_type"] += "s"


def _data_as_text(event: Event) -> None:
    event["data"] = str(event["data"])


_WAYS: tuple[Callable[[Event], None], ...] = (
    _unknown_field,
    _data_missing,
    _null_where_a_value_is_due,
    _region_in_words,
    _time_without_offset,
    _id_that_is_none,
    _version_to_come,
    _type_misspelt,
    _data_as_text,
)
