"""The lake's tables: their catalog, their columns from the contracts, and their additive evolution."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
from pydantic import Field, SecretStr
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform
from pyiceberg.types import (
    BooleanType,
    DecimalType,
    IcebergType,
    IntegerType,
    LongType,
    MapType,
    NestedField,
    StringType,
    TimestamptzType,
)
from sqlalchemy.engine import make_url

from collector.lake_catalog import LakeCatalog
from collector.lake_metadata import Bucket
from contracts.columns import LakeColumn, lake_columns
from contracts.model import Contract
from runtime.settings import Settings

CATALOG = "lake"
"""The catalog's name, which is part of its rows in Postgres: every reader (Spark too) must use the same."""
PROPERTIES = {
    "format-version": "2",
    # A query opens every manifest: merging them keeps a micro-batch flat however many commits there were.
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "10",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.parquet.compression-codec": "zstd",
}
_ATTEMPTS = 5

TIMESTAMP = pa.timestamp("us", tz="UTC")
_MAP = pa.map_(pa.string(), pa.string())
_SIMPLE: dict[str, tuple[IcebergType, pa.DataType]] = {
    "string": (StringType(), pa.string()),
    "int": (IntegerType(), pa.int32()),
    "integer": (LongType(), pa.int64()),
    "long": (LongType(), pa.int64()),
    "hash": (LongType(), pa.int64()),
    "boolean": (BooleanType(), pa.bool_()),
    "timestamp": (TimestamptzType(), TIMESTAMP),
}


class BreakingChange(Exception):
    """The table cannot become what the contract now says without losing or rewriting what it holds."""


class CatalogLost(Exception):
    """The catalog is not that of the bucket: a new table would be made over one, or what it names is not there."""


class LakeSettings(Settings):
    """Where the lake is."""

    s3_endpoint: str = Field(description="URL of the S3 server that holds the lake")
    aws_access_key_id: str = Field(description="Access key for `S3_ENDPOINT`")
    aws_secret_access_key: SecretStr = Field(description="Secret key for `S3_ENDPOINT`")
    aws_region: str = Field(default="us-east-1", description="Region named in S3 requests")
    lake_warehouse: str = Field(description="Root of the lake, as in `s3://lake/warehouse`")
    lake_catalog_uri: SecretStr = Field(
        description="SQLAlchemy URL of the Iceberg catalog's Postgres database (`postgresql+psycopg://…`)"
    )


@dataclass(frozen=True)
class TableSpec:
    """A table of the lake: its identifier, columns in order, and the timestamp column it is partitioned by (day)."""

    identifier: str
    columns: tuple[LakeColumn, ...]
    day_of: str
    description: str


def open_catalog(settings: LakeSettings) -> SqlCatalog:
    """The catalog ``lake``; its database answers within seconds or an error is raised, and so does S3.

    :raises sqlalchemy.exc.OperationalError: the database is away.
    """
    url = make_url(settings.lake_catalog_uri.get_secret_value()).update_query_dict(
        {"connect_timeout": "5", "tcp_user_timeout": "15000", "options": "-c statement_timeout=15000"}
    )
    return LakeCatalog(
        CATALOG,
        **{
            "uri": url.render_as_string(hide_password=False),
            "pool_pre_ping": "true",
            "warehouse": settings.lake_warehouse,
            "py-io-impl": "collector.lake_io.LakeIO",
            "s3.endpoint": settings.s3_endpoint,
            "s3.access-key-id": settings.aws_access_key_id,
            "s3.secret-access-key": settings.aws_secret_access_key.get_secret_value(),
            "s3.region": settings.aws_region,
            "s3.connect-timeout": "5",
            "s3.request-timeout": "20",
        },
    )


def spec_of(contract: Contract) -> TableSpec:
    """The table of an event type."""
    return TableSpec(contract.table, lake_columns(contract), "occurred_at", contract.description)


def arrow_schema_of(columns: Iterable[LakeColumn]) -> pa.Schema:
    """The Arrow schema in which rows are handed to the table."""
    return pa.schema([pa.field(c.name, _arrow_type(c), nullable=not c.required) for c in columns])


def iceberg_schema_of(columns: Iterable[LakeColumn]) -> Schema:
    """The Iceberg schema of a new table; the catalog gives the final field ids."""
    fields, next_id = [], 1
    for column in columns:
        field_id, next_id = next_id, next_id + 1
        if column.kind == "map":
            kind: IcebergType = MapType(next_id, StringType(), next_id + 1, StringType(), value_required=False)
            next_id += 2
        else:
            kind = _iceberg_type(column)
        fields.append(NestedField(field_id, column.name, kind, required=column.required, doc=column.description))
    return Schema(*fields)


def arrow_schema(contract: Contract) -> pa.Schema:
    """The Arrow schema of ``events.<type>``."""
    return arrow_schema_of(lake_columns(contract))


def iceberg_schema(contract: Contract) -> Schema:
    """The Iceberg schema of ``events.<type>``."""
    return iceberg_schema_of(lake_columns(contract))


def ensure_table(catalog: SqlCatalog, wanted: Contract | TableSpec) -> Table:
    """Create the table, or add the columns it lacks; nothing else is ever changed about it.

    :raises BreakingChange: a column would have to change its type or to go.
    :raises CatalogLost: it was there already and the catalog has forgotten it, or names what the bucket has no longer.
    """
    spec = spec_of(wanted) if isinstance(wanted, Contract) else wanted
    for _ in range(_ATTEMPTS):
        try:
            table = catalog.load_table(spec.identifier)
        except NoSuchTableError:
            try:
                return _create(catalog, spec)
            except TableAlreadyExistsError:
                continue
        except FileNotFoundError as error:
            raise CatalogLost(
                f"{spec.identifier}: the catalog names metadata that the bucket has not ({error}), as that of a backup "
                "does: `watershed lake recover` has it name what there is"
            ) from error
        try:
            return _evolve(table, spec)
        except CommitFailedException:
            continue
    raise CommitFailedException(f"{spec.identifier}: others kept changing the table while it was being evolved")


def _create(catalog: SqlCatalog, spec: TableSpec) -> Table:
    bucket = Bucket(catalog)
    # Asked again after the look into the bucket, for another may have made it and landed in it between.
    if (commits := bucket.commits(spec.identifier)) and not catalog.table_exists(spec.identifier):
        raise CatalogLost(
            f"{spec.identifier}: the bucket has its commits up to {commits[0]}, and the catalog does not know it. A "
            "new one would begin at nothing, and maintenance would delete the old one's files. `watershed lake "
            f"recover` puts it back; to begin anew, move {bucket.place(spec.identifier)} away first"
        )
    schema = iceberg_schema_of(spec.columns)
    source = schema.find_field(spec.day_of)
    partition = PartitionField(source.field_id, 1000, DayTransform(), f"{spec.day_of}_day")
    catalog.create_namespace_if_not_exists(spec.identifier.split(".")[0])
    return catalog.create_table(
        spec.identifier,
        schema,
        partition_spec=PartitionSpec(partition),
        properties={**PROPERTIES, "comment": spec.description},
    )


def _evolve(table: Table, spec: TableSpec) -> Table:
    have = {f.name: f for f in table.schema().fields}
    want = {f.name: f for f in iceberg_schema_of(spec.columns).fields}
    trouble = [f"{name} is gone" for name in have if name not in want]
    missing, wider = [], []
    for name, field in want.items():
        if name not in have:
            if field.required:
                trouble.append(f"{name} is new and required, which rows already there cannot be")
            missing.append(field)
        elif not _same(have[name].field_type, field.field_type):
            if _widens(have[name].field_type, field.field_type):
                wider.append(field)
            else:
                trouble.append(f"{name} was {have[name].field_type} and would be {field.field_type}")
    if trouble:
        raise BreakingChange(f"{spec.identifier}: {'; '.join(trouble)}: give the contract a new field instead")
    if missing or wider:
        with table.update_schema() as update:
            for field in missing:
                update.add_column(field.name, field.field_type, field.doc)
            for field in wider:
                update.update_column(field.name, field.field_type)
    return table


def _same(have: IcebergType, want: IcebergType) -> bool:
    # The ids inside a map are the table's own.
    return isinstance(have, MapType) if isinstance(want, MapType) else have == want


def _widens(have: IcebergType, want: IcebergType) -> bool:
    """Whether Iceberg can read the old files as the new type (spec: schema evolution, valid promotions)."""
    if isinstance(have, DecimalType) and isinstance(want, DecimalType):
        return have.scale == want.scale and have.precision < want.precision
    return isinstance(have, IntegerType) and isinstance(want, LongType)


def _arrow_type(column: LakeColumn) -> pa.DataType:
    if column.kind == "decimal":
        return pa.decimal128(column.precision, column.scale)
    return _MAP if column.kind == "map" else _SIMPLE[column.kind][1]


def _iceberg_type(column: LakeColumn) -> IcebergType:
    if column.kind == "decimal":
        if column.precision is None or column.scale is None:
            raise BreakingChange(f"{column.name}: a decimal needs its precision and scale")
        return DecimalType(column.precision, column.scale)
    return _SIMPLE[column.kind][0]
