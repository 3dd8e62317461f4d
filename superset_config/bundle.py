"""The reviewed assets as they are on disk, and what Superset's importer is given of them.

Pure: no Superset, no network, so that the policies of the assets are unit tests of the core environment.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from superset_config.queries import query_context

ROOM = Path(__file__).parent
ASSETS = ROOM / "assets"
WAREHOUSE = "databases/warehouse.yaml"
"""The database whose address and password come from READER_DSN."""
# Two hundred files: libyaml reads and writes them ten times as fast, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
UNSAID: dict[str, dict[str, None]] = {"dashboards": {"css": None}, "datasets": {"currency_code_column": None}}
"""What a file need not say, by kind. Superset's importer leaves what it is not told as it was: it is told None."""
KINDS = ("databases", "datasets", "charts", "dashboards")


class AssetError(Exception):
    """An asset file is not what it should be; the message names the file."""


@dataclass(frozen=True)
class Asset:
    """One YAML file: its path within the bundle (``charts/visitors.yaml``), and what it says."""

    path: str
    content: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The top folder: databases, datasets, charts or dashboards."""
        return self.path.split("/", 1)[0]

    @property
    def uuid(self) -> str:
        """The fixed UUID, by which Superset knows the asset again."""
        return str(self.content["uuid"])

    @property
    def name(self) -> str:
        """The name shown in Superset."""
        titles = ("dashboard_title", "slice_name", "table_name", "database_name")
        return str(next(self.content[title] for title in titles if title in self.content))


@dataclass(frozen=True)
class Bundle:
    """All assets of a folder."""

    assets: tuple[Asset, ...]
    metadata: str

    @classmethod
    def load(cls, folder: Path = ASSETS) -> "Bundle":
        """Read every YAML file of ``folder``.

        :raises AssetError: for a file that is no mapping, has no uuid, or lies where the importer would not look
        """
        assets = []
        for file in sorted(folder.rglob("*.yaml")):
            path = file.relative_to(folder).as_posix()
            if path == "metadata.yaml":
                continue
            content = yaml.load(file.read_text(encoding="utf-8"), LOADER)  # noqa: S506 (both are safe)
            if not isinstance(content, dict) or "uuid" not in content:
                raise AssetError(f"{path}: not a mapping with a uuid")
            if path.split("/", 1)[0] not in KINDS:
                raise AssetError(f"{path}: not in one of {', '.join(KINDS)}")
            assets.append(Asset(path, content))
        return cls(tuple(assets), (folder / "metadata.yaml").read_text(encoding="utf-8"))

    def of(self, kind: str) -> Iterator[Asset]:
        """The assets of one kind, by path."""
        return (asset for asset in self.assets if asset.kind == kind)

    def uuids(self, kind: str) -> set[str]:
        """The UUIDs of one kind."""
        return {asset.uuid for asset in self.of(kind)}

    def importable(self, database_uri: str) -> dict[str, str]:
        """What Superset's importer takes: YAML by path.

        Every asset is marked as managed elsewhere, so that Superset's pages do not offer to edit what the next import
        would undo. Charts get the query that their parameters ask for: without it the REST API cannot give a chart's
        data. The warehouse gets ``database_uri``, whose password the importer takes apart from it.
        """
        contents = {"metadata.yaml": self.metadata}
        for asset in self.assets:
            content = {**UNSAID.get(asset.kind, {}), **asset.content, "is_managed_externally": True}
            if asset.kind == "charts":
                content["query_context"] = json.dumps(query_context(content["params"]))
            if asset.path == WAREHOUSE:
                content["sqlalchemy_uri"] = database_uri
            contents[asset.path] = yaml.dump(content, Dumper=DUMPER, sort_keys=False, allow_unicode=True)
        return contents

    def fingerprint(self) -> str:
        """Changes whenever what would be imported changes."""
        digest = hashlib.sha256()
        for path, text in sorted(self.importable("").items()):
            digest.update(f"{path}\0{text}\0".encode())
        return digest.hexdigest()


def split_dsn(dsn: str) -> tuple[str, str]:
    """A libpq URL as Superset stores it: the SQLAlchemy URI with the password masked, and the password.

    :raises AssetError: without a user, a password or a host
    """
    parts = urlsplit(dsn)
    if not (parts.username and parts.password and parts.hostname):
        raise AssetError("READER_DSN must be postgresql://user:password@host:port/database")
    host = f"{parts.hostname}:{parts.port or 5432}"
    # Ten X are Superset's own mask: the importer then demands the password apart, and stores it encrypted.
    masked = urlunsplit(("postgresql+psycopg2", f"{parts.username}:XXXXXXXXXX@{host}", parts.path, parts.query, ""))
    return masked, parts.password
