"""Within a request Superset asks a thing once, of each person; nothing is known beyond it. In its environment."""

from typing import Any

import pytest

from tests.unit.superset.conftest import SideFacts

ONCE = {"datasets": 1, "rules": 2, "schema": 1, "currency": 1, "everything": 1}
"""Rules of two tables, by the catalog that datasets have; a third table is none of this schema's datasets."""
X, Y = "[['EUR', 'USD']]", "[['EUR', 'INR']]"
"""The filters of the queries."""


@pytest.fixture(scope="module")
def facts(side_facts: SideFacts) -> dict[str, Any]:
    """What ``answer_side.py`` prints, in Superset's environment."""
    return side_facts("answer_side.py")


def test_two_queries_of_a_chart_ask_as_much_as_one_and_get_the_same(facts: dict[str, Any]) -> None:
    assert facts["first_asked"] == ONCE
    first, second = facts["first"]
    assert first == second
    sql, *rest = first
    assert sql.count("whole = 'a'") == 2
    assert rest == ["of a", f"a {X}", True]


def test_another_filter_may_be_another_currency(facts: dict[str, Any]) -> None:
    assert [answer[2] for answer in facts["of_two_filters"]] == [f"a {X}", f"a {Y}"]
    assert facts["of_two_filters_asked"]["currency"] == 2


def test_nothing_is_known_from_one_request_to_the_next(facts: dict[str, Any]) -> None:
    assert facts["of_another_asked"] == facts["first_asked"]
    [[sql, *rest]] = facts["of_another"]
    assert "whole = 'a'" not in sql
    assert sql.count("whole = 'b'") == 2
    assert rest == ["of b", f"b {X}", False]


def test_who_acts_as_somebody_else_within_a_request_gets_their_rules(facts: dict[str, Any]) -> None:
    mine, theirs = facts["of_two_people_in_one"]
    assert mine == facts["first"][0]
    assert theirs == facts["of_another"][0]


def test_outside_of_a_request_everything_is_asked_each_time(facts: dict[str, Any]) -> None:
    assert facts["outside_of_requests_asked"] == {
        "datasets": 6,
        "rules": 4,
        "schema": 2,
        "currency": 2,
        "everything": 2,
    }


def test_amounts_of_one_chosen_currency_are_of_it_and_nobody_is_asked(facts: dict[str, Any]) -> None:
    assert facts["of_one_currency"] == ["INR"]
    assert facts["of_one_currency_asked"]["currency"] == 0


def test_what_leaves_more_than_one_currency_or_none_is_asked(facts: dict[str, Any]) -> None:
    assert facts["not_of_one"] == [
        f"a {each}" for each in ("[]", "[['INR']]", "[['INR']]", "[['(all)']]", "[[None]]", "[[]]", "['INR']")
    ]


def test_superset_renders_with_templates_that_are_kept(facts: dict[str, Any]) -> None:
    assert facts["templates"]
