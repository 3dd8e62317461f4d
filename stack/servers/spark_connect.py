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
from stack.programs import Program, tcp_not_ready
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


def remote(settings: StackSettings) -> str:
    """What jobs are given as ``SPARK_REMOTE``."""
    return f"sc://127.0.0.1:{settings.port('spark_connect')}"


def jars() -> list[Path]:
    """The jars Spark needs for the lake: Iceberg, its S3 client and Postgres's driver."""
    return sorted((LOCAL / "jars" / "spark").glob("*.jar"))


def lake_properties(settings: StackSettings, secrets: Mapping[str, str], warehouse: str) -> dict[str, str]:
    """Spark's settings for the lake: those that a job gives a session of its own, with the server's endpoints."""
    catalog = postgres.dsn(settings, secrets, "catalog", "catalog")
    return catalog_properties(
        SparkSettings(
            lake_warehouse=warehouse,
            lake_catalog_uri=SecretStr("postgresql+psycopg" + catalog.removeprefix("postgresql")),
            s3_endpoint=object_store.endpoint(settings),
            aws_access_key_id=secrets["s3_access"],
            aws_secret_access_key=SecretStr(secrets["s3_secret"]),
            aws_region=object_store.REGION,
        )
    )


def _prepare(settings: StackSettings, secrets: Mapping[str, str], warehouse: str) -> None:
    work = settings.data / "spark"
    work.mkdir(parents=True, exist_ok=True)
    log4j = settings.run / "spark-log4j2.properties"
    log4j.parent.mkdir(parents=True, exist_ok=True)
    log4j.write_text(LOG4J)
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
    lines = [f"{name} {value}" for name, value in values.items()]
    write_private(settings.run / "spark.properties", "\n".join(lines) + "\n")


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
    argv: list[str | Path] = [home / "bin" / "spark-submit", "--properties-file", settings.run / "spark.properties"]
    argv += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    return Program(
        name="spark-connect",
        argv=argv,
        env={"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "PATH": os.environ["PATH"]},
        prepare=lambda: _prepare(settings, secrets, warehouse),
        not_ready=lambda: _not_ready(settings),
        needs=("postgres-roles", "lake-bucket"),
    )
