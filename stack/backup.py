"""Backups of the warehouse and of the lake's catalog: made by Postgres's own pg_dump, whole or not at all.

The warehouse is dumped before the catalog: then the catalog knows of every row of the lake that the warehouse has
loaded, and what it knows beyond that the next load takes. The other way round a load would miss what is landed again.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from stack.programs import StackError
from stack.servers import postgres
from stack.settings import StackSettings

DATABASES = ("warehouse", "catalog")
"""In the order in which they are dumped."""
ABOUT = "backup.json"


@dataclass(frozen=True)
class Backup:
    """One backup in its folder; ``files`` gives bytes and SHA-256 of each database's dump.

    ``loaded`` gives by event type up to which commit (``land_seq``) the warehouse had loaded the lake before anything
    was dumped: the dumped catalog has at least those commits.
    """

    folder: Path
    created_at: str
    postgres: str
    files: Mapping[str, tuple[int, str]]
    loaded: Mapping[str, int]

    @property
    def name(self) -> str:
        """What it is called by: when it was made."""
        return self.folder.name

    def dump(self, database: str) -> Path:
        """Where the dump of a database lies."""
        return self.folder / f"{database}.dump"

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        files = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in self.files.items()}
        return {
            "name": self.name,
            "folder": str(self.folder),
            "created_at": self.created_at,
            "postgres": self.postgres,
            "files": files,
        }


def place(settings: StackSettings) -> Path:
    """Where backups lie that are not told another folder."""
    return settings.watershed_state / "backups"


def create(settings: StackSettings, secrets: Mapping[str, str], folder: Path) -> Backup:
    """Dump every database into a new folder under ``folder``, while everything runs.

    :raises StackError: Postgres is away, or a dump failed; nothing that looks like a backup is left.
    """
    started = datetime.now(UTC)
    name = started.strftime("%Y%m%dT%H%M%S.%fZ")
    draft, final = folder / f".{name}.{os.getpid()}", folder / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft.mkdir(mode=0o700)
    try:
        files = {}
        loaded = _loaded(settings, secrets)
        for database in DATABASES:
            target = draft / f"{database}.dump"
            # Else the file would be readable by all from its first byte.
            target.touch(mode=0o600)
            run("pg_dump", ["--format=custom", "--file", target, "--dbname", database], settings, secrets)
            files[database] = (target.stat().st_size, digest(target))
        about = {"created_at": started.isoformat(), "postgres": _version(), "files": files, "loaded": loaded}
        (draft / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
        draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return read(final)


def listed(folder: Path) -> list[Backup]:
    """The backups in ``folder``, the newest first."""
    if not folder.is_dir():
        return []
    return [
        read(p.parent) for p in sorted(folder.glob(f"*/{ABOUT}"), reverse=True) if not p.parent.name.startswith(".")
    ]


def read(folder: Path) -> Backup:
    """The backup in ``folder``.

    :raises StackError: there is none, or what describes it is damaged.
    """
    try:
        about = json.loads((folder / ABOUT).read_text())
        files = {name: (int(size), str(sha)) for name, (size, sha) in about["files"].items()}
        loaded = {type_: int(land_seq) for type_, land_seq in about["loaded"].items()}
        return Backup(folder, about["created_at"], about["postgres"], files, loaded)
    except FileNotFoundError as error:
        raise StackError(f"{folder} holds no backup: `watershed backup list` shows those there are") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StackError(f"{folder / ABOUT} is damaged: {error}") from error


def verify(backup: Backup, databases: Sequence[str]) -> None:
    """Look whether the dumps are what was written.

    :raises StackError: one is missing or has changed; the message names it.
    """
    for database in databases:
        path = backup.dump(database)
        if database not in backup.files or not path.is_file():
            raise StackError(f"the backup {backup.name} has no dump of {database}")
        if digest(path) != backup.files[database][1]:
            raise StackError(f"{path} is damaged: its SHA-256 is not the one that was written beside it")


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(program: str, words: Sequence[str | Path], settings: StackSettings, secrets: Mapping[str, str]) -> None:
    """Run one of Postgres's own programs against the stack's server, as its owner.

    :raises StackError: it failed; the message has its last words.
    """
    at = ["--host", "127.0.0.1", "--port", str(settings.port("postgres")), "--username", "postgres", "--no-password"]
    environment = {**os.environ, "PGPASSWORD": secrets["postgres"], "PGCONNECT_TIMEOUT": "10"}
    done = subprocess.run(
        [postgres.binary(program), *at, *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"{program} failed: {done.stderr.strip()[-800:]}")


def _loaded(settings: StackSettings, secrets: Mapping[str, str]) -> dict[str, int]:
    try:
        with psycopg.connect(postgres.dsn(settings, secrets, "postgres")) as warehouse:
            known = warehouse.execute("select to_regclass('ledger.cursors') is not null").fetchone()
            if not known or not known[0]:
                return {}
            return dict(warehouse.execute("select type, land_seq from ledger.cursors").fetchall())
    except psycopg.Error as error:
        raise StackError(f"backup: {str(error).strip()}") from error


def _version() -> str:
    done = subprocess.run([postgres.binary("pg_dump"), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().rsplit(" ", 1)[-1]
