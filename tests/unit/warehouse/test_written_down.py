"""What is kept of a mart beside it holds nobody's hash."""

import yaml

from stack.settings import REPO
from warehouse.marts import KEYED, MARTS, written_down

MODELS = REPO / "dbt_project" / "models" / "marts"


def test_no_column_that_the_models_call_a_keyed_hash_is_written_down() -> None:
    hashes = {
        column["name"]
        for path in MODELS.glob("_*.yml")
        for model in yaml.safe_load(path.read_text()).get("models", ())
        for column in model.get("columns", ())
        if column.get("config", {}).get("meta", {}).get("pii") == "keyed hash"
    }
    assert hashes >= {*KEYED, "visitors_sketch"}
    assert {name for name in hashes if written_down(name)} == set()


def test_keys_and_counts_are() -> None:
    assert all(written_down(name) for mart in MARTS for name in (*mart.dimensions, "purchases", "revenue"))
