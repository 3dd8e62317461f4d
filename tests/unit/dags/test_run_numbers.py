"""What a run's note says."""

import sys

from stack.settings import REPO

sys.path.insert(0, str(REPO / "dags" / "plugins"))
import run_numbers

LOAD = {
    "busy": [],
    "idle": ["metric"],
    "types": {
        "page_view": {"events_read": 1000, "minutes_touched": 4, "rows_written": 9, "minutes_left": 1},
        "purchase": {"events_read": 500, "minutes_touched": 2, "rows_written": 3, "minutes_left": 0},
    },
    "failed": {},
    "run_id": "a23c781d",
    "changed": 6,
    "seconds": 2.879,
    "minutes_left": 1,
    "reads": ["lake.events.page_view", "lake.events.purchase"],
    "writes": ["rollups.page_view_minute", "rollups.purchase_minute"],
}


def test_a_load_says_events_minutes_and_rows_of_all_types_together() -> None:
    assert run_numbers.part("load", LOAD, "") == (
        "**load**: changed 6, events read 1,500, minutes left 1, minutes touched 6, rows written 12"
    )


def test_a_gate_says_what_it_found_and_leads_to_data_docs() -> None:
    result = {"run_id": "x", "stage": "rollups", "expectations": 10, "held": {"acme": ["a", "b"]}, "warned": {}}
    assert run_numbers.part("gate_rollups", result, "http://docs/") == (
        "**gate_rollups**: expectations 10, held 1, [Data Docs](http://docs/)"
    )


def test_that_nobody_is_held_is_worth_saying() -> None:
    assert run_numbers.numbers({"expectations": 10, "held": {}, "warned": {}}) == {"expectations": 10, "held": 0}


def test_a_publication_says_how_many_rows() -> None:
    assert run_numbers.numbers({"published": {"acme": 5, "other": 7}, "repeated": False}) == {"published": 12}


def test_a_repair_says_how_many_pass_and_are_sent_and_not_the_sums_over_reasons() -> None:
    looked = {
        "dry_run": False, "run_id": "x", "seen": 12, "already_repaired": 2, "would_pass": 7, "still_refused": 3,
        "passing": [{"tenant": "acme", "event_type": "signup", "events": 7}],
        "reasons": [{"reason": "enum", "events": 3, "example": {}}, {"reason": "type", "events": 2, "example": {}}],
        "sent": 7, "resumed": 0, "unanswered": 0,
    }  # fmt: skip
    assert run_numbers.part("repair", looked, "") == (
        "**repair**: already repaired 2, seen 12, sent 7, still refused 3, would pass 7"
    )


def test_a_report_leads_to_its_page() -> None:
    result = {"report": "s3://x/y.html", "rows": 3, "links": {"Report": "http://y"}}
    assert run_numbers.part("report", result, "") == "**report**: rows 3, [Report](http://y)"


def test_a_note_that_would_be_too_long_ends_with_a_whole_part_and_is_one_line() -> None:
    text = run_numbers.note({f"task_{n}": LOAD for n in range(20)}, "")
    assert len(text) <= run_numbers.LONGEST
    assert "\n" not in text
    assert all(part.endswith("rows written 12") for part in text.split(" · "))


def test_a_result_that_is_none_of_a_command_is_left_out() -> None:
    assert run_numbers.note({"a": None, "b": {"changed": 1}, "c": {}}, "") == (
        "**b**: changed 1 · **c**: nothing to do"
    )
