"""A lost or an older catalog is brought to what the bucket has (docs/adr/0045)."""

from dataclasses import dataclass
from enum import StrEnum

from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
from pyiceberg.exceptions import CommitFailedException, TableAlreadyExistsError
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from collector.lake_metadata import Bucket, Committed, number
from collector.land_commit import State
from collector.land_db import Database


class LanderAtWork(Exception):
    """A lander has the table: a commit of its own may be under way, whose files it would remove if it came too late."""


class What(StrEnum):
    """What is to be done about a table, or was."""

    PUT_BACK = "put back"
    """The catalog did not know it, or named metadata that is gone."""
    MOVED_AHEAD = "moved ahead"
    """The catalog named metadata that others came after."""
    AS_IT_IS = "as it is"
    """The catalog names the newest."""
    OTHER_BRANCH = "left: the newest in the bucket does not come after what the catalog names"
    """An older catalog was restored and landed on: both are whole, and which is meant is for a person to say."""
    NOTHING_WHOLE = "no metadata in the bucket has all of its files"


@dataclass(frozen=True)
class Recovered:
    """One table: what the catalog named (None: nothing), and what the bucket has."""

    table: str
    what: What
    was: str | None
    newest: Committed | None
    passed: tuple[str, ...]
    """Metadata that is newer and lacks files: of commits that failed, or of files that were lost."""

    @property
    def land_seq(self) -> int | None:
        """The last commit of a lander in what the bucket has."""
        return State.of(self.newest.metadata.properties).land_seq if self.newest else None

    @property
    def changes(self) -> bool:
        """Whether the catalog is not as the bucket."""
        return self.what in {What.PUT_BACK, What.MOVED_AHEAD}

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        newest = self.newest.location if self.newest else None
        return {
            "table": self.table, "what": self.what.value, "was": self.was, "metadata": newest,
            "land_seq": self.land_seq, "passed_over": list(self.passed),
        }  # fmt: skip


def look(catalog: SqlCatalog, bucket: Bucket, table: str) -> Recovered:
    """What there is of a table in the catalog and in the bucket."""
    was = _named(catalog, table)
    commits = bucket.commits(table)
    if was in commits and number(was) == number(commits[0]):
        return Recovered(table, What.AS_IT_IS, was, None, ())
    newest, passed = bucket.newest(table)
    if newest is None:
        what = What.NOTHING_WHOLE
    elif was is None or not bucket.has(was):
        what = What.PUT_BACK
    elif newest.location == was:
        what = What.AS_IT_IS
    else:
        what = What.MOVED_AHEAD if newest.follows(was) else What.OTHER_BRANCH
    return Recovered(table, what, was, newest, tuple(passed))


def recover(catalog: SqlCatalog, bucket: Bucket, table: str, database: Database) -> Recovered:
    """Have the catalog name the newest of a table that the bucket has whole; its landers must be at rest.

    :raises LanderAtWork: they are not, or the look into the bucket took so long that Postgres gave their lock away.
    :raises CommitFailedException: something else changed the catalog meanwhile.
    """
    session = database.try_lock(table)
    if session is None:
        raise LanderAtWork(f"a lander is at work on {table}: stop the landers first")
    found = look(catalog, bucket, table)
    if found.changes and found.newest is not None:
        if not database.check(session):
            raise LanderAtWork(f"{table}: Postgres gave its lock away meanwhile: ask again")
        _name(catalog, table, found.was, found.newest)
    database.unlock(table)
    return found


def _named(catalog: SqlCatalog, table: str) -> str | None:
    with Session(catalog.engine) as session:
        return session.scalar(select(IcebergTables.metadata_location).where(_is(catalog, table)))


def _name(catalog: SqlCatalog, table: str, was: str | None, newest: Committed) -> None:
    if was is None:
        catalog.create_namespace_if_not_exists(table.partition(".")[0])
        try:
            catalog.register_table(table, newest.location)
        except TableAlreadyExistsError as error:
            raise CommitFailedException(f"{table}: somebody made it meanwhile; ask again") from error
        return
    log = newest.metadata.metadata_log
    with Session(catalog.engine) as session:
        changed = session.scalar(
            update(IcebergTables)
            .where(_is(catalog, table), IcebergTables.metadata_location == was)
            .values(
                metadata_location=newest.location,
                previous_metadata_location=log[-1].metadata_file if log else None,
            )
            .returning(IcebergTables.table_name)
        )
        session.commit()
    if changed is None:
        raise CommitFailedException(f"{table}: somebody changed it meanwhile; ask again")


def _is(catalog: SqlCatalog, table: str) -> ColumnElement[bool]:
    namespace, _, name = table.partition(".")
    return and_(
        IcebergTables.catalog_name == catalog.name,
        IcebergTables.table_namespace == namespace,
        IcebergTables.table_name == name,
    )
