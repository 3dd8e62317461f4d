"""What a rejection is counted by: never a text that a sender chose."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.registry import Registry
from spark_jobs.reject_labels import Labels

REGISTRY = Registry.load()
LABELS = Labels(REGISTRY)


def reasons(*given: object) -> tuple[tuple[str, str], ...]:
    return LABELS.reasons(json.dumps(given))


def reason(pointer: str, keyword: str = "type") -> dict[str, str]:
    return {"pointer": pointer, "keyword": keyword, "message": "'jane@example.com' is not of type \"integer\""}


@pytest.mark.parametrize(
    ("pointer", "field"),
    [
        ("", ""),
        ("/occurred_at", "/occurred_at"),
        ("/data", "/data"),
        ("/data/amount", "/data/amount"),
        ("/pageName", "/pageName"),
        ("/data/notes/jane@example.com", "/data/(unknown)"),
        ("/data/jane@example.com", "/data/(unknown)"),
        ("/jane@example.com", "(unknown)"),
        ("/jane@example.com/data/amount", "(unknown)"),
    ],
)
def test_a_field_is_named_as_far_as_a_contract_knows_it(pointer: str, field: str) -> None:
    assert reasons(reason(pointer)) == (("type", field),)


def test_a_name_within_a_field_of_names_is_left_out() -> None:
    labelled = next(f.name for c in REGISTRY for f in c.fields if f.kind == "map")
    assert reasons(reason(f"/data/{labelled}/jane@example.com", "propertyNames")) == (
        ("propertyNames", f"/data/{labelled}"),
    )


def test_reasons_keep_their_order_and_are_named_once() -> None:
    given = [reason("/data/amount", "pattern"), reason("/data/x"), reason("/data/y"), reason("/event_id", "format")]
    assert reasons(*given) == (("pattern", "/data/amount"), ("type", "/data/(unknown)"), ("format", "/event_id"))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[", '["x"]'])
def test_what_has_no_reason_that_can_be_read_is_counted_all_the_same(text: str) -> None:
    assert LABELS.reasons(text) == (("(unreadable)", ""),)


def test_a_type_without_a_contract_has_no_name_of_its_own() -> None:
    claimed = ("purchase", "jane_at_example", None)
    assert [LABELS.event_type(each) for each in claimed] == ["purchase", "(unknown)", "(none)"]


@example([{"pointer": "", "keyword": "_"}])
@given(st.lists(st.fixed_dictionaries({"pointer": st.text(), "keyword": st.text()}), min_size=1))
def test_nothing_else_that_was_sent_comes_through(given: list[dict[str, str]]) -> None:
    fields = {f.name for c in REGISTRY for f in c.fields}
    known = {"", "(unknown)", "/data/(unknown)", *(f"/data/{name}" for name in fields)}
    for keyword, field in LABELS.reasons(json.dumps(given)):
        assert keyword.isascii()
        assert keyword == "(unknown)" or keyword.replace("_", "").isalpha()
        assert field in known or field.removeprefix("/").replace("_", "").isalpha()
