"""How the lake's files are written: with one request each, not three."""

from pyarrow.fs import FileSystem, S3FileSystem
from pyiceberg.io import (
    S3_ACCESS_KEY_ID,
    S3_CONNECT_TIMEOUT,
    S3_ENDPOINT,
    S3_REGION,
    S3_REQUEST_TIMEOUT,
    S3_SECRET_ACCESS_KEY,
)
from pyiceberg.io.pyarrow import PyArrowFileIO
from typing_extensions import override


class LakeIO(PyArrowFileIO):
    """pyiceberg's own, but for files up to one part (5 MB), which a commit's files are.

    Arrow begins every upload as one of many parts, so a file costs three requests. It can wait and see how much there
    is (``allow_delayed_open``), which pyiceberg 0.12 has no property for.
    """

    @override
    def _initialize_s3_fs(self, netloc: str | None) -> FileSystem:
        del netloc
        return S3FileSystem(
            endpoint_override=self.properties[S3_ENDPOINT],
            access_key=self.properties[S3_ACCESS_KEY_ID],
            secret_key=self.properties[S3_SECRET_ACCESS_KEY],
            region=self.properties[S3_REGION],
            connect_timeout=float(self.properties[S3_CONNECT_TIMEOUT]),
            request_timeout=float(self.properties[S3_REQUEST_TIMEOUT]),
            allow_delayed_open=True,  # type: ignore[call-arg]  # newer than the stubs
        )
