"""The tracker's table of time zones says the right country, or none."""

import re

import pytz

from collector import tracker_build
from contracts.registry import Registry

ZONES = tracker_build.zones()
ROWS = [(row[:2], row[2:].split(" ")) for row in tracker_build.table(ZONES).split(";")]


def country(zone: str) -> str | None:
    """What the tracker makes of a zone, in the same words."""
    area, _, city = zone.partition("/")
    found = next((entries for row, entries in ROWS if row == area[:2] and city), [])
    return next((entry[:2] for entry in found if re.match(f"({entry[2:]})", city)), None)


def test_no_zone_is_said_to_be_in_another_country() -> None:
    wrong = {zone: (country(zone), right) for zone, right in ZONES.items() if country(zone) not in (right, None)}
    assert wrong == {}
    assert len(ZONES) > 450


def test_a_zone_of_every_country_that_is_not_left_out_is_known() -> None:
    known = {country(zone) for zone in ZONES}
    assert {right for right in ZONES.values() if right not in tracker_build.LEFT_OUT | {"ZZ"}} <= known
    assert len(known) > 140
    assert country("Europe/Kiev") == country("Europe/Kyiv") == "UA", "browsers use old names too"
    assert country("America/Indianapolis") == "US"


def test_what_is_no_place_is_in_no_country() -> None:
    places = set(ZONES)
    others = [zone for zone in pytz.all_timezones if zone not in places]
    assert {"UTC", "EST", "Etc/GMT+5", "US/Eastern"} <= set(others)
    assert {zone: country(zone) for zone in others if country(zone) and "/" not in zone} == {}
    assert all(country(zone) is None for zone in others if zone.startswith("Etc/"))


def test_every_country_is_one_that_the_contract_takes() -> None:
    pattern = Registry.load().newest("page_view").schema["properties"]["region"]["pattern"]
    assert all(re.fullmatch(pattern, entry[:2]) for _, entries in ROWS for entry in entries)


def test_what_is_served_is_made_of_the_source() -> None:
    assert tracker_build.BUILT.read_text(encoding="utf-8") == tracker_build.build(), "run `make generate`"
