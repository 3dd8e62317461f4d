"""Write keys for the length of a repair: made for the tenants whose events are sent, revoked at its end."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from collector.keys import KeyFile, KeyKind, WriteKey

LASTS = timedelta(hours=24)
"""How long a lent key works at most: that of a run which was killed, and has no next one, must end too."""
_NOTE = "repair run {}"
_NOTED = re.compile(r"repair run [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class LentKeys:
    """The secret for each tenant, an import key's, made when it is first asked for and kept in memory only."""

    def __init__(self, file: KeyFile, run_id: UUID) -> None:
        self._file, self._note = file, _NOTE.format(run_id)
        self._secrets: dict[str, str] = {}
        self.ids: list[str] = []

    def secret(self, tenant: str) -> str:
        """The secret of the tenant's key."""
        if tenant not in self._secrets:
            key, self._secrets[tenant] = self._file.create(tenant, KeyKind.IMPORT, self._note, lasts=LASTS)
            self.ids.append(key.id)
        return self._secrets[tenant]


@contextmanager
def lent_keys(path: Path, run_id: UUID) -> Iterator[LentKeys]:
    """Keys of this run, revoked afterwards, with those that a run which was killed left behind.

    To be called by the only repair that is at work.
    """
    file = KeyFile(path)
    lent = LentKeys(file, run_id)
    try:
        yield lent
    finally:
        for key in left_behind(file.keys(), datetime.now(UTC)):
            file.revoke(key.id)


def left_behind(keys: list[WriteKey], now: datetime) -> list[WriteKey]:
    """The usable keys that repairs made."""
    return [key for key in keys if key.kind is KeyKind.IMPORT and _NOTED.fullmatch(key.note) and key.usable(now)]
