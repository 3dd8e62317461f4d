"""Data Docs as pages of our own site: nothing is fetched from elsewhere, and an index that reads without scripts.

Great Expectations' pages load styles, scripts and a logo from eight other hosts: where those cannot be reached the
index is blank, and where they can they learn who looks at which gate. Its pages are kept, those references are not.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

ELSEWHERE = re.compile(
    r"<link\b[^>]*\bhref=\"https?://[^>]*>|<script\b[^>]*\bsrc=\"https?://[^>]*>\s*</script>|<img\b[^>]*\bsrc=\"https?://[^>]*>"
    r"|<footer\b.*?</footer>",
    re.DOTALL,
)
STYLE = """<style data-local>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem; max-width: 70rem }
table { border-collapse: collapse; width: 100% } td, th { padding: .35rem .7rem; text-align: left; vertical-align: top;
border-bottom: 1px solid #8884 } code, pre { font-size: 13px; white-space: pre-wrap; overflow-wrap: anywhere }
.failed { color: #c62828; font-weight: 600 } .warned { color: #b26a00; font-weight: 600 } .passed { color: #2e7d32 }
ol.breadcrumb { list-style: none; padding: 0 } .d-none { display: none }
</style>"""

NO_ROWS = "<tr><td colspan=4>No gate has run yet.</tr>"


@dataclass(frozen=True)
class Shown:
    """One suite in one run: ``page`` is relative to the site's folder."""

    run: str
    time: str
    suite: str
    passed: bool
    page: str


def finish(data_docs: Path, validations: Path) -> None:
    """Take foreign references out of the pages and write the index."""
    for page in data_docs.glob("*/**/*.html"):
        text = page.read_text()
        if STYLE not in text:
            page.write_text(ELSEWHERE.sub("", text).replace("</head>", f"{STYLE}</head>", 1))
    draft = data_docs / "index.draft"
    draft.write_text(_index(sorted(_shown(validations), key=lambda s: (s.time, s.suite), reverse=True), data_docs))
    draft.rename(data_docs / "index.html")


def _shown(validations: Path) -> Iterator[Shown]:
    for file in validations.glob("*/*/*/*/*/*.json"):
        result = json.loads(file.read_text())
        place = file.relative_to(validations)
        page = Path("validations") / place.with_suffix(".html")
        suite = ".".join(place.parts[:3])
        yield Shown(place.parts[3], place.parts[4], suite, bool(result["success"]), page.as_posix())


def _index(shown: list[Shown], data_docs: Path) -> str:
    runs: dict[tuple[str, str], list[Shown]] = {}
    for one in shown:
        runs.setdefault((one.time, one.run), []).append(one)
    rows = "".join(_row(time, run, suites) for (time, run), suites in runs.items())
    suites = "".join(
        f'<li><a href="{quote(page.relative_to(data_docs).as_posix())}">{escape(_suite_of(page, data_docs))}</a></li>'
        for page in sorted(data_docs.glob("expectations/**/*.html"))
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Data Docs</title>"
        f"{STYLE}</head><body><h1>Data Docs</h1><p>What the gates found, newest first. A failed <b>stop</b> holds the "
        "tenants it names; a failed <b>warn</b> is only shown.</p>"
        f"<table><tr><th>When (UTC)<th>Gate<th>Run<th>Suites</tr>{rows or NO_ROWS}</table>"
        f"<h2>Suites</h2><ul>{suites}</ul></body></html>"
    )


def _row(time: str, run: str, suites: list[Shown]) -> str:
    stage, _, run_id = run.partition(" ")
    when = f"{time[:4]}-{time[4:6]}-{time[6:8]} {time[9:11]}:{time[11:13]}:{time[13:15]}"
    links = "<br>".join(
        f'<a class="{_verdict(one)}" href="{quote(one.page)}">{escape(one.suite)}</a> {_verdict(one)}'
        for one in sorted(suites, key=lambda s: s.suite)
    )
    return f"<tr><td>{when}<td>{escape(stage)}<td><code>{escape(run_id)}</code><td>{links}</tr>"


def _verdict(one: Shown) -> str:
    if one.passed:
        return "passed"
    return "failed" if one.suite.endswith(".stop") else "warned"


def _suite_of(page: Path, data_docs: Path) -> str:
    return ".".join(page.relative_to(data_docs / "expectations").with_suffix("").parts)
