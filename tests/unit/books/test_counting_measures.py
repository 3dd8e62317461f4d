"""Which measures of a rollup count every event once, so that the books can be checked against what is charted."""

import pytest

from books.balance import counting
from contracts.registry import Registry


@pytest.mark.parametrize("contract", list(Registry.load()), ids=lambda c: c.type)
def test_every_types_rollup_can_be_checked_against_the_books(contract):
    measures = counting(contract)
    assert measures is not None, "no measures of this contract add up to its events"
    conditions = [next(m for m in contract.rollup.measures if m.name == name).where for name in measures]
    assert conditions == [None] or len(conditions) == 2


def test_page_views_are_those_of_people_and_those_of_bots():
    assert counting(Registry.load().newest("page_view")) == ("page_views", "bot_page_views")
