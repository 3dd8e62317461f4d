"""The resident Spark Connect server: one warm JVM that every job talks to, instead of one JVM a micro-batch."""

import os
from collections.abc import Mapping
from pathlib import Path

import pyspark
from pydantic import SecretStr
from pyspark.errors import PySparkException
from pyspark.sql.connect.session import SparkSession

from spark_jobs.session import catalog_properties
from spark_jobs.settings import SparkSettings
from stack.programs import Program, fingerprint, tcp_not_ready
from stack.secrets import write_private
from stack.servers import object_store, postgres
from stack.settings import LOCAL, StackSettings

LOG4J = """\
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.target=SYSTEM_ERR
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601}{UTC}Z %p %c{1} %m%n
"""
LOG4J_FILE = "spark-log4j2.properties"


def remote(settings: StackSettings) -> str:
    """What jobs are given as ``SPARK_REMOTE``."""
    return f"sc://127.0.0.1:{settings.port('spark_connect')}"


def jars() -> list[Path]:
    """The jars Spark needs for the lake: Iceberg, its S3 client and Postgres's driver."""
    return sorted((LOCAL / "jars" / "spark").glob("*.jar"))


def lake_properties(settings: StackSettings, secrets: Mapping[str, str], warehouse: str) -> dict[str, str]:
    """Spark's settings for the Iceberg catalog ``lake``, with the server's endpoints and rights only to read.

    A job that has to write gives its session credentials of its own, in the same settings.
    """
    access, secret = object_store.key_pair(secrets, "load")
    catalog = postgres.dsn(settings, secrets, "spark", "catalog")
    return catalog_properties(
        SparkSettings(
            lake_warehouse=warehouse,
            lake_catalog_uri=SecretStr("postgresql+psycopg" + catalog.removeprefix("postgresql")),
            s3_endpoint=object_store.endpoint(settings),
            aws_access_key_id=access,
            aws_secret_access_key=SecretStr(secret),
            aws_region=object_store.REGION,
        )
    )


def _configuration(settings: StackSettings, secrets: Mapping[str, str], warehouse: str) -> str:
    work = settings.data / "spark"
    log4j = settings.run / LOG4J_FILE
    java = f"-XX:+UseSerialGC -Xss2m -Dlog4j2.configurationFile={log4j} -Duser.timezone=UTC"
    values = {
        "spark.master": f"local[{settings.spark_cores}]",
        "spark.app.name": "watershed",
        "spark.driver.memory": f"{settings.spark_heap_mb}m",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": java,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(settings.port("spark_connect")),
        "spark.ui.port": str(settings.port("spark_ui")),
        "spark.ui.retainedJobs": "50",
        "spark.ui.retainedStages": "50",
        "spark.ui.retainedTasks": "1000",
        "spark.sql.ui.retainedExecutions": "20",
        "spark.connect.ui.retainedSessions": "20",
        "spark.connect.ui.retainedStatements": "50",
        "spark.local.dir": str(work),
        "spark.sql.warehouse.dir": str(work / "unused-warehouse"),
        "spark.sql.shuffle.partitions": str(settings.spark_cores),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.scheduler.mode": "FAIR",
        "spark.jars": ",".join(str(jar) for jar in jars()),
        **lake_properties(settings, secrets, warehouse),
    }
    return "".join(f"{name} {value}\n" for name, value in values.items())


def _prepare(settings: StackSettings, text: str) -> None:
    (settings.data / "spark").mkdir(parents=True, exist_ok=True)
    write_private(settings.run / "spark.properties", text)
    (settings.run / LOG4J_FILE).write_text(LOG4J)


def _not_ready(settings: StackSettings) -> str | None:
    reason = tcp_not_ready(settings.port("spark_connect"))()
    if reason:
        return reason
    try:
        session = SparkSession.builder.remote(remote(settings)).create()
        try:
            session.sql("select 1").collect()
        finally:
            session.stop()
    except PySparkException as error:
        return str(error)[:300]
    return None


def program(settings: StackSettings, secrets: Mapping[str, str], warehouse: str) -> Program:
    """The server. ``warehouse`` is the lake's root, as in ``LAKE_WAREHOUSE``."""
    home = Path(pyspark.__file__).parent
    text = _configuration(settings, secrets, warehouse)
    argv: list[str | Path] = [home / "bin" / "spark-submit", "--properties-file", settings.run / "spark.properties"]
    argv += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    return Program(
        name="spark-connect",
        argv=argv,
        env={
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PATH": os.environ["PATH"],
            **fingerprint(text),
        },
        prepare=lambda: _prepare(settings, text),
        not_ready=lambda: _not_ready(settings),
        needs=("postgres-roles", "lake-bucket"),
    )
