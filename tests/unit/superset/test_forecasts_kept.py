"""Prophet is asked once for the same days, and whoever asks has a forecast of their own. In Superset's environment."""

from typing import Any

import pytest

from tests.unit.superset.conftest import SideFacts


@pytest.fixture(scope="module")
def facts(side_facts: SideFacts) -> dict[str, Any]:
    """What ``forecast_side.py`` prints, in Superset's environment."""
    return side_facts("forecast_side.py")


def test_the_same_days_are_fitted_once(facts: dict[str, Any]) -> None:
    assert facts["fits_of_the_same"] == 1


def test_what_a_caller_does_to_a_forecast_the_next_does_not_see(facts: dict[str, Any]) -> None:
    assert facts["again"]


def test_other_numbers_and_other_options_are_other_forecasts(facts: dict[str, Any]) -> None:
    assert facts["fits_of_three"] == 3
    assert facts["other"]
    assert facts["longer"] == 2


def test_the_one_not_asked_for_longest_is_let_go(facts: dict[str, Any]) -> None:
    made, last = facts["asked"]
    assert (made, last) == (66, 0)
