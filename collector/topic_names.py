"""The names of the topics, as the contracts give them."""

from contracts.registry import Registry

REJECTED = "rejected_events"
RECEIPTS = "collector_receipts"


def names(registry: Registry) -> set[str]:
    """Every topic: one an event type, the rejects, the receipts."""
    return {contract.topic for contract in registry} | {REJECTED, RECEIPTS}
