"""Pivots give what Superset's give, without Python for each cell. In Superset's environment."""

from typing import Any

import pytest

from tests.unit.superset.conftest import SideFacts


@pytest.fixture(scope="module")
def facts(side_facts: SideFacts) -> dict[str, Any]:
    """What ``pivot_side.py`` prints, in Superset's environment."""
    return side_facts("pivot_side.py")


@pytest.mark.parametrize(
    "what", ["decimals", "named", "whole", "nothing", "texts", "means of two", "sums", "in single precision"]
)
def test_a_pivot_gives_what_superset_s_gives(facts: dict[str, Any], what: str) -> None:
    before, after = facts["before"][what], facts["after"][what]
    assert before[0] == after[0]
    assert before[2] == after[2], "the frame that was given is changed"


@pytest.mark.parametrize("what", ["decimals", "named", "whole", "means of two"])
def test_means_of_numbers_are_not_taken_cell_by_cell(facts: dict[str, Any], what: str) -> None:
    assert facts["before"][what][1] == 1
    assert facts["after"][what][1] == 0


def test_what_was_refused_is_refused_in_the_same_words(facts: dict[str, Any]) -> None:
    assert facts["after"]["texts"][0].startswith("TypeError: Could not convert string")
