"""Which browser the tracker's tests look at pages with."""

from pathlib import Path

import pytest

from runtime.settings import SettingsError
from tests.integration.collector import browser_kit


@pytest.fixture(autouse=True)
def nothing_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)


def test_the_one_that_chromium_path_names_wherever_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "elsewhere" / "chrome"
    named.parent.mkdir()
    named.touch(0o700)
    monkeypatch.setenv("CHROMIUM_PATH", str(named))
    assert browser_kit.browser() == named


def test_the_one_on_the_path_where_none_is_named(tmp_path: Path) -> None:
    assert browser_kit.browser() is None
    (tmp_path / "chromium").touch(0o700)
    assert browser_kit.browser() == tmp_path / "chromium"


def test_one_that_is_named_and_not_there_is_an_error_and_nothing_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM_PATH", "/nowhere/chromium")
    with pytest.raises(SettingsError, match="/nowhere/chromium"):
        browser_kit.browser()
