"""As whom the warehouse and the lake are asked: unknown is refused, and only what is declared is a program's work."""

from typing import Any

import pytest

from tests.unit.superset.conftest import SideFacts


@pytest.fixture(scope="module")
def facts(side_facts: SideFacts) -> dict[str, Any]:
    """What ``sight_side.py`` prints, in Superset's environment."""
    return side_facts(
        "sight_side.py",
        READER_DSN="postgresql://reader:x@localhost:5432/warehouse",
        TENANT_LOGIN_KEY="t" * 64,
    )


def test_where_nobody_is_known_nothing_is_shown(facts: dict[str, Any]) -> None:
    assert set(facts["nobody"] + facts["nobody in a request"]) == {"refused"}


def test_a_program_that_says_so_reads_all_marts_and_no_lake(facts: dict[str, Any]) -> None:
    assert facts["a program"] == ["reader", "with nothing in it"]


def test_after_a_request_has_ended_its_person_sees_what_they_saw(facts: dict[str, Any]) -> None:
    assert facts["a tenant's"] == ["tenant.acme", "tenant.acme"]
    assert facts["everybody's"] == ["reader", "reader"]


def test_within_a_request_the_person_counts_and_not_what_was_kept(facts: dict[str, Any]) -> None:
    assert facts["who became somebody else's since"] == "tenant.zeta"


def test_the_lake_is_for_who_sees_all_tenants(facts: dict[str, Any]) -> None:
    assert (facts["the lake of a tenant's"], facts["the lake of everybody's"]) == ("refused", "all")
