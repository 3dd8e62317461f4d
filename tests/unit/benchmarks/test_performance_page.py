"""``docs/performance.md`` and ``make bench``, which writes it anew, say the same of each benchmark."""

import re

import pytest

from benchmarks.run import BENCHMARKS, PAGE, opening

WRITTEN = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_page_says_what_is_measured_as_the_next_run_will(name: str) -> None:
    assert f"\n{opening(name)}\n" in WRITTEN


def test_the_next_run_drops_no_section() -> None:
    assert re.findall(r"^## (.+)$", WRITTEN, re.MULTILINE) == [title for title, _ in BENCHMARKS.values()]
