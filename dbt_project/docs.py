"""Build the docs site: dbt's pages with the lineage, and Data Docs with the suites before any gate has run."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg

from dbt_project.build import build, run_dbt
from dbt_project.lineage import completed
from dbt_project.selection import PROJECT, models
from dbt_project.settings import DbtSettings, DocsBuildSettings
from dbt_project.state import read_states
from expectations import check, data_docs
from expectations.settings import DataDocsSettings
from expectations.suites import FOLDER, load_suites

STAMP = ".built-from"
SUFFIXES = {".sql", ".yml", ".yaml", ".md", ".py"}
NOBODY = UUID(int=0)
"""A run that claims nothing: building it makes what is missing, empty, and changes nothing else."""
BUILD_SECONDS = 120.0
"""How long a build that runs just then is waited for."""
DOCS_TARGET = "docs"
"""Not the builds' own folder of dbt's: one may be at work."""
PLACES = {"manifest.json": '"MANIFEST.JSON INLINE DATA"', "catalog.json": '"CATALOG.JSON INLINE DATA"'}
"""dbt's files, and what its page has in their place."""
COLUMNS = """
    select c.relnamespace::regnamespace::text, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace::regnamespace::text in ('staging', 'intermediate', 'marts_build') and c.relkind in ('r', 'v')
    order by 1, 2, a.attnum
"""


def build_docs(dbt: DocsBuildSettings, site: DataDocsSettings) -> bool:
    """Write ``dbt/index.html`` and ``data-docs/`` into the site's folder; gives False when they were up to date.

    The types of columns are read from the warehouse, so models that were never built are made first. How fresh the
    marts are and what the gates found is read each time and written into dbt's page, also into one that is up to date.

    :raises DbtFailed: dbt could not generate its docs.
    """
    stamp = site.site_dir / STAMP
    inputs, columns = _inputs(dbt.superset_url), _columns(dbt)
    pages = (site.site_dir / "dbt" / "index.html", site.data_docs / "index.html")
    made = (*pages, *(dbt.dbt_dir / DOCS_TARGET / name for name in PLACES))
    if stamp.exists() and stamp.read_text() == _state(inputs, columns) and all(page.exists() for page in made):
        _write_dbt_page(dbt, pages[0])
        return False
    if set(models()) - {row[1] for row in columns}:
        build(dbt, NOBODY, patience=BUILD_SECONDS)
        columns = _columns(dbt)
    os.environ["SUPERSET_URL"] = dbt.superset_url  # what exposures.yml reads
    run_dbt(dbt, ["docs", "generate"], DOCS_TARGET)
    _write_dbt_page(dbt, pages[0])
    _build_data_docs(site)
    stamp.write_text(_state(inputs, columns))
    return True


def _write_dbt_page(settings: DocsBuildSettings, page: Path) -> None:
    """One page with everything in it, as `dbt docs generate --static` makes it, of the completed manifest."""
    folder = settings.dbt_dir / DOCS_TARGET
    inline = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in PLACES}
    states = read_states(settings.reader_dsn)
    inline["manifest.json"] = completed(inline["manifest.json"], states, datetime.now(UTC))
    text = (folder / "index.html").read_text(encoding="utf-8")
    for name, place in PLACES.items():
        text = text.replace(place, json.dumps(inline[name]))
    page.parent.mkdir(parents=True, exist_ok=True)
    draft = page.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.rename(page)


def _columns(settings: DbtSettings) -> list[tuple[str, ...]]:
    """Schema, relation, column and type of all that dbt has made."""
    with psycopg.connect(settings.dbt_dsn) as connection:
        return connection.execute(COLUMNS).fetchall()


def _state(inputs: str, columns: list[tuple[str, ...]]) -> str:
    return f"{inputs} {hashlib.sha256(repr(columns).encode()).hexdigest()}"


def _build_data_docs(settings: DataDocsSettings) -> None:
    """The pages of all suites and of the validation results that are kept."""
    context = data_docs.context(settings)
    for stage in ("rollups", "marts"):
        for suite in load_suites(stage):
            check.add_suite(context, suite, NOBODY)
    data_docs.build_all(settings, context)


def _inputs(superset_url: str) -> str:
    """A hash of what the pages are made from."""
    digest = hashlib.sha256(superset_url.encode())
    for folder in (PROJECT, FOLDER.parent):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
