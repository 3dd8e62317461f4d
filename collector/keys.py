"""Write keys: who may send, for which tenant. Only their hashes are kept, in one file that commands replace.

A key is ``ws_<kind>_<43 random characters>``: 256 random bits, so one round of SHA-256 is enough to keep it secret and
quick enough to check on every request. The collector looks at the file's identity once a second and reads it
again when it changed: creating, rotating and revoking need no restart.
"""

import base64
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from collector.dead_letter import durable_write
from contracts.tenant import TENANT, TENANT_RULE
from runtime import log

_log = log.get(__name__)


class KeyKind(StrEnum):
    """What a key may do."""

    SERVER = "server"  # any type, as far back as the type is kept
    BROWSER = "browser"  # public: only types marked for browsers, and nothing old
    IMPORT = "import"  # as server; says in the books that it was a bulk import


class KeysError(Exception):
    """The key file or the request is wrong; the message says what to do."""


@dataclass(frozen=True)
class WriteKey:
    """A key as it is kept. ``expires_at`` and ``revoked_at`` are RFC 3339; ``hash`` is SHA-256 in hexadecimal."""

    id: str
    tenant: str
    kind: KeyKind
    hash: str
    created_at: str
    note: str = ""
    expires_at: str | None = None
    revoked_at: str | None = None

    def usable(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < datetime.fromisoformat(self.expires_at))


def digest(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyFile:
    """The file of the keys, for the commands: each change under a lock, replaced atomically, mode 600."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keys(self) -> list[WriteKey]:
        """All keys, revoked ones too, oldest first.

        :raises KeysError: the file is damaged.
        """
        try:
            found = json.loads(self.path.read_bytes())["keys"]
            return [WriteKey(**{**key, "kind": KeyKind(key["kind"])}) for key in found]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError) as error:
            raise KeysError(f"{self.path} is damaged ({error}): restore it from a copy") from error

    def create(
        self,
        tenant: str,
        kind: KeyKind,
        note: str = "",
        secret: str | None = None,
        lasts: timedelta | None = None,
    ) -> tuple[WriteKey, str]:
        """A new key and its secret, shown this once. ``secret``: one chosen beforehand, at least 32 characters.

        ``lasts``: how long it works; None: until it is revoked.

        Creating a key with a secret that is there already, for the same tenant and kind, changes nothing.

        :raises KeysError: the tenant's name or the secret is not allowed.
        """
        if TENANT.fullmatch(tenant) is None:
            raise KeysError(f"tenant {tenant!r}: {TENANT_RULE}")
        if secret is not None and (len(secret) < 32 or not secret.isascii() or not secret.isprintable()):
            raise KeysError("a secret needs at least 32 printable ASCII characters")
        secret = secret or f"ws_{kind}_{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip('=')}"
        with self._changing() as keys:
            known = next((k for k in keys if k.hash == digest(secret)), None)
            if known is not None:
                if (known.tenant, known.kind) != (tenant, kind) or known.revoked_at is not None:
                    raise KeysError(f"this secret is key {known.id} already, of another tenant or kind, or revoked")
                return known, secret
            key = WriteKey(
                id=f"k_{secrets.token_hex(6)}",
                tenant=tenant,
                kind=kind,
                hash=digest(secret),
                created_at=_now().isoformat(),
                note=note,
                expires_at=None if lasts is None else (_now() + lasts).isoformat(),
            )
            keys.append(key)
        return key, secret

    def rotate(self, key_id: str, grace: timedelta) -> tuple[WriteKey, str]:
        """A successor with the same rights; the old key goes on working for ``grace``.

        :raises KeysError: there is no usable key of this id.
        """
        old = self._usable(key_id)
        fresh, secret = self.create(old.tenant, old.kind, old.note)
        with self._changing() as keys:
            keys[:] = [replace(k, expires_at=(_now() + grace).isoformat()) if k.id == key_id else k for k in keys]
        return fresh, secret

    def revoke(self, key_id: str) -> WriteKey:
        """Refuse a key from now on.

        :raises KeysError: there is no usable key of this id.
        """
        revoked = replace(self._usable(key_id), revoked_at=_now().isoformat())
        with self._changing() as keys:
            keys[:] = [revoked if k.id == key_id else k for k in keys]
        return revoked

    def _usable(self, key_id: str) -> WriteKey:
        for key in self.keys():
            if key.id == key_id and key.usable(_now()):
                return key
        raise KeysError(f"there is no usable key {key_id!r}; see `watershed keys list`")

    @contextmanager
    def _changing(self) -> Iterator[list[WriteKey]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            keys = self.keys()
            yield keys
            durable_write(self.path, (json.dumps({"keys": [asdict(k) for k in keys]}, indent=1) + "\n").encode())
        finally:
            os.close(handle)


class KeyRing:
    """The usable keys in memory, for the collector. Keeps the last good ones when the file is damaged."""

    def __init__(self, path: Path) -> None:
        self._file = KeyFile(path)
        self._seen: tuple[int, int, int] | None = None
        self._by_hash: dict[str, WriteKey] = {}
        self.trouble: str | None = None
        self.refresh()

    def find(self, secret: str, now: datetime) -> WriteKey | None:
        """The key of this secret, if it is usable. One made a moment ago is known at once."""
        hashed = digest(secret)
        key = self._by_hash.get(hashed)
        if key is None:
            self.refresh()
            key = self._by_hash.get(hashed)
        return key if key is not None and key.usable(now) else None

    def refresh(self) -> None:
        """Read the file if it is another than at the last look."""
        try:
            found = self._file.path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        except FileNotFoundError:
            self._seen, self._by_hash = None, {}
            self.trouble = f"{self._file.path} is not there: nobody can send (`watershed keys create`)"
            return
        if seen == self._seen:
            return
        self._seen = seen
        try:
            keys = self._file.keys()
        except (KeysError, OSError) as error:
            self.trouble = str(error)
            _log.error("the keys cannot be read; those read before stay in force", error=str(error))
            return
        self.trouble = None
        self._by_hash = {key.hash: key for key in keys}
        _log.info("read the write keys", keys=len(keys))


def _now() -> datetime:
    return datetime.now(UTC)
