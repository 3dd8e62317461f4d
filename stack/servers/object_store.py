"""The S3 server: s3proxy over a folder. Any S3 serves in its place through ``S3_ENDPOINT``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stack.programs import Program, Step, fingerprint
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
OPERATOR = ""
READ_ONLY = {
    OPERATOR: False, "lander": False, "load": True, "maintain": False, "report": False, "superset": True,
}  # fmt: skip
"""The key pairs, by whom they are given to, and whether they only read. The operator's goes into ``.local/env``."""


def endpoint(settings: StackSettings) -> str:
    """The URL clients are given as ``S3_ENDPOINT``."""
    return f"http://127.0.0.1:{settings.port('s3')}"


def key_pair(secrets: Mapping[str, str], owner: str) -> tuple[str, str]:
    """Access key and secret key of ``owner``."""
    name = f"s3_{owner}_" if owner else "s3_"
    return secrets[f"{name}access"], secrets[f"{name}secret"]


def client(settings: StackSettings, secrets: Mapping[str, str]) -> Any:
    """The operator's boto3 client with path-style addresses and short, bounded waits."""
    access, secret = key_pair(secrets, OPERATOR)
    return boto3.client(
        "s3",
        endpoint_url=endpoint(settings),
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name=REGION,
        config=Config(s3={"addressing_style": "path"}, connect_timeout=3, read_timeout=5, retries={"max_attempts": 1}),
    )


def configurations(settings: StackSettings, secrets: Mapping[str, str]) -> dict[Path, str]:
    """One file a key pair, all over the same folder: to the server each is a store of its own with its own rights."""
    files = {}
    for owner, read_only in READ_ONLY.items():
        access, secret = key_pair(secrets, owner)
        values = {
            "s3proxy.endpoint": endpoint(settings),
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": access,
            "s3proxy.credential": secret,
            "s3proxy.read-only-blobstore": str(read_only).lower(),
            "s3proxy.jetty.max-threads": "32",
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": str(settings.data / "s3"),
        }
        path = settings.run / f"s3proxy{f'-{owner}' if owner else ''}.properties"
        files[path] = "".join(f"{name}={value}\n" for name, value in values.items())
    return files


def _prepare(settings: StackSettings, files: Mapping[Path, str]) -> None:
    (settings.data / "s3").mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        write_private(path, text)
    (settings.run / "s3-logback.xml").write_text(LOGBACK)


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
    files = configurations(settings, secrets)
    named = [word for path in files for word in ("--properties", path)]
    return Program(
        name="s3",
        argv=["java", *heap, "-cp", jars, "org.gaul.s3proxy.Main", *named],
        env=fingerprint(*files.values()),
        prepare=lambda: _prepare(settings, files),
        not_ready=lambda: _not_ready(settings, secrets),
    )


def step_bucket(settings: StackSettings, secrets: Mapping[str, str]) -> Step:
    """The lake's bucket."""

    def do() -> None:
        s3 = client(settings, secrets)
        if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
            s3.create_bucket(Bucket=BUCKET)

    return Step("lake-bucket", do, needs=("s3",))
