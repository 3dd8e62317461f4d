"""A Spark session: the resident Connect server's by default, one of our own where a master is given."""

import glob
import os
import uuid
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.connect.client.retries import DefaultPolicy

from spark_jobs.catalog import CATALOG
from spark_jobs.settings import SparkSettings

_SESSIONS = uuid.UUID("6c6f6164-726f-4c6c-b570-730000000001")
_SESSIONS_A_DAY = 100
_RETRIES = 6
"""From 50 ms up to 5 s apart: some 20 s in all. By default it is ten minutes, in which a load would hold its locks."""
_WRITERS_RETRIES = 16
"""The same, some 65 s in all: maintenance waits for a server that is started anew."""


def open_session(settings: SparkSettings) -> SparkSession:
    """The session that jobs run in; ``lake.<namespace>.<table>`` are the lake's tables in it.

    The Connect server has the catalog in its own settings; a classic session is given :func:`catalog_properties`.

    :raises PySparkException: the server is away, or became so.
    """
    if settings.spark_master:
        return _classic(settings, settings.spark_master)
    return _shared(settings.spark_remote.rstrip("/"))


def open_writing_session(settings: SparkSettings) -> SparkSession:
    """A session of the caller's own, with its credentials: the server's can only read. To be stopped after use.

    :raises PySparkException: the server is away.
    """
    if settings.spark_master:
        return _classic(settings, settings.spark_master)
    session: SparkSession = SparkSession.builder.remote(settings.spark_remote.rstrip("/")).create()
    _retry(session, _WRITERS_RETRIES)
    for name, value in catalog_properties(settings).items():
        if name.startswith("spark.sql.catalog."):
            session.conf.set(name, value)
    return session


def _shared(remote: str) -> SparkSession:
    """Today's session, which all jobs share: a new one would open its catalog, its pools and its manifest cache anew.

    The server closes what was idle for an hour, and such an id can never be used again: then the next one is tried.
    """
    today = datetime.now(UTC).date().isoformat()
    for number in range(_SESSIONS_A_DAY):
        name = uuid.uuid5(_SESSIONS, f"{today} {number}")
        session: SparkSession = SparkSession.builder.remote(f"{remote}/;session_id={name}").create()
        _retry(session, _RETRIES)
        try:
            session.conf.get("spark.sql.session.timeZone")
        except PySparkException as error:
            if "SESSION_CLOSED" not in str(error):
                raise
            session.stop()  # else it stays the default of threads that have none of their own
        else:
            return session
    fresh: SparkSession = SparkSession.builder.remote(remote).create()
    return fresh


def _retry(session: SparkSession, times: int) -> None:
    client = cast(Any, session).client  # only a Connect session has one, and the stubs do not tell them apart
    client.set_retry_policies([DefaultPolicy(max_retries=times, max_backoff=5000)])


def _classic(settings: SparkSettings, master: str) -> SparkSession:
    # PySpark looks at these by itself (the second it sets, for children too), and refuses a master beside them.
    for name in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED"):
        os.environ.pop(name, None)
    builder = SparkSession.builder.master(master).appName("watershed")
    properties = catalog_properties(settings)
    if settings.spark_jars:
        properties["spark.jars"] = ",".join(sorted(glob.glob(settings.spark_jars)))  # noqa: PTH207 - absolute or not
    for name, value in properties.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def catalog_properties(settings: SparkSettings) -> dict[str, str]:
    """Everything Spark must know to read the lake."""
    uri = urlsplit(settings.lake_catalog_uri.get_secret_value())
    prefix = f"spark.sql.catalog.{CATALOG}"
    properties = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.session.timeZone": "UTC",
        prefix: "org.apache.iceberg.spark.SparkCatalog",
        f"{prefix}.type": "jdbc",
        f"{prefix}.uri": f"jdbc:postgresql://{uri.hostname}:{uri.port or 5432}{uri.path}",
        f"{prefix}.jdbc.user": unquote(uri.username or ""),
        f"{prefix}.jdbc.password": unquote(uri.password or ""),
        f"{prefix}.jdbc.schema-version": "V1",
        f"{prefix}.warehouse": settings.lake_warehouse,
        f"{prefix}.cache-enabled": "false",  # a job must see the newest snapshot, not one of some seconds ago
        f"{prefix}.io.manifest.cache-enabled": "true",
    }
    if settings.lake_warehouse.startswith("s3:"):
        properties |= {
            f"{prefix}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            f"{prefix}.s3.path-style-access": "true",
            f"{prefix}.s3.access-key-id": settings.aws_access_key_id,
            f"{prefix}.s3.secret-access-key": settings.aws_secret_access_key.get_secret_value(),
            f"{prefix}.client.region": settings.aws_region,
        }
        if settings.s3_endpoint:
            properties[f"{prefix}.s3.endpoint"] = settings.s3_endpoint
    return properties
