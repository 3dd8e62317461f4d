"""Superset must not start on a default or missing secret. The file is run as Superset runs it: from its path."""

import importlib.util
import json
from types import ModuleType

import httpx
import pytest
from pydantic import SecretStr

from superset_config.bundle import ROOM, Bundle
from superset_config.rest import PAGE, Superset, SupersetError, SupersetSettings
from superset_config.screenshot import dashboard_url
from superset_config.verify import RESOURCES, verify

GOOD = {
    "SUPERSET_SECRET_KEY": "k" * 42,
    "SUPERSET_METADATA_DSN": "postgresql+psycopg2://superset:x@localhost/superset",
    "REDIS_URL": "redis://localhost:6379/0",
    "READER_DSN": "postgresql://reader:x@localhost/warehouse",
    "SUPERSET_URL": "http://localhost",
    "TENANT_LOGIN_KEY": "t" * 64,
}


def load(monkeypatch: pytest.MonkeyPatch, **changes: str | None) -> ModuleType:
    for name, value in {**GOOD, **changes}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("superset_settings_under_test", ROOM / "superset_config.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_setting_stops_superset_and_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(Exception, match=name):
        load(monkeypatch, **{name: None})


@pytest.mark.parametrize("secret", ["short", "CHANGE_ME_TO_A_COMPLEX_RANDOM_SECRET_00000000", "thisISaSECRET_1234" * 3])
def test_a_known_or_short_secret_stops_superset(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    with pytest.raises(Exception, match="SUPERSET_SECRET_KEY"):
        load(monkeypatch, SUPERSET_SECRET_KEY=secret)


def test_each_cache_has_a_key_prefix_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(monkeypatch)
    caches = [
        config.CACHE_CONFIG,
        config.DATA_CACHE_CONFIG,
        config.FILTER_STATE_CACHE_CONFIG,
        config.EXPLORE_FORM_DATA_CACHE_CONFIG,
    ]
    assert len({cache["CACHE_KEY_PREFIX"] for cache in caches}) == len(caches)
    assert {cache["CACHE_TYPE"] for cache in caches} == {"RedisCache"}


def test_nothing_is_loaded_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load(monkeypatch).TALISMAN_CONFIG["content_security_policy"]
    assert "http" not in json.dumps(policy)


def test_cookies_are_https_only_behind_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load(monkeypatch).SESSION_COOKIE_SECURE
    assert load(monkeypatch, SUPERSET_BEHIND_TLS="1").SESSION_COOKIE_SECURE


def test_a_dashboard_opens_on_a_tenant_whatever_its_name() -> None:
    url = dashboard_url("http://h/", "page-views", "o'brien!")
    assert url.startswith("http://h/superset/dashboard/page-views/?native_filters=")
    assert "'o!'brien!!'" in url


BUNDLE = Bundle.load()
SETTINGS = SupersetSettings(superset_url="http://superset", superset_user="u", superset_password=SecretStr("p"))


def fake(missing: str = "", failing: bool = False, rows: int = 1) -> httpx.MockTransport:
    """A Superset that has every asset but ``missing``, and whose charts fail or give ``rows`` rows."""
    bundle = BUNDLE
    kinds = {resource: kind for kind, resource in RESOURCES.items()}

    lists: dict[str, list[dict[str, object]]] = {}
    plain: dict[str, dict[str, object]] = {
        "/api/v1/security/login": {"access_token": "t"},
        "/api/v1/security/csrf_token/": {"result": "c"},
        "/superset/explore_json/": {"data": [{}] * rows},
        "/api/v1/chart/data": {"result": [{"data": [{}] * rows}]},
    }
    for resource, kind in kinds.items():
        assets = [asset for asset in bundle.of(kind) if asset.path != missing]
        lists[f"/api/v1/{resource}/"] = [{"id": n, "uuid": a.uuid} for n, a in enumerate(assets)]
    one_chart = {"result": {"query_context": json.dumps({"queries": [{"filters": []}]})}}

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/login/":
            return httpx.Response(302, headers={"location": "/"})
        if path == "/api/v1/chart/data" and failing:
            return httpx.Response(400, json={"message": "no such column"})
        if path in lists:  # as Superset does, no more than a page at once
            page = int(request.url.params["q"].split("page:")[1].split(",")[0])
            return httpx.Response(200, json={"result": lists[path][page * PAGE : (page + 1) * PAGE]})
        return httpx.Response(200, json=plain.get(path, one_chart))

    return httpx.MockTransport(answer)


def test_all_is_well_when_everything_is_there_and_answers() -> None:
    with Superset(SETTINGS, fake()) as superset:
        assert verify(superset, BUNDLE, need_data=True) == []


def test_an_asset_that_was_not_imported_is_named() -> None:
    with Superset(SETTINGS, fake(missing="charts/page_views/visitors.yaml")) as superset:
        assert verify(superset, BUNDLE) == ["charts/page_views/visitors.yaml: not in Superset"]


def test_a_chart_whose_query_fails_is_named_with_the_error() -> None:
    with Superset(SETTINGS, fake(failing=True)) as superset:
        wrong = verify(superset, BUNDLE)
    assert len(wrong) == len(BUNDLE.uuids("charts"))
    assert all("no such column" in line for line in wrong)


def test_a_chart_without_data_is_wrong_only_when_data_are_expected() -> None:
    with Superset(SETTINGS, fake(rows=0)) as superset:
        assert verify(superset, BUNDLE) == []
        assert all("no data" in line for line in verify(superset, BUNDLE, need_data=True))


def test_a_refused_log_in_is_said() -> None:
    with pytest.raises(SupersetError, match="401"):
        Superset(SETTINGS, httpx.MockTransport(lambda _: httpx.Response(401, text="Not authorized")))
