"""The alerts' files: each complete, and what is wrong with one is said."""

from pathlib import Path

import pytest
import yaml

from alerts.definitions import FOLDER, DefinitionError, load_alerts
from alerts.settings import AlertSettings
from runtime.settings import SettingsError

REPO = Path(__file__).resolve().parents[3]


def test_every_alert_has_a_runbook_that_exists() -> None:
    for alert in load_alerts():
        page, _, anchor = alert.runbook.partition("#")
        headings = [line.lstrip("#") for line in (REPO / page).read_text().splitlines() if line.startswith("#")]
        slugs = {
            "".join(c for c in head.strip().lower().replace(" ", "-") if c.isalnum() or c == "-") for head in headings
        }
        assert anchor in slugs, alert.name


def test_the_page_of_its_dag_names_every_alert() -> None:
    said = " ".join((REPO / "dags" / "check_alerts.py").read_text().split())
    assert [alert.title for alert in load_alerts() if f"*{alert.title}*" not in said] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": None}, "needs exactly"),
        ({"more": 1}, "needs exactly"),
        ({"needs": {"other": ["tenant"]}}, "says that it needs"),
        ({"failing": "select 1 from marts.freshness"}, "threshold"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    content = yaml.safe_load((FOLDER / "data_incomplete.yaml").read_text()) | change
    content = {key: value for key, value in content.items() if value is not None}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(DefinitionError, match=f"broken.yaml.*{words}"):
        load_alerts(tmp_path)


def settings(**values: object) -> AlertSettings:
    return AlertSettings.model_validate({"alerter_dsn": "postgresql://", **values})


def test_mail_is_wanted_with_a_server_and_an_address_or_not_at_all() -> None:
    assert settings().teller() is None
    both = settings(smtp_host="mail.example", alerts_to="a@x.example, b@x.example").teller()
    assert both is not None
    assert both.to == ("a@x.example", "b@x.example")
    for one in ({"smtp_host": "mail.example"}, {"alerts_to": "a@x.example"}):
        with pytest.raises(SettingsError, match="together"):
            settings(**one).teller()
