"""Data Docs: which runs they show, and that Great Expectations leaves the process as it was."""

import importlib
import os
import sys
import time
from pathlib import Path

from expectations import data_docs
from expectations.settings import DataDocsSettings


def test_spark_can_be_imported_after_a_gate() -> None:
    data_docs.great_expectations()
    assert sys.modules.get("pyspark", importlib) is not None
    importlib.import_module("pyspark")


def _result(settings: DataDocsSettings, run: str, age: float) -> None:
    kept = settings.validations / "rollups" / "page_view_minute" / "stop" / run
    kept.mkdir(parents=True)
    os.utime(kept, (time.time() - age, time.time() - age))


def test_a_run_is_shown_when_the_last_shown_is_old_however_new_its_page_is(tmp_path: Path) -> None:
    settings = DataDocsSettings(site_dir=tmp_path / "site", watershed_state=tmp_path, data_docs_seconds=600)
    assert data_docs.due(settings, "rollups", "rollups now")
    _result(settings, "rollups before", age=3600)
    (settings.data_docs / "validations" / "rollups" / "page_view_minute" / "stop" / "rollups before").mkdir(
        parents=True
    )
    _result(settings, "rollups now", age=0)
    assert data_docs.due(settings, "rollups", "rollups now")
    _result(settings, "rollups just now", age=60)
    assert not data_docs.due(settings, "rollups", "rollups now")
    assert data_docs.due(settings, "marts", "marts now")
