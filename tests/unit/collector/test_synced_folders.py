"""A file outlives a power cut once its folder is synced too: before anybody is told, or anything is deleted."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.dead_letter import DeadLetters
from collector.message import Message
from collector.requeue import requeue
from tests.unit.collector.test_spool_folder import Writing, append, locked


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """What is synced, renamed and deleted, in order."""
    noted: list[tuple[str, Path]] = []
    fsync, replace, rename, unlink = os.fsync, Path.replace, Path.rename, Path.unlink

    def synced(handle: int) -> None:
        noted.append(("synced", Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    def moved(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def moving(path: Path, target: Path) -> Path:
            noted.append(("there", target))
            return move(path, target)

        return moving

    def deleted(path: Path) -> None:
        noted.append(("deleted", path))
        unlink(path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", moved(replace))
    monkeypatch.setattr(Path, "rename", moved(rename))
    monkeypatch.setattr(Path, "unlink", deleted)
    return noted


def message() -> Message:
    return Message("events.page_view", b"k", b"{}", 1, "c0ffee", 1)


def test_a_new_segment_is_in_its_folder_before_what_is_in_it_is_announced(
    tmp_path: Path, order: list[tuple[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = Writing(locked(tmp_path / "s"))
    order.clear()
    announced = writing.folder.announced
    monkeypatch.setattr(
        writing.folder, "announced", lambda *given: (order.append(("announced", tmp_path)), announced(*given))[1]
    )
    writing.write(append(1))
    assert order == [("synced", tmp_path / "s"), ("announced", tmp_path)]
    writing.writer.close()


def test_a_dead_letter_is_synced_then_there_then_in_its_folder(tmp_path: Path, order: list[tuple[str, Path]]) -> None:
    path = DeadLetters(tmp_path / "dead").put(message(), "too large", 1)
    assert [what for what, _ in order] == ["synced", "there", "synced"]
    assert [place for _, place in order[1:]] == [path, tmp_path / "dead"]
    assert order[0][1].parent == tmp_path / "dead"


def test_letters_are_deleted_once_the_spool_has_them_for_good(tmp_path: Path, order: list[tuple[str, Path]]) -> None:
    letters = DeadLetters.of(tmp_path)
    path = letters.put(message(), "too large", 1)
    order.clear()
    assert requeue(tmp_path, letters, [path], 2) == 1
    folder = next(place for what, place in order if what == "there" and place.parent == tmp_path / "spool")
    assert order.index(("there", folder)) < order.index(("synced", tmp_path / "spool"))
    assert order.index(("synced", tmp_path / "spool")) < order.index(("deleted", path))
