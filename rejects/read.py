"""Rejected events out of the lake."""

from collections.abc import Collection, Iterator

from pyiceberg.catalog import Catalog

from collector.land_quality import REJECTED_EVENTS
from rejects.reject import Chosen, Reject
from rejects.scan import rows


def rejects(catalog: Catalog, chosen: Chosen, without: Collection[str] = ()) -> Iterator[Reject]:
    """The rejections that are ``chosen``, in no order; one that landed twice comes twice.

    ``without``: files that are missing; what is in them cannot be told.
    """
    for row in rows(catalog, REJECTED_EVENTS.identifier, chosen.row_filter(), without=without):
        reject = Reject.of(row)
        if chosen.takes(reject):
            yield reject
