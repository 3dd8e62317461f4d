"""Which models a run builds: those fed by the event types it claimed, or all when the project is not the one built.

A run each minute claims a few types. To build the models of the others would cost seconds and change nothing.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import psycopg

PROJECT = Path(__file__).resolve().parent
SOURCES = ("dbt_project.yml", "macros/**/*.sql", "models/**/*.sql", "models/**/*.yml")
STAMP = ".built-project"
SCHEMAS = ("staging", "intermediate", "marts_build")


def selection(connection: psycopg.Connection, dbt_dir: Path, run_id: UUID) -> tuple[str, ...]:
    """Dbt's ``--select`` values for what ``run_id`` claimed; empty: build everything.

    Everything is built when the project changed since it was last built whole, or a relation is not there: the first
    run of a new version makes what it needs, also views that a migration dropped.
    """
    if not _built_whole(dbt_dir) or not _all_there(connection):
        return ()
    types = connection.execute(
        "select distinct type from ledger.unpublished where claimed_by = %s order by type", (run_id,)
    ).fetchall()
    return ("int_claimed_hours", *(f"tag:{name}" for (name,) in types))


def remember_built_whole(dbt_dir: Path) -> None:
    """Say that all models of the project as it is now have been built."""
    (dbt_dir / STAMP).write_text(_fingerprint())


def models() -> Iterator[str]:
    """The names of all models."""
    return (path.stem for path in (PROJECT / "models").rglob("*.sql"))


def _built_whole(dbt_dir: Path) -> bool:
    stamp = dbt_dir / STAMP
    return stamp.is_file() and stamp.read_text() == _fingerprint()


def _all_there(connection: psycopg.Connection) -> bool:
    found = connection.execute(
        "select relname from pg_class where relnamespace::regnamespace::text = any(%s)", (list(SCHEMAS),)
    ).fetchall()
    return set(models()) <= {name for (name,) in found}


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted({path for pattern in SOURCES for path in PROJECT.glob(pattern)}):
        digest.update(f"{path.relative_to(PROJECT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
