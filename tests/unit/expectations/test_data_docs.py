"""The gate's way of importing Great Expectations leaves the process as it was."""

import importlib
import sys

from expectations import data_docs


def test_spark_can_be_imported_after_a_gate() -> None:
    data_docs.great_expectations()
    assert sys.modules.get("pyspark", importlib) is not None
    importlib.import_module("pyspark")
