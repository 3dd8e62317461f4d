"""Carries the results of `make faults` into docs/reliability.md, which nobody writes there by hand.

``python -m tests.faults.page [--check]``: with ``--check`` it writes nothing and exits 1 when the page is stale.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from stack.settings import REPO
from tests.faults.catalogue import names
from tests.faults.verdict import RESULTS

PAGE = REPO / "docs" / "reliability.md"
COMMAND = "make generate"
BEGIN, END = "<!-- results: written by `make faults` -->\n", "<!-- end of results -->\n"
COLUMNS = (
    "fault", "when", "lasted (s)", "sent", "acknowledged", "unknown", "rejected", "landed", "without an id",
    "duplicates", "copies", "counted", "red after (s)", "well again after (s)", "allowed (s)", "caught up after (s)",
    "books", "computed again", "verdict",
)  # fmt: skip
NUMBERS = ("sent", "acknowledged", "unknown", "rejected", "landed", "minted", "duplicates", "copies", "counted")


def results(kept: Mapping[str, Any], faults: Iterable[str]) -> str:
    """The results as a table, and under it in words what did not hold, and which of the ``faults`` have no result."""
    rows = [kept[name] for name in sorted(kept)]
    lines = [f"| {' | '.join(COLUMNS)} |\n", f"|{'---|' * len(COLUMNS)}\n", *map(_row, rows), "\n"]
    lines += [f"- **{row['fault']}**: {' '.join('; '.join(_notes(row)).split())}\n" for row in rows if _notes(row)]
    if missing := [name for name in faults if name not in kept]:
        lines.append(f"- No result of these is written yet: {'; '.join(missing)}.\n")
    machines = sorted({row["machine"] for row in rows})
    lines.append(f"- Made on: {'; '.join(machines)}.\n")
    return "".join(lines)


def _row(found: Mapping[str, Any]) -> str:
    numbers = [_number(found.get(name)) for name in NUMBERS]  # a result of before has not all of them
    times = [_seconds(found["red_after"]), _seconds(found["recovered_after"]), f"{found['bound']:g}"]
    words = [found["books"] or "-", found["checksums"] or "-", "held" if found["held"] else "**broken**"]
    cells = [found["fault"], found["date"], f"{found['seconds']:g}", *numbers, *times]
    return f"| {' | '.join([*cells, _seconds(found['caught_up_after']), *words])} |\n"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _notes(found: Mapping[str, Any]) -> list[str]:
    return [*found["findings"], *([found["about"]] if found["about"] else [])]


def page() -> str:
    """The page's text as it should be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    kept = json.loads(RESULTS.read_text())
    return f"{before}{BEGIN}\n{results(kept, names())}\n{END}{after}"


def write() -> None:
    """Put the results there are into the page."""
    if RESULTS.exists():
        PAGE.write_text(page())


def main() -> int:
    """Write the page, or only compare; 1 when ``--check`` finds it stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is stale")
    if not parser.parse_args().check:
        write()
        return 0
    if PAGE.read_text() == page():
        return 0
    sys.stderr.write(f"{PAGE.relative_to(REPO)} is stale: run `{COMMAND}` and commit it\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
