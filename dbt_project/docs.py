"""Build the docs site: dbt's pages with the lineage, and Data Docs with the suites before any gate has run."""

import hashlib
import shutil
from pathlib import Path
from uuid import UUID

import psycopg

from dbt_project.build import build, run_dbt
from dbt_project.selection import PROJECT, models
from dbt_project.settings import DbtSettings
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
COLUMNS = """
    select c.relnamespace::regnamespace::text, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace::regnamespace::text in ('staging', 'intermediate', 'marts_build') and c.relkind in ('r', 'v')
    order by 1, 2, a.attnum
"""


def build_docs(dbt: DbtSettings, site: DataDocsSettings) -> bool:
    """Write ``dbt/index.html`` and ``data-docs/`` into the site's folder; gives False when they were up to date.

    The types of columns are read from the warehouse, so models that were never built are made first.

    :raises DbtFailed: dbt could not generate its docs.
    """
    stamp = site.site_dir / STAMP
    inputs, columns = _inputs(), _columns(dbt)
    pages = (site.site_dir / "dbt" / "index.html", site.data_docs / "index.html")
    if stamp.exists() and stamp.read_text() == _state(inputs, columns) and all(page.exists() for page in pages):
        return False
    if set(models()) - {row[1] for row in columns}:
        build(dbt, NOBODY, patience=BUILD_SECONDS)
        columns = _columns(dbt)
    _build_dbt_docs(dbt, pages[0])
    _build_data_docs(site)
    stamp.write_text(_state(inputs, columns))
    return True


def _build_dbt_docs(settings: DbtSettings, page: Path) -> None:
    run_dbt(settings, ["docs", "generate", "--static"], DOCS_TARGET)
    page.parent.mkdir(parents=True, exist_ok=True)
    draft = page.with_suffix(".draft")
    shutil.copyfile(settings.dbt_dir / DOCS_TARGET / "static_index.html", draft)
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


def _inputs() -> str:
    """A hash of what the pages are made from."""
    digest = hashlib.sha256()
    for folder in (PROJECT, FOLDER.parent):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
