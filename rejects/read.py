"""Rejected events out of the lake."""

from collections.abc import Iterator

from pyiceberg.catalog import Catalog

from collector.land_quality import REJECTED_EVENTS
from rejects.reject import Chosen, Reject
from rejects.scan import rows


def rejects(catalog: Catalog, chosen: Chosen) -> Iterator[Reject]:
    """The rejections that are ``chosen``, in no order; one that landed twice comes twice."""
    for row in rows(catalog, REJECTED_EVENTS.identifier, chosen.row_filter()):
        reject = Reject.of(row)
        if chosen.takes(reject):
            yield reject
