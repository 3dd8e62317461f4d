"""Everything a stack consists of."""

from stack import airflow, environment, rooms, superset
from stack.programs import Part
from stack.servers import kafka_broker, kafka_rights, object_store, postgres, redis_server, spark_connect
from stack.settings import StackSettings


def all_parts(settings: StackSettings, secrets: dict[str, str]) -> list[Part]:
    """Every program and step of the whole stack."""
    return [
        postgres.program(settings, secrets),
        postgres.step_roles(settings, secrets),
        kafka_broker.program(settings, secrets),
        kafka_rights.step(settings, secrets),
        object_store.program(settings, secrets),
        object_store.step_bucket(settings, secrets),
        redis_server.program(settings, secrets),
        spark_connect.program(settings, secrets, environment.LAKE_WAREHOUSE),
        *rooms.steps(settings, secrets),
        rooms.collector(settings, secrets),
        rooms.lander(settings, secrets),
        rooms.docs(settings, secrets),
        *airflow.parts(settings, secrets),
        *superset.parts(settings, secrets),
    ]
