"""Keys that a repair has made are gone when it ends, however it ends."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.keys import KeyFile, KeyKind, KeyRing
from rejects.lend_keys import LASTS, left_behind, lent_keys


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    KeyFile(path).create("acme", KeyKind.SERVER, "the shop", secret="s" * 40)
    return path


def usable(path: Path) -> set[str]:
    return {key.note for key in KeyFile(path).keys() if key.usable(datetime.now(UTC))}  # noqa: SIM118 - no dictionary


def test_a_key_is_of_its_tenant_works_while_the_repair_does_and_not_after(file: Path) -> None:
    ring = KeyRing(file)
    with lent_keys(file, uuid.uuid4()) as lent:
        secret = lent.secret("globex")
        assert lent.secret("globex") == secret
        assert lent.secret("acme") != secret
        found = ring.find(secret, datetime.now(UTC))
        assert found is not None
        assert (found.tenant, found.kind) == ("globex", KeyKind.IMPORT)
    ring.refresh()
    assert ring.find(secret, datetime.now(UTC)) is None
    assert usable(file) == {"the shop"}


def test_the_key_of_a_killed_repair_ends_by_itself(file: Path) -> None:
    with lent_keys(file, uuid.uuid4()) as lent:
        secret = lent.secret("globex")
        ring, now = KeyRing(file), datetime.now(UTC)
        assert ring.find(secret, now + LASTS - timedelta(minutes=5)) is not None
        assert ring.find(secret, now + LASTS + timedelta(minutes=5)) is None


def test_what_a_killed_repair_left_is_revoked_by_the_next_and_nothing_else(file: Path) -> None:
    keys = KeyFile(file)
    keys.create("acme", KeyKind.IMPORT, f"repair run {uuid.uuid4()}")
    keys.create("acme", KeyKind.IMPORT, "repair run by hand, of the old shop")
    keys.create("acme", KeyKind.SERVER, f"repair run {uuid.uuid4()}")
    assert len(left_behind(keys.keys(), datetime.now(UTC))) == 1
    with pytest.raises(RuntimeError), lent_keys(file, uuid.uuid4()) as lent:
        lent.secret("acme")
        raise RuntimeError
    assert left_behind(keys.keys(), datetime.now(UTC)) == []
    assert "repair run by hand, of the old shop" in usable(file)
    assert len(usable(file)) == 3
