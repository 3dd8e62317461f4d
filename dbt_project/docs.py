"""Build the docs site: dbt's pages with the lineage, and Data Docs with the suites before any gate has run."""

import hashlib
import shutil
from pathlib import Path
from uuid import UUID

from dbt_project.build import PROJECT, run_dbt
from dbt_project.settings import DbtSettings
from expectations import check, data_docs
from expectations.settings import DataDocsSettings
from expectations.suites import FOLDER, load_suites

STAMP = ".built-from"
SUFFIXES = {".sql", ".yml", ".yaml", ".md", ".py"}


def build_docs(dbt: DbtSettings, site: DataDocsSettings) -> bool:
    """Write ``dbt/index.html`` and ``data-docs/`` into the site's folder; gives False when they were up to date.

    :raises DbtFailed: dbt could not generate its docs.
    """
    stamp = site.site_dir / STAMP
    inputs = _inputs()
    pages = (site.site_dir / "dbt" / "index.html", site.data_docs / "index.html")
    if stamp.exists() and stamp.read_text() == inputs and all(page.exists() for page in pages):
        return False
    _build_dbt_docs(dbt, pages[0])
    _build_data_docs(site)
    stamp.write_text(inputs)
    return True


def _build_dbt_docs(settings: DbtSettings, page: Path) -> None:
    run_dbt(settings, ["docs", "generate", "--static"])
    page.parent.mkdir(parents=True, exist_ok=True)
    draft = page.with_suffix(".draft")
    shutil.copyfile(settings.dbt_dir / "target" / "static_index.html", draft)
    draft.rename(page)


def _build_data_docs(settings: DataDocsSettings) -> None:
    """The pages of all suites and of the validation results that are kept."""
    context = data_docs.context(settings)
    for stage in ("rollups", "marts"):
        for suite in load_suites(stage):
            check.add_suite(context, suite, UUID(int=0))
    data_docs.build_all(settings, context)


def _inputs() -> str:
    """A hash of what the pages are made from."""
    digest = hashlib.sha256()
    for folder in (PROJECT, FOLDER.parent):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
