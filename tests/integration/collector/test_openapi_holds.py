"""The collector held to the OpenAPI document it serves, by Schemathesis: made-up requests, and the answers to them."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from collector import openapi
from collector.parse import Limits
from contracts.registry import Registry
from tests.integration.collector.harness import SERVER_KEY, Broker, CollectorProcess

PATHS: dict[str, Any] = openapi.document(Registry.load(), Limits(1, 1, 1))["paths"]
SENDING = [path for path, item in PATHS.items() if "post" in item]
READING = [path for path, item in PATHS.items() if "get" in item]
# What a request that breaks the document may be answered. 207: of a batch, only some events break it.
REFUSED = ["207", "400", "401", "413", "415"]
CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}


def bounded(examples: int) -> settings:
    """The same examples in every run, and none kept for the next one."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def collector_url(shared_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    collector = CollectorProcess(shared_broker.login, tmp_path_factory.mktemp("openapi"))
    collector.start()
    yield collector.url
    assert collector.stop() == 0
    assert [line for line in collector.logged() if line["level"] == "error"] == []
    collector.http.close()


@pytest.fixture(scope="module")
def schema(collector_url: str) -> BaseSchema:
    load_all_checks()
    return schemathesis.openapi.from_url(f"{collector_url}/openapi.json", config=SchemathesisConfig.from_dict(CONFIG))


def is_accepted(case: Case, answer: Response) -> None:
    """What the document allows is accepted, but for how far its time lies ahead or back: no schema can say that."""
    if case.media_type != "application/json" or answer.status_code == 200:
        return
    for result in answer.json()["results"]:
        for reason in result.get("reasons", ()):
            assert reason["pointer"] in ("/occurred_at", "/timestamp"), (case.body, reason)
            assert reason["keyword"] in ("minimum", "maximum"), (case.body, reason)


def hold(schema: BaseSchema, url: str, operation: tuple[str, str], mode: GenerationMode, examples: int) -> list[int]:
    """Send made-up requests and hold each answer to the document; gives their statuses."""
    path, method = operation
    statuses: list[int] = []

    @bounded(examples)
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        answer = case.call_and_validate(
            base_url=url,
            headers={"Authorization": f"Bearer {SERVER_KEY}"},
            excluded_checks=[positive_data_acceptance],  # is_accepted knows of times, and that one does not
        )
        statuses.append(answer.status_code)
        if mode is GenerationMode.POSITIVE:
            is_accepted(case, answer)

    check()
    return statuses


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("path", SENDING)
def test_sending_is_answered_as_the_document_says(
    schema: BaseSchema, collector_url: str, path: str, mode: GenerationMode
) -> None:
    statuses = hold(schema, collector_url, (path, "POST"), mode, 50)
    assert len(statuses) >= 20
    assert 400 in statuses
    assert 200 in statuses or path != "/events" or mode is not GenerationMode.POSITIVE


@pytest.mark.parametrize("path", READING)
def test_reading_is_answered_as_the_document_says(schema: BaseSchema, collector_url: str, path: str) -> None:
    assert set(hold(schema, collector_url, (path, "GET"), GenerationMode.POSITIVE, 3)) == {200}
