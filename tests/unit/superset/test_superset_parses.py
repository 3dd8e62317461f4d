"""What Superset parsed is parsed once, and whoever asks has a parse of their own. In Superset's environment."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stack.settings import LOCAL


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What ``parse_side.py`` prints."""
    place = tmp_path_factory.mktemp("superset")
    settings = place / "settings_of_this_test.py"
    settings.write_text(f"SECRET_KEY = {'k' * 42!r}\n")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "SUPERSET_HOME": str(place),
        "SUPERSET_CONFIG_PATH": str(settings),
    }
    argv = [LOCAL / "envs" / "superset" / "bin" / "python", Path(__file__).parent / "parse_side.py"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_a_remembered_parse_says_what_a_fresh_one_says(facts: dict[str, Any]) -> None:
    assert facts["same"]


def test_the_same_text_is_parsed_once(facts: dict[str, Any]) -> None:
    assert facts["asked_twice"] == 1
    assert facts["asked_with_and_without_line_end"] == 1


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


def test_what_cannot_be_parsed_is_refused_each_time(facts: dict[str, Any]) -> None:
    assert facts["refused"] == [True, True]
