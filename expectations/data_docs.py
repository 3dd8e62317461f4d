"""The Great Expectations context that lives as long as one command, and the Data Docs that it leaves behind."""

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from expectations import pages
from expectations.settings import DataDocsSettings


def great_expectations() -> Any:
    """The library, imported when it is needed: it takes two seconds of CPU."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with _without("pyspark"):
        import great_expectations as gx  # noqa: PLC0415 - see the docstring

    return gx


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Hide an engine from the library, which imports whatever is installed: without Spark's 2.2 s and not 2.7 s."""
    hidden = module not in sys.modules
    if hidden:
        sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[module]


def context(settings: DataDocsSettings) -> Any:
    """A context that keeps nothing but validation results: suites are made anew from their reviewed files each time."""
    gx = great_expectations()
    from great_expectations.data_context.types.base import (  # noqa: PLC0415 - as above
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    def folder(path: Path) -> dict[str, str]:
        return {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(path)}

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        data_docs_sites={
            "site": {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": folder(settings.data_docs),
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            }
        },
        progress_bars=ProgressBarsConfig(globally=False),
    )
    config.stores[config.validation_results_store_name] = {
        "class_name": "ValidationResultsStore",
        "store_backend": folder(settings.validations),
    }
    return gx.get_context(mode="ephemeral", project_config=config)


def show(settings: DataDocsSettings, gx_context: Any, suites: Sequence[str], results: Sequence[Any], run: str) -> None:
    """Add the pages of one gate run and drop those of the oldest ones: the index reads every result that is kept."""
    from great_expectations.data_context.types.resource_identifiers import (  # noqa: PLC0415 - as above
        ExpectationSuiteIdentifier,
    )

    _keep_newest(settings, run)
    identifiers = [*results, *(ExpectationSuiteIdentifier(name=name) for name in suites)]
    gx_context.build_data_docs(resource_identifiers=identifiers, build_index=False)
    pages.finish(settings.data_docs, settings.validations)


def build_all(settings: DataDocsSettings, gx_context: Any) -> None:
    """The pages of all suites in the context and of all results that are kept."""
    gx_context.build_data_docs(build_index=False)
    pages.finish(settings.data_docs, settings.validations)


def due(settings: DataDocsSettings, stage: str, run: str) -> bool:
    """Whether ``run``, which failed nothing, is shown: pages cost more than checks, so only now and then.

    Judged by the results that are kept and not by their pages, which each start of the stack writes anew.
    """
    others = [path for path in _runs(settings.validations) if path.name != run]
    shown = [path.stat().st_mtime for path in others if path.name.startswith(f"{stage} ")]
    return not shown or time.time() - max(shown) >= settings.data_docs_seconds


def forget(settings: DataDocsSettings, run: str) -> None:
    """Drop the results of a run that is not shown."""
    for path in _runs(settings.validations):
        if path.name == run:
            shutil.rmtree(path)


def _keep_newest(settings: DataDocsSettings, running: str) -> None:
    folders: dict[str, list[Path]] = {}
    for path in (*_runs(settings.validations), *_runs(settings.data_docs / "validations")):
        folders.setdefault(path.name, []).append(path)
    folders.pop(running, None)
    newest_first = sorted(folders.values(), key=lambda paths: max(p.stat().st_mtime for p in paths), reverse=True)
    for paths in newest_first[settings.data_docs_runs - 1 :]:
        for path in paths:
            shutil.rmtree(path)


def _runs(validations: Path) -> list[Path]:
    # <schema>/<table>/<severity>/<run>/<time>/<batch>: the names of suites are taken apart at their dots.
    return list(validations.glob("*/*/*/*"))
