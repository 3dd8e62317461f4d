"""Who holds which secret: each process its own, and nobody another's."""

from pathlib import Path

import pytest

from collector.kafka_settings import KafkaSettings
from stack import environment, rooms, secrets, superset
from stack.servers import kafka_broker, kafka_rights, object_store, redis_server, spark_connect
from stack.settings import StackSettings

HELD = {
    "topics": {"kafka_operator"},
    "lake": {"s3_access", "s3_secret", "catalog"},
    "migrate": {"watershed"},
    "keys": set(),
    "collector": {"kafka_collector"},
    "lander": {"kafka_lander", "s3_lander_access", "s3_lander_secret", "lander", "visitor_hash_key"},
    "load": {"s3_load_access", "s3_load_secret", "spark", "loader"},
    "maintain": {"s3_maintain_access", "s3_maintain_secret", "maintainer"},
    "repair": {"s3_load_access", "s3_load_secret", "spark", "repairer"},
    "books": {"s3_load_access", "s3_load_secret", "spark", "bookkeeper"},
    "report": {"s3_report_access", "s3_report_secret", "reader"},
    "dbt": {"dbt"},
    "gate": {"gate"},
    "publish": {"publisher"},
    "alerts": {"alerter"},
    "mail_report": {"alerter", "superset_reporter"},
    "docs-build": {"dbt", "reader"},
    "docs": set(),
    "airflow": set(),
    "superset": {
        "s3_superset_access",
        "s3_superset_secret",
        "superset",
        "reader",
        "redis_superset",
        "superset_admin",
        "superset_reporter",
        "tenant_login_key",
    },
}
ADMINISTRATORS = {"postgres", "kafka_broker"}
"""Who may do everything to a server: with the stack alone, which starts and prepares the servers."""


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    return StackSettings(watershed_state=tmp_path)


@pytest.fixture
def known(tmp_path: Path) -> dict[str, str]:
    return dict(secrets.load(tmp_path / "secrets.json"))


def held(text: str, known: dict[str, str]) -> set[str]:
    return {name for name, secret in known.items() if secret in text}


@pytest.mark.parametrize("process", environment.OF_PROCESS)
def test_a_process_holds_its_own_secrets_only(settings: StackSettings, known: dict[str, str], process: str) -> None:
    values = environment.own(process, settings, known)
    assert held("\n".join(values.values()), known) == HELD[process]
    assert values["WATERSHED_ROOM"] == process


def test_programs_hold_what_their_room_does(settings: StackSettings, known: dict[str, str]) -> None:
    for program in (rooms.collector, rooms.lander, rooms.docs):
        made = program(settings, known)
        assert held("\n".join(made.env.values()), known) == HELD[made.name]
    own = HELD["superset"] | {"superset", "superset_secret_key"}
    assert held("\n".join(superset.variables(settings, known).values()), known) == own


def test_the_spark_server_can_only_read_and_knows_nothing_of_the_warehouse(
    settings: StackSettings, known: dict[str, str]
) -> None:
    properties = "\n".join(spark_connect.lake_properties(settings, known, "s3://lake/warehouse").values())
    assert held(properties, known) == {"s3_load_access", "s3_load_secret", "spark"}
    assert object_store.READ_ONLY["load"]


def test_the_operators_file_holds_no_rooms_login_at_kafka_s3_and_redis(
    settings: StackSettings, known: dict[str, str]
) -> None:
    values = environment.effective(settings, known)
    found = held("\n".join(values.values()), known)
    assert not found & ADMINISTRATORS
    assert {name for name in found if name.startswith(("kafka", "s3", "redis"))} == {"s3_access", "s3_secret", "redis"}
    assert "KAFKA_USERNAME" not in values


def test_the_operator_logs_in_where_the_open_listener_is_closed(settings: StackSettings, known: dict[str, str]) -> None:
    closed = settings.model_copy(update={"kafka_open": False})
    values = environment.effective(closed, known)
    kafka = KafkaSettings(**{name.lower(): values[name] for name in environment.KAFKA})  # type: ignore[arg-type]
    assert kafka.kafka_username == "operator"
    assert "OPERATOR://" not in kafka_broker.configuration(closed, known)
    assert set(settings.ports()) - set(closed.ports()) == {"KAFKA_PORT"}
    assert not {right for right in kafka_rights.rights(closed) if right[0] == kafka_rights.NOBODY}


def test_a_broker_whose_configuration_changes_is_started_anew(settings: StackSettings, known: dict[str, str]) -> None:
    before = kafka_broker.program(settings, known).env
    assert kafka_broker.program(settings, known).env == before
    closed = settings.model_copy(update={"kafka_open": False})
    assert kafka_broker.program(closed, known).env != before


def test_redis_keeps_no_password_in_its_configuration(settings: StackSettings, known: dict[str, str]) -> None:
    assert held(redis_server.configuration(settings, known), known) == set()


def test_supersets_keys_begin_as_its_login_at_redis_wants_them() -> None:
    text = (environment.REPO / "superset_config" / "superset_config.py").read_text()
    assert f'REDIS_KEYS = "{redis_server.SUPERSET_KEYS}"' in text
