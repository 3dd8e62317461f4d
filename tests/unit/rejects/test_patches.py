"""A JSON Patch is checked before anything is read, and says of an event only whether it is for it."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rejects.recipe import NotApplicable, PatchError, Recipe


def read(*operations: dict[str, object]) -> Recipe:
    return Recipe.read(json.dumps(operations))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nope", "RFC 6902"),
        ("3", "RFC 6902"),
        ('{"op": "remove", "path": "/data/x"}', "RFC 6902"),
        ('[{"op": "zap", "path": "/data/x"}]', "zap"),
        ('[{"op": "remove"}]', "path"),
        ('[{"op": "remove", "path": "data/x"}]', "RFC 6902"),
        ('[{"op": "add", "path": "/data/x"}]', "'value'"),
        ('[{"op": "move", "path": "/data/x"}]', "'from'"),
        ("[]", "--revalidate"),
        ('[{"op": "add", "path": "/data/x", "value": NaN}]', "RFC 6902"),
        ('[{"op": "add", "path": "/data/x", "value": 1e400}]', "RFC 6902"),
        (r'[{"op": "add", "path": "/data/x", "value": "\\\u0000"}]', "NUL"),
    ],
)
def test_what_is_no_patch_is_refused_at_once_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(PatchError, match=said):
        Recipe.read(text)


@pytest.mark.parametrize("operation", ["add", "replace"])
@pytest.mark.parametrize("path", ["", "/event_id", "/eventId"])
def test_a_patch_cannot_make_all_events_one(operation: str, path: str) -> None:
    with pytest.raises(PatchError, match="every event the same"):
        read({"op": operation, "path": path, "value": {}})


def test_a_text_about_nul_is_not_nul() -> None:
    assert read({"op": "add", "path": "/data/x", "value": r"\u0000"}).apply({"data": {}}) == {"data": {"x": r"\u0000"}}


def test_a_patch_moves_tests_and_removes() -> None:
    recipe = read(
        {"op": "test", "path": "/data/unit", "value": "EUR"},
        {"op": "move", "from": "/data/unit", "path": "/data/currency"},
        {"op": "remove", "path": "/data/debug"},
    )
    assert recipe.apply({"data": {"unit": "EUR", "debug": 1}}) == {"data": {"currency": "EUR"}}


def test_an_event_that_a_patch_is_not_for_is_said_to_be_so_and_nothing_of_it_is_told() -> None:
    recipe = read({"op": "test", "path": "/data/unit", "value": "EUR"}, {"op": "remove", "path": "/data/debug"})
    for event in (
        {"data": {"unit": "jane@example.com", "debug": 1}},
        {"data": {"unit": "EUR"}},
        {},
        [],
        "text",
        3,
        None,
    ):
        with pytest.raises(NotApplicable) as told:
            recipe.apply(event)
        assert "jane" not in str(told.value)
    with pytest.raises(NotApplicable, match="its test at /data/unit does not hold"):
        recipe.apply({"data": {"unit": "USD", "debug": 1}})
    with pytest.raises(NotApplicable, match="its remove at /data/debug finds nothing"):
        recipe.apply({"data": {"unit": "EUR"}})


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)  # NUL: refused when read, above
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
POINTERS = st.sampled_from(["/a", "/b/c", "/c/0", "/a/a/a", "/-"])
OPERATIONS = st.one_of(
    st.builds(lambda p, v: {"op": "add", "path": p, "value": v}, POINTERS, VALUES),
    st.builds(lambda p, v: {"op": "test", "path": p, "value": v}, POINTERS, VALUES),
    st.builds(lambda p: {"op": "remove", "path": p}, POINTERS),
    st.builds(lambda p, f: {"op": "move", "path": p, "from": f}, POINTERS, POINTERS),
    st.builds(lambda p, f: {"op": "copy", "path": p, "from": f}, POINTERS, POINTERS),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES, st.lists(OPERATIONS, min_size=1, max_size=4))
def test_a_patch_gives_the_same_again_or_says_no_and_leaves_the_event_as_it_was(
    value: object, operations: list[dict[str, object]]
) -> None:
    recipe, before = read(*operations), copy.deepcopy(value)

    def outcome() -> object:
        try:
            return recipe.apply(value)
        except NotApplicable as error:
            return str(error)

    assert outcome() == outcome()
    assert value == before
