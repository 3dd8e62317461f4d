"""Data Docs as pages of our own: nothing foreign, and an index of what was found."""

import json
from pathlib import Path

from expectations.pages import finish

GX_PAGE = """<html><head><link rel="stylesheet" href="https://cdn.example/a.css">
<script src="https://cdn.example/a.js"></script></head><body><img src="https://cdn.example/logo.png?d=1">
<p>Each region is a code.</p><footer class="x"><a href="https://example.com">Subscribe</a></footer></body></html>"""
RUN = "rollups 11111111-1111-1111-1111-111111111111"
PLACE = f"rollups/page_view_minute/stop/{RUN}/20261123T081433.659551Z/warehouse-rows"


def _site(tmp_path: Path, success: bool) -> Path:
    page = tmp_path / "site" / "validations" / f"{PLACE}.html"
    result = tmp_path / "results" / f"{PLACE}.json"
    for path, text in ((page, GX_PAGE), (result, json.dumps({"success": success}))):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    finish(tmp_path / "site", tmp_path / "results")
    return tmp_path / "site"


def test_pages_fetch_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = (_site(tmp_path, True) / "validations" / f"{PLACE}.html").read_text()
    assert "https://" not in text
    assert "Each region is a code." in text


def test_finishing_twice_changes_nothing(tmp_path: Path) -> None:
    page = _site(tmp_path, True) / "validations" / f"{PLACE}.html"
    before = page.read_text()
    finish(tmp_path / "site", tmp_path / "results")
    assert page.read_text() == before


def test_the_index_links_each_result_and_says_what_failed(tmp_path: Path) -> None:
    index = (_site(tmp_path, False) / "index.html").read_text()
    assert 'class="failed" href="validations/rollups/page_view_minute/stop/rollups%2011111111' in index
    assert "2026-11-23 08:14:33" in index
    assert "rollups.page_view_minute.stop</a> failed" in index


def test_the_index_says_when_no_gate_has_run(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    finish(tmp_path / "site", tmp_path / "results")
    assert "No gate has run yet." in (tmp_path / "site" / "index.html").read_text()
