"""The datasets' tests share temporary marts."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.integration.superset.marts_kit import Marts


@pytest.fixture
def marts(stack: Any) -> Iterator[Marts]:
    with psycopg.connect(stack.env["WAREHOUSE_DSN"], row_factory=dict_row) as connection:
        connection.execute("set timezone = 'UTC'")
        marts = Marts(connection)
        marts.shape()
        yield marts
        connection.rollback()
