"""Superset over REST: what a program may ask it, used by the verification and by end-to-end tests."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import httpx
from pydantic import Field, SecretStr

from runtime.settings import Settings

PAGE = 100
"""Superset gives no more than this many rows of a list at once."""


class SupersetSettings(Settings):
    """Where Superset is, and who asks it."""

    superset_url: str = Field(description="Base URL of Superset")
    superset_user: str = Field(description="Superset's log-in name")
    superset_password: SecretStr = Field(description="Superset's password")


class SupersetError(Exception):
    """Superset refused or failed; the message has its answer."""


class Superset:
    """A logged-in client. A context manager, as it holds connections open."""

    def __init__(self, settings: SupersetSettings, transport: httpx.BaseTransport | None = None) -> None:
        """:raises SupersetError: when the log-in fails"""
        self._http = httpx.Client(base_url=settings.superset_url.rstrip("/"), timeout=90, transport=transport)
        self._login = {"username": settings.superset_user, "password": settings.superset_password.get_secret_value()}
        self._has_session = False
        login = {**self._login, "provider": "db"}
        token = self._json(self._http.post("/api/v1/security/login", json=login))["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """What ``/api/v1/<path>`` answers.

        :raises SupersetError: it is refused
        """
        return self._json(self._http.get(f"/api/v1/{path}", params=query))

    def try_get(self, path: str) -> httpx.Response:
        """What ``/api/v1/<path>`` answers, whatever it is."""
        return self._http.get(f"/api/v1/{path}")

    def download(self, path: str) -> bytes:
        """The file that ``/api/v1/<path>`` gives.

        :raises SupersetError: it is refused
        """
        answer = self.try_get(path)
        if not answer.is_success:
            raise SupersetError(f"GET {answer.request.url.path}: {answer.status_code} {answer.text[:500]}")
        return answer.content

    def send(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Have something changed at ``/api/v1/<path>``.

        :raises SupersetError: it is refused
        """
        return self._json(self.try_send(method, path, content))

    def try_send(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> httpx.Response:
        """The answer to a change at ``path``, whatever it is: in ``/api/v1/``, or from ``/`` as a browser asks it."""
        if path.startswith("/"):
            self._begin_session()
        if "X-CSRFToken" not in self._http.headers:
            self._http.headers["X-CSRFToken"] = str(self.get("security/csrf_token/")["result"])
            self._http.headers["Referer"] = str(self._http.base_url)
        return self._http.request(method, path if path.startswith("/") else f"/api/v1/{path}", json=content)

    def submit(
        self, path: str, form: Mapping[str, str], files: Mapping[str, tuple[str, bytes]] | None = None
    ) -> httpx.Response:
        """The answer to a form (with ``files``: name and content) sent to ``path``, from ``/``, as a browser sends it.

        That is: with a session's cookie and no token of a program's, which Superset treats otherwise in places.
        """
        self._begin_session()
        csrf_token = str(self.get("security/csrf_token/")["result"])
        request = self._http.build_request("POST", path, data={**form, "csrf_token": csrf_token}, files=files)
        del request.headers["Authorization"]
        request.headers.update({"Referer": str(self._http.base_url), "Accept": "application/json"})
        return self._http.send(request)

    @staticmethod
    def _json(answer: httpx.Response) -> dict[str, Any]:
        if not answer.is_success:
            asked = f"{answer.request.method} {answer.request.url.path}"
            raise SupersetError(f"{asked}: {answer.status_code} {answer.text[:500]}")
        content: dict[str, Any] = answer.json()
        return content

    def by_uuid(self, resource: str) -> dict[str, dict[str, Any]]:
        """Every row of a list (``dashboard``, ``chart``, ``dataset``, ``database``), by its UUID."""
        found: dict[str, dict[str, Any]] = {}
        page = 0
        while True:
            columns = "!(id,uuid)"
            asked = {"q": f"(columns:{columns},page:{page},page_size:{PAGE})"}
            rows = self._json(self._http.get(f"/api/v1/{resource}/", params=asked))["result"]
            found |= {str(row["uuid"]): row for row in rows}
            if len(rows) < PAGE:
                return found
            page += 1

    def chart(self, chart_id: int) -> dict[str, Any]:
        """A chart as Superset keeps it."""
        result: dict[str, Any] = self._json(self._http.get(f"/api/v1/chart/{chart_id}"))["result"]
        return result

    def chart_rows(
        self, chart_id: int, filters: Mapping[str, Sequence[str]] | None = None, time_range: str | None = None
    ) -> list[dict[str, Any]]:
        """The rows a chart draws, with the dashboard's filters set as in ``filters``; never from the cache.

        :param filters: values by column: ``tenant``, ``period``, ``region_name``, ``page_name``
        :param time_range: the filter Dates, ``YYYY-MM-DD : YYYY-MM-DD``
        :raises SupersetError: when the query fails
        """
        return self.answer(self.query(chart_id, filters, time_range))

    def query(
        self, chart_id: int, filters: Mapping[str, Sequence[str]] | None = None, time_range: str | None = None
    ) -> dict[str, Any]:
        """What :meth:`chart_rows` asks."""
        context: dict[str, Any] = json.loads(self.chart(chart_id)["query_context"])
        context["force"] = True
        for query in context["queries"]:
            query["filters"] += [{"col": col, "op": "IN", "val": list(val)} for col, val in (filters or {}).items()]
            if time_range:
                query["time_range"] = time_range
        return context

    def answer(self, context: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a chart's first query: of a big number, its line.

        :raises SupersetError: when one fails
        """
        rows: list[dict[str, Any]] = self.results(context)[0]["data"]
        return rows

    def results(self, context: Mapping[str, Any], path: str = "/api/v1/chart/data") -> list[dict[str, Any]]:
        """What Superset says of each of a chart's queries: its rows (``data``), the SQL (``query``) and more.

        :param path: with what a browser adds to it
        :raises SupersetError: when one fails
        """
        results: list[dict[str, Any]] = self._json(self._http.post(path, json=context))["result"]
        failed = [result["error"] for result in results if result.get("error")]
        if failed:
            raise SupersetError(f"{context['form_data'].get('viz_type', 'a chart')}: {failed}")
        return results

    def explored(self, chart_id: int) -> Any:
        """What a chart of the older kind (the world map) gets from the address that the browser asks for it.

        :raises SupersetError: when the query fails
        """
        return self.explore("/superset/explore_json/", {"slice_id": chart_id}).get("data")

    def explore(self, path: str, form_data: Mapping[str, Any]) -> dict[str, Any]:
        """What Superset says of the one query of such a chart: its rows (``data``), the SQL (``query``) and more.

        :param path: with what a browser adds to it
        :raises SupersetError: when the query fails
        """
        self._begin_session()
        answer = self._json(self._http.post(path, data={"form_data": json.dumps(form_data)}))
        if answer.get("error") or answer.get("errors"):
            raise SupersetError(f"chart {form_data.get('slice_id')}: {answer.get('error') or answer.get('errors')}")
        return answer

    def _begin_session(self) -> None:
        """Log in as a browser does: the older addresses take a session's cookie and no token."""
        if self._has_session:
            return
        csrf_token = self._json(self._http.get("/api/v1/security/csrf_token/"))["result"]
        answer = self._http.post("/login/", data={**self._login, "csrf_token": csrf_token})
        if answer.status_code != httpx.codes.FOUND or "/login" in answer.headers.get("location", ""):
            raise SupersetError(f"POST /login/: {answer.status_code}, not logged in")
        self._has_session = True
