"""What a file says, compressed or not: for tests that search stores for something that must not be there."""

import base64
import contextlib
import gzip
import io
import re
import zlib
from typing import Any

import pyarrow.parquet as pq
from pyiceberg.avro.file import AvroFile

_GZIP = b"\x1f\x8b"
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{4}){3,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?(?![A-Za-z0-9+/=])"
)
"""What may be base64, as dead letters and rejected bodies are: in groups of four, and no shorter than an id."""


class _Given:
    """Bytes as pyiceberg's reader of Avro takes them."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def open(self) -> io.BytesIO:
        return io.BytesIO(self._content)


def readable(name: str, content: bytes) -> str:
    """The bytes, of gzip unpacked too, of Parquet the columns, of Avro (manifests, with bounds) the records.

    And what of all that is base64, with the base64 that is in it: a rejected body in a dead letter.
    """
    text = content.decode("latin-1")
    if content.startswith(_GZIP):
        with contextlib.suppress(OSError, EOFError, zlib.error):  # it is cut short, or only looks like it
            text += gzip.decompress(content).decode("latin-1")
    if name.endswith(".parquet"):
        file = pq.ParquetFile(io.BytesIO(content))
        text += str(file.read().to_pylist())
    if name.endswith(".avro"):
        given: Any = _Given(content)
        with AvroFile(given) as records:
            text += "".join(str(record) for record in records)
    once = _unpacked(text)
    return "\n".join([text, once, _unpacked(once)])


def _unpacked(text: str) -> str:
    return "\n".join(base64.b64decode(found).decode("latin-1") for found in _BASE64.findall(text))
