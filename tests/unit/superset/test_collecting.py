"""Answers are not kept waiting by searches for garbage, and garbage is found. In Superset's environment."""

from tests.unit.superset.conftest import SideFacts


def test_making_answers_searches_everything_seldom_and_still_finds_garbage(side_facts: SideFacts) -> None:
    facts = side_facts("collect_side.py")
    assert facts["as Python comes"] > 1
    assert facts["seldom"] == 0
    assert facts["cycles left"] < 10_000
