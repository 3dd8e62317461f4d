"""What Superset parsed is parsed once, and whoever asks has a parse of their own. In Superset's environment.

So are templates: compiled once, rendered for each who asks.
"""

from typing import Any

import pytest

from tests.unit.superset.conftest import SideFacts


@pytest.fixture(scope="module")
def facts(side_facts: SideFacts) -> dict[str, Any]:
    """What ``parse_side.py`` prints, in Superset's environment."""
    return side_facts("parse_side.py")


def test_a_remembered_parse_says_what_a_fresh_one_says(facts: dict[str, Any]) -> None:
    assert facts["same"]


def test_the_same_text_is_parsed_once(facts: dict[str, Any]) -> None:
    assert facts["asked_twice"] == 1
    assert facts["asked_with_and_without_line_end"] == 1


def test_the_texts_of_all_dashboards_are_parsed_once_though_asked_in_turns(facts: dict[str, Any]) -> None:
    assert facts["asked_in_turns"] == 400


def test_what_a_text_was_parsed_to_is_let_go(facts: dict[str, Any]) -> None:
    assert facts["trees_kept"] == 0


def test_what_was_read_of_a_text_that_is_refused_is_let_go(facts: dict[str, Any]) -> None:
    assert facts["parsers_left"] == 0


def test_another_dialect_is_another_parse(facts: dict[str, Any]) -> None:
    assert facts["asked_in_two_dialects"] == 2


def test_what_is_too_long_to_keep_is_parsed_each_time(facts: dict[str, Any]) -> None:
    assert facts["too_long_asked_twice"] == 2


def test_what_one_query_changes_in_its_parse_no_other_sees(facts: dict[str, Any]) -> None:
    assert facts["limited"]
    assert facts["untouched"]


def test_a_reader_s_rule_is_in_that_reader_s_query_alone(facts: dict[str, Any]) -> None:
    first, second = facts["ruled"]
    assert ("tenant = 'a'" in first, "tenant = 'b'" in first) == (True, False)
    assert ("tenant = 'a'" in second, "tenant = 'b'" in second) == (False, True)
    assert facts["untouched"]


def test_what_was_changed_is_judged_as_it_now_is(facts: dict[str, Any]) -> None:
    assert facts["writes_when_changed"] == [True, True]


def test_a_chart_whose_query_nothing_changes_copies_no_tree(facts: dict[str, Any]) -> None:
    assert facts["copies"] == 0


def test_what_cannot_be_parsed_is_refused_each_time_in_superset_s_words(facts: dict[str, Any]) -> None:
    first, second, third = facts["refused"]
    assert "Error parsing near" in first
    assert "line': 1" in first
    assert first == second == third


def test_what_cannot_be_parsed_is_tried_once_and_each_who_asks_has_an_error_of_their_own(
    facts: dict[str, Any],
) -> None:
    assert facts["refusals"] == 1
    first, second, third = facts["frames"]
    assert first == second == third > 0, "what was raised before is in it"


def test_a_template_is_compiled_once_and_rendered_for_each(facts: dict[str, Any]) -> None:
    assert facts["compiled_twice"] == 1
    assert facts["rendered"] == ["a aa", "b bb", "a aa"]


def test_a_kept_template_is_as_confined_as_a_fresh_one(facts: dict[str, Any]) -> None:
    assert facts["sandboxed"] == [True, True]


def test_what_a_filter_of_one_database_gave_another_does_not_get(facts: dict[str, Any]) -> None:
    assert facts["filters_of_a_database"] == ["one: ['x']", "other: ['x']"]


def test_what_is_no_template_is_refused_each_time_and_a_long_one_not_kept(facts: dict[str, Any]) -> None:
    assert facts["not_a_template"] == [True, True]
    assert facts["compiled_too_long"] == 2
