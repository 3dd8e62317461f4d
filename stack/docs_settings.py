"""Settings of the docs server."""

from pathlib import Path

from pydantic import Field

from runtime.settings import Settings
from stack.settings import LOCAL


class DocsSettings(Settings):
    """Where the docs server listens and what it serves."""

    docs_host: str = Field(default="127.0.0.1", description="Address on which the docs server listens")
    docs_port: int = Field(default=21070, ge=1, le=65535, description="Port of the docs server")
    site_dir: Path = Field(default=LOCAL / "site", description="Folder of the docs site: `dbt/` and `data-docs/` in it")
