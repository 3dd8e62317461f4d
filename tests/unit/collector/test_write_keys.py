"""Write keys: kept hashed and private, changed without a restart, refused once revoked or expired."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.keys import KeyFile, KeyKind, KeyRing, KeysError

NOW = datetime.now(UTC)


def test_only_the_hash_is_kept_in_a_file_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    _, secret = KeyFile(path).create("acme", KeyKind.SERVER)
    assert secret not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(secret) > 40


def test_a_key_made_while_running_works_and_a_revoked_one_does_not(tmp_path: Path) -> None:
    file, ring = KeyFile(tmp_path / "keys.json"), KeyRing(tmp_path / "keys.json")
    assert ring.trouble is not None
    key, secret = file.create("acme", KeyKind.BROWSER)
    found = ring.find(secret, NOW)
    assert found is not None
    assert (found.tenant, found.kind) == ("acme", KeyKind.BROWSER)
    assert ring.trouble is None
    file.revoke(key.id)
    ring.refresh()
    assert ring.find(secret, NOW) is None


def test_a_rotated_key_goes_on_for_its_grace_only(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key, old = file.create("acme", KeyKind.SERVER, note="shop")
    successor, new = file.rotate(key.id, timedelta(hours=1))
    ring = KeyRing(file.path)
    assert (successor.tenant, successor.kind, successor.note) == ("acme", KeyKind.SERVER, "shop")
    now = datetime.now(UTC)
    assert ring.find(old, now) is not None
    assert ring.find(new, now) is not None
    assert ring.find(old, now + timedelta(minutes=61)) is None
    assert ring.find(new, now + timedelta(minutes=61)) is not None


def test_a_damaged_file_leaves_the_keys_in_force_and_says_so(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    _, secret = file.create("acme", KeyKind.SERVER)
    ring = KeyRing(file.path)
    file.path.write_text("{")
    ring.refresh()
    assert ring.find(secret, NOW) is not None
    assert ring.trouble is not None
    with pytest.raises(KeysError):
        file.create("acme", KeyKind.SERVER)


def test_the_same_chosen_secret_is_one_key(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    first, _ = file.create("acme", KeyKind.SERVER, secret="s" * 32)
    again, _ = file.create("acme", KeyKind.SERVER, secret="s" * 32)
    assert first == again
    with pytest.raises(KeysError):
        file.create("other", KeyKind.SERVER, secret="s" * 32)


@pytest.mark.parametrize("tenant", ["", "Acme", "a|b", "x" * 41, "-a", "a b"])
def test_a_tenants_name_is_plain(tmp_path: Path, tenant: str) -> None:
    with pytest.raises(KeysError):
        KeyFile(tmp_path / "keys.json").create(tenant, KeyKind.SERVER)


def test_an_unknown_key_cannot_be_revoked_nor_a_revoked_one_rotated(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    key, _ = file.create("acme", KeyKind.SERVER)
    file.revoke(key.id)
    for change in (lambda: file.revoke("k_none"), lambda: file.rotate(key.id, timedelta())):
        with pytest.raises(KeysError):
            change()


def test_a_change_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.create("acme", KeyKind.SERVER)
    before = file.path.read_text()

    def fails(_path: Path, _data: bytes) -> None:
        raise OSError("no space")

    monkeypatch.setattr("collector.keys.durable_write", fails)
    with pytest.raises(OSError, match="no space"):
        file.create("acme", KeyKind.SERVER)
    assert file.path.read_text() == before
    assert json.loads(before)["keys"]
