"""The way from a dashboard to where its numbers come from: dbt's docs, wherever this installation has them.

A dashboard links to ``/docs/lineage/#!/exposure/…``: the same text in every installation, so that its reviewed file and
its export stay equal. Browsers keep what follows the ``#`` over the redirect.
"""

import os
from typing import Any

from flask import Blueprint, redirect

pages = Blueprint("docs_link", __name__, url_prefix="/docs")


@pages.get("/lineage/")
def lineage() -> Any:
    """To dbt's docs."""
    return redirect(os.environ["DBT_DOCS_URL"])
