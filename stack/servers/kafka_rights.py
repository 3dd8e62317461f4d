"""Who may do what in Kafka, as access-control lists; whatever is not here is refused.

The log-ins are in :mod:`stack.servers.kafka_broker`. Rights that the broker has and this module does not name are
taken away at the next start, as those of the warehouse's roles are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from collector.topic_names import RECEIPTS, REJECTED
from stack.programs import StackError, Step
from stack.servers.kafka_broker import BROKER, OPERATOR, admin
from stack.settings import StackSettings

NOBODY = "ANONYMOUS"
"""Kafka's name for who comes without a log-in: over the operator's listener, if it is open."""
EVENTS = "events."
LANDER_GROUPS = "lander-"
CLUSTER = "kafka-cluster"
"""Kafka's name for the cluster as a resource."""
TIMEOUT = 20.0

Right = tuple[str, Any, str, Any, Any]
"""User, kind of resource, name, how the name is meant, operation. To read or to write includes to describe."""


def rights(settings: StackSettings) -> set[Right]:
    """Everything that anybody but the super user may do."""
    topic, group, exactly, prefix = (
        ResourceType.TOPIC,
        ResourceType.GROUP,
        ResourcePatternType.LITERAL,
        ResourcePatternType.PREFIXED,
    )
    read, write = AclOperation.READ, AclOperation.WRITE
    found: set[Right] = {
        ("collector", topic, EVENTS, prefix, write),
        ("collector", topic, REJECTED, exactly, write),
        ("collector", topic, RECEIPTS, exactly, write),
        ("lander", topic, EVENTS, prefix, read),
        ("lander", topic, REJECTED, exactly, read),
        ("lander", topic, RECEIPTS, exactly, read),
        ("lander", topic, REJECTED, exactly, write),
        ("lander", group, LANDER_GROUPS, prefix, read),  # never joined, but the client asks who coordinates it
    }
    operators = (OPERATOR, NOBODY) if settings.kafka_open else (OPERATOR,)
    for user in operators:
        found |= {(user, kind, "*", exactly, AclOperation.ALL) for kind in (topic, group)}
        found.add((user, ResourceType.TRANSACTIONAL_ID, "*", exactly, AclOperation.ALL))
        # Not to describe the cluster: that would include its access-control lists and whose log-ins it keeps.
        found.add((user, ResourceType.BROKER, CLUSTER, exactly, AclOperation.DESCRIBE_CONFIGS))
    return found


def apply(settings: StackSettings, secrets: Mapping[str, str]) -> None:
    """Make the broker's lists what :func:`rights` says.

    :raises StackError: the broker does not answer, or refuses.
    """
    client = admin(settings, secrets, BROKER)
    wanted = {_binding(right) for right in rights(settings)}
    try:
        known = set(client.describe_acls(_ANYTHING, request_timeout=TIMEOUT).result())
        # First what is missing: a process at work must not be refused in between.
        _wait(client.create_acls(sorted(wanted - known), request_timeout=TIMEOUT) if wanted - known else {})
        superfluous = [_filter(binding) for binding in known - wanted]
        _wait(client.delete_acls(superfluous, request_timeout=TIMEOUT) if superfluous else {})
    except KafkaException as error:
        raise StackError(f"Kafka's access-control lists could not be set: {error}") from error


def step(settings: StackSettings, secrets: Mapping[str, str]) -> Step:
    """The rights, before anybody needs them."""
    return Step("kafka-rights", lambda: apply(settings, secrets), needs=("kafka",))


_ANYTHING = AclBindingFilter(
    ResourceType.ANY,
    None,  # type: ignore[arg-type]  # as the library's own documentation has it: whatever the name, the user, the host
    ResourcePatternType.ANY,
    None,  # type: ignore[arg-type]
    None,  # type: ignore[arg-type]
    AclOperation.ANY,
    AclPermissionType.ANY,
)


def _binding(right: Right) -> AclBinding:
    user, kind, name, pattern, operation = right
    return AclBinding(kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)


def _filter(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _wait(answers: Mapping[Any, Any]) -> None:
    futures: Iterable[Any] = answers.values()
    for future in futures:
        future.result(TIMEOUT)
