"""The S3 server: s3proxy over a folder. Any S3 serves in its place through ``S3_ENDPOINT``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stack.programs import Program, Step
from stack.secrets import write_private
from stack.settings import LOCAL, StackSettings

LOGBACK = """\
<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z',UTC} %level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="out"/></root>
</configuration>
"""
"""Without it the server logs every turn of its selectors, megabytes a minute."""
BUCKET = "lake"
REGION = "us-east-1"


def endpoint(settings: StackSettings) -> str:
    """The URL clients are given as ``S3_ENDPOINT``."""
    return f"http://127.0.0.1:{settings.port('s3')}"


def client(settings: StackSettings, secrets: Mapping[str, str]) -> Any:
    """A boto3 client with path-style addresses and short, bounded waits."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint(settings),
        aws_access_key_id=secrets["s3_access"],
        aws_secret_access_key=secrets["s3_secret"],
        region_name=REGION,
        config=Config(s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=5, retries={"max_attempts": 1}),
    )


def _prepare(settings: StackSettings, secrets: Mapping[str, str]) -> None:
    place: Path = settings.data / "s3"
    place.mkdir(parents=True, exist_ok=True)
    settings.run.mkdir(parents=True, exist_ok=True)
    (settings.run / "s3-logback.xml").write_text(LOGBACK)
    values = {
        "s3proxy.endpoint": endpoint(settings),
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": secrets["s3_access"],
        "s3proxy.credential": secrets["s3_secret"],
        "s3proxy.jetty.max-threads": "32",
        "jclouds.provider": "filesystem-nio2",
        "jclouds.filesystem.basedir": str(place),
    }
    write_private(settings.run / "s3proxy.properties", "".join(f"{name}={value}\n" for name, value in values.items()))


def _not_ready(settings: StackSettings, secrets: Mapping[str, str]) -> str | None:
    try:
        client(settings, secrets).list_buckets()
    except (BotoCoreError, ClientError) as error:
        return str(error)
    return None


def program(settings: StackSettings, secrets: Mapping[str, str]) -> Program:
    """The server."""
    heap = [f"-Xmx{settings.s3_heap_mb}m", "-XX:+UseSerialGC", "-Xss512k"]
    heap += [f"-Dlogback.configurationFile={settings.run / 's3-logback.xml'}"]
    jars = LOCAL / "jars" / "s3" / "*"
    return Program(
        name="s3",
        argv=["java", *heap, "-cp", jars, "org.gaul.s3proxy.Main", "--properties", settings.run / "s3proxy.properties"],
        prepare=lambda: _prepare(settings, secrets),
        not_ready=lambda: _not_ready(settings, secrets),
    )


def step_bucket(settings: StackSettings, secrets: Mapping[str, str]) -> Step:
    """The lake's bucket."""

    def do() -> None:
        s3 = client(settings, secrets)
        if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=BUCKET)

    return Step("lake-bucket", do, needs=("s3",))
