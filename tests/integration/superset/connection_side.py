"""Runs in Superset's environment: asks the warehouse over kept connections; prints JSON. No Superset, only the server.

Arguments: the connection strings of two log-ins, and of somebody who may end connections and bar the first.
"""

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import psycopg2
from psycopg2 import sql
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.engine.url import URL, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from superset_config.connections import IDLE, MOST_LOGINS, Engines, keep_open

PARAMS = {
    "poolclass": NullPool,
    "connect_args": {"application_name": "kept", "options": "-c statement_timeout=30000"},
}
STATE = """
select
    pg_backend_pid(), session_user, current_setting('search_path'), current_setting('statement_timeout'),
    (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
    (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors)
"""
LEFT_BEHIND = """
select pg_advisory_lock(7);
prepare left_behind as select 1;
declare left_open cursor with hold for select 1;
set search_path = elsewhere;
set statement_timeout = 1;
set role none;
"""

mine, other, admin = (make_url(dsn).set(drivername="postgresql+psycopg2") for dsn in sys.argv[1:])


def connected(url: URL) -> psycopg2.extensions.connection:
    """A connection past what is tested."""
    connection = psycopg2.connect(str(url.set(drivername="postgresql")))
    connection.autocommit = True
    return connection


def kept(url: URL) -> Engine:
    """The engine, as Superset gets it: by parameters made anew each time."""
    return engines(url, **keep_open(PARAMS))


def ask(url: URL, words: str = STATE, commit: bool = False) -> list[object]:
    """The first row of an answer over a connection that is then given back, as Superset does it."""
    with closing(kept(url).raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(words)
        row = list(cursor.fetchone()) if cursor.description else []
        if commit:
            connection.commit()
    return row


def refusal(question: Callable[[], object]) -> str:
    """What is said when it fails; empty when it does not."""
    try:
        question()
    except OperationalError as error:
        return str(error)
    return ""


engines = Engines(create_engine)
facts: dict[str, object] = {}

facts["new"], facts["again"] = ask(mine), ask(mine)
facts["other"], facts["mine_after_other"] = ask(other), ask(mine)
facts["other_options"] = ask(mine) == ask(mine) and kept(mine) is not engines(
    mine, **keep_open({**PARAMS, "connect_args": {"application_name": "else"}})
)
facts["other_password"] = refusal(lambda: ask(mine.set(password="not it")))
facts["not_kept"] = engines(mine, **PARAMS) is not engines(mine, **PARAMS)

ask(mine, LEFT_BEHIND, commit=True)
facts["after_left_behind"] = ask(mine)

at_once = [kept(mine).raw_connection() for _ in range(IDLE + 2)]
under = [connection.dbapi_connection for connection in at_once]
for connection in at_once:
    connection.close()
facts["idle"] = [sum(not connection.closed for connection in under), IDLE]
with closing(connected(admin)) as root, root.cursor() as cursor:
    before = ask(mine)
    cursor.execute("select pg_terminate_backend(%s, 60000)", before[:1])
    facts["ended"], facts["before_ended"], facts["after_ended"] = cursor.fetchone()[0], before, ask(mine)

    cursor.execute(sql.SQL("alter role {} nologin").format(sql.Identifier(mine.username)))
    try:
        facts["barred"] = refusal(lambda: ask(mine))
    finally:
        cursor.execute(sql.SQL("alter role {} login").format(sql.Identifier(mine.username)))
    facts["let_in_again"] = ask(mine)[1]

lingering = kept(mine).raw_connection()
let_go = lingering.dbapi_connection
lingering.close()
facts["let_go"] = [let_go.closed]
for number in range(MOST_LOGINS):
    kept(other.set(query={"application_name": f"kept-{number}"}))
    facts["let_go"] += [let_go.closed]

print(json.dumps(facts))  # noqa: T201 - how the test is told
