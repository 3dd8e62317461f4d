"""The lake's bucket, beside the lake: a folder is made to hold exactly these objects."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from reports.settings import ReportSettings

TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}


class Bucket:
    """Writes into the bucket that holds the lake."""

    def __init__(self, settings: ReportSettings) -> None:
        self.name = urlsplit(settings.lake_warehouse).netloc
        self._s3: Any = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint or None,
            aws_access_key_id=settings.aws_access_key_id,
            aws_secret_access_key=settings.aws_secret_access_key.get_secret_value(),
            region_name=settings.aws_region,
            config=Config(
                s3={"addressing_style": "path"}, signature_version="s3v4", connect_timeout=5, read_timeout=30
            ),
        )
        self._link_seconds = int(settings.report_link_days * 86_400)

    def replace(self, folder: str, objects: Mapping[str, bytes]) -> None:
        """Put ``objects``, by name, and remove what else lies in ``folder``: a second run leaves the same."""
        for name, body in objects.items():
            kind = TYPES.get(name.rsplit(".", 1)[-1], "application/octet-stream")
            self._s3.put_object(Bucket=self.name, Key=f"{folder}/{name}", Body=body, ContentType=kind)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=f"{folder}/")
        for key in [found["Key"] for listed in pages for found in listed.get("Contents", ())]:
            if key.removeprefix(f"{folder}/") not in objects:
                self._s3.delete_object(Bucket=self.name, Key=key)

    def read(self, key: str) -> bytes | None:
        """One object; None where there is none."""
        try:
            body: bytes = self._s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        return body

    def link(self, key: str) -> str:
        """An address at which a browser may read one object for some days, without a log-in."""
        url: str = self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self.name, "Key": key}, ExpiresIn=self._link_seconds
        )
        return url
