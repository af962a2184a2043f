"""A home with routes to a web server that really receives. Belongs here: these two. Does not: assertions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.alerting.alert import Alert, key_of
from pipelines.settings import Settings, SettingsFile
from tests.webhook import Inbox, inbox

NOW = dt.datetime(2026, 10, 12, 6, 30, tzinfo=dt.UTC)
Home = Callable[..., Settings]


@pytest.fixture
def server() -> Iterator[Inbox]:
    with inbox() as state:
        yield state


@pytest.fixture
def home(tmp_path: Path, server: Inbox, monkeypatch: pytest.MonkeyPatch) -> Home:
    """``home(routes=..., **alerts)`` -> settings; by default one route, ``all``, to the server."""
    monkeypatch.setenv("ALERT_URL", server.url("all"))

    def make(routes: list[dict[str, Any]] | None = None, **alerts: Any) -> Settings:
        routes = [{"name": "all", "url_env": "ALERT_URL", "default": True}] if routes is None else routes
        return Settings(SettingsFile.model_validate({"alerts": {"routes": routes} | alerts}), tmp_path / "home", None)

    return make


def alert(subject: str = "train", amount: str | None = "115.2", **values: Any) -> Alert:
    """An idle pool of vision's, unless told otherwise."""
    told: dict[str, Any] = {
        "alert_kind": "idle_gpu", "severity": "warning", "team": "vision", "subject_type": "pool", "since_date": dt.date(2026, 10, 11),
        "until_date": dt.date(2026, 10, 12), "measured": "8 GPUs", "threshold": "$100", "message": f"8 GPU(s), pool {subject}, bought nothing.",
        "evidence": "{}", "explain": f"apportion explain --pool '{subject}'",
    } | values  # fmt: skip
    key = key_of(told["alert_kind"], told["team"], told["subject_type"], subject)
    return Alert(alert_key=key, subject=subject, amount_usd=None if amount is None else Decimal(amount), **told)
