"""Builds ``tracker.min.js``, which the collector serves, from ``tracker.js`` and the world's time zones.

    python -m collector.tracker_build [--check]

The table of time zones is made from the IANA data (public domain) that come with pytz: by area and country, the
shortest beginnings of cities that no other country's zone of the area has. Where few people live is left out, since
each zone costs every page load some bytes: the region of its visitors is that of their locale, or ``ZZ``.
"""

import sys
from collections import defaultdict
from pathlib import Path

import minify  # type: ignore[import-untyped]
import pytz  # type: ignore[import-untyped]

SOURCE = Path(__file__).with_name("tracker.js")
BUILT = Path(__file__).with_name("tracker.min.js")
PLACE = "ZONES"
"""Stands in the source where the table goes."""
_LEFT_OUT = """
AD AG AI AQ AS AW AX BB BL BM BN BQ BS BT BV BZ CC CK CV CW CX DJ DM EH ER FJ FK FM FO GD GF GG GI GL GP GQ
GS GU GW GY HM IM IO JE KI KM KN KY LC LI LS MC MF MH MO MP MQ MS MV NC NF NR NU PF PM PN PW RE SB SC SH SJ
SM SR SS ST SX SZ TC TF TK TL TO TV UM VA VC VG VI VU WF WS YT
"""
LEFT_OUT = frozenset(_LEFT_OUT.split())
"""Territories of fewer than about a million people, or of hardly any users."""
SPARSE = {
    "AR": "Argentina Buenos_Aires Cordoba",
    "BR": "Sao_Paulo Bahia Belem Fortaleza Manaus Recife",
    "CA": "Toronto Montreal Vancouver Edmonton Winnipeg Halifax",
    "CL": "Santiago",
    "CN": "Shanghai Urumqi",
    "CY": "Nicosia",
    "DE": "Berlin",
    "EC": "Guayaquil",
    "ES": "Madrid Canary",
    "GB": "London",
    "KZ": "Almaty",
    "MM": "Yangon Rangoon",
    "MN": "Ulaanbaatar",
    "MX": "Mexico_City Cancun Merida Monterrey Tijuana",
    "NZ": "Auckland",
    "PA": "Panama",
    "PG": "Port_Moresby",
    "PT": "Lisbon",
    "RU": "Moscow Irkutsk Krasnoyarsk Novosibirsk Omsk Samara Vladivostok Yekaterinburg",
    "UA": "Kyiv Kiev",
    "US": "New_York Chicago Denver Detroit Indiana Kentucky Los_Angeles Phoenix Honolulu",
}
"""Of countries with many zones, those where many people live; the others are left out too."""


def zones() -> dict[str, str]:
    """The country of every zone that is a place, old names of zones included."""
    found = {}
    for line in _lines("zone.tab"):
        country, _, zone = line.split("\t")[:3]
        found[zone] = country
    for line in _lines("tzdata.zi"):
        kind, *names = line.split()
        if kind == "L" and names[0] in found and names[1].partition("/")[0] in _AREAS:
            found.setdefault(names[1], found[names[0]])
    return found


_AREAS = frozenset(("Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"))


def table(countries: dict[str, str]) -> str:
    """``EuATVie DEBer|Bus;AsAEDub …``: two letters of the area, then each country with its cities' beginnings."""
    areas: dict[str, dict[str, str]] = defaultdict(dict)
    for zone, country in countries.items():
        area, _, city = zone.partition("/")
        areas[area][city] = country
    rows = []
    for area in sorted(_AREAS):
        cities = areas[area]
        beginnings: dict[str, set[str]] = defaultdict(set)
        for city, country in cities.items():
            if country not in LEFT_OUT and _is_peopled(city, country):
                beginnings[country].add(_beginning(city, country, cities))
        row = " ".join(country + "|".join(sorted(found)) for country, found in sorted(beginnings.items()))
        rows.append(area[:2] + row)
    return ";".join(rows)


def _is_peopled(city: str, country: str) -> bool:
    return country not in SPARSE or city.partition("/")[0] in SPARSE[country].split()


def _beginning(city: str, country: str, cities: dict[str, str]) -> str:
    for length in range(len(city) + 1):
        start = city[:length]
        if all(other == country for name, other in cities.items() if name.startswith(start)):
            return start
    return city + "$"


def build() -> str:
    """The script as it is served."""
    source = SOURCE.read_text(encoding="utf-8").replace(PLACE, table(zones()), 1)
    return str(minify.string("application/javascript", source)) + "\n"


def _lines(name: str) -> list[str]:
    with pytz.open_resource(name) as stream:
        text = stream.read().decode("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def main() -> int:
    """Write the file, or with ``--check`` only say (exit code 1) that it is stale."""
    built = build()
    if "--check" in sys.argv[1:]:
        if not BUILT.exists() or BUILT.read_text(encoding="utf-8") != built:
            sys.stdout.write(f"{BUILT.name} is stale: run `make generate`\n")
            return 1
        return 0
    BUILT.write_text(built, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
