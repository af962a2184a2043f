"""What a real web server receives, and what is remembered of it. The clock is handed in; nothing else is replaced."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests

from pipelines.alerting import delivery, listing
from pipelines.alerting.alert import RELEASE, Alert
from pipelines.alerting.state import FILE, folder
from pipelines.errors import UsageError
from pipelines.settings import REPOSITORY, Settings
from tests.alerting.conftest import NOW, alert
from tests.webhook import Inbox

HOUR = dt.timedelta(hours=1)


def tell(settings: Settings, *alerts: Alert, at: dt.datetime = NOW, **options: Any) -> delivery.Delivery:
    """All that the release tells at an instant."""
    return delivery.deliver(settings, delivery.Observation(alerts, {RELEASE}), now=at, **options)


def events(settings: Settings) -> list[tuple[str, str | None, str | None]]:
    with sqlite3.connect(folder(settings) / FILE) as connection:
        return connection.execute("select event, route, detail from events order by event_id").fetchall()


def test_one_message_per_route_dearest_first_with_dollars_owner_and_where_to_look(home, server: Inbox) -> None:
    settings = home()
    found = tell(settings, alert("train", "115.2"), alert("big", "9000.005"), alert("dark", None, team=None, severity="critical"))
    [(path, post)] = server.posts
    assert path == "/all"
    assert post["title"] == "Apportion: 3 new"
    assert post["type"] == "failure"  # Apprise's word for what is critical
    assert post["message"].split("\n\n") == [
        "[critical] new: idle_gpu. 8 GPU(s), pool dark, bought nothing.\n"
        f"dollars unknown; no known owner; since 2026-10-11; key {alert('dark', team=None).alert_key[:12]}\napportion explain --pool 'dark'",
        "[warning] new: idle_gpu. 8 GPU(s), pool big, bought nothing.\n"
        f"$9,000.00 at stake; team vision; since 2026-10-11; key {alert('big').alert_key[:12]}\napportion explain --pool 'big'",
        "[warning] new: idle_gpu. 8 GPU(s), pool train, bought nothing.\n"
        f"$115.20 at stake; team vision; since 2026-10-11; key {alert('train').alert_key[:12]}\napportion explain --pool 'train'",
    ]
    assert not found.failed and len(found.standing) == 3


def test_told_once_then_worse_then_resolved(home, server: Inbox) -> None:
    settings = home()
    for hours, amount in ((0, "100"), (2, "900"), (21, "149"), (22, "150"), (47, "160")):
        tell(settings, alert(amount=amount), at=NOW + hours * HOUR)
    # new at 0 h; 900 within the cool-down; 149 is no 50 % more; 150 is; 160 is not 50 % more than the 150 last told
    assert [post["title"] for _, post in server.posts] == ["Apportion: 1 new", "Apportion: 1 worse"]
    assert "$150.00 at stake" in server.posts[1][1]["message"]
    tell(settings, at=NOW + 48 * HOUR)
    tell(settings, at=NOW + 100 * HOUR)
    assert [post["title"] for _, post in server.posts[2:]] == ["Apportion: 1 resolved"]
    assert server.posts[2][1]["type"] == "success"
    tell(settings, alert(), at=NOW + 101 * HOUR)
    assert [post["title"] for _, post in server.posts[3:]] == ["Apportion: 1 new"]


def test_owners_have_routes_and_the_default_has_the_rest(home, server: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    # a chat's own plugin: Mattermost posts Slack-like text to /hooks/<token>
    monkeypatch.setenv("VISION_CHAT", server.url("a" * 26, scheme="mmost"))
    settings = home(
        [{"name": "vision", "url_env": "VISION_CHAT", "teams": ["vision"]}, {"name": "all", "url_env": "ALERT_URL", "default": True}]
    )
    tell(settings, alert("train"), alert("shared", team=None))
    chat, rest = sorted(server.posts, reverse=True)
    assert chat[0] == "/hooks/" + "a" * 26 and "pool train" in chat[1]["text"] and "shared" not in chat[1]["text"]
    assert rest[0] == "/all" and "pool shared" in rest[1]["message"] and "pool train" not in rest[1]["message"]


def test_another_owner_is_told_and_the_first_hears_no_more(home, server: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLP_URL", server.url("nlp"))
    routes = [{"name": n, "url_env": e, "severities": [s]} for n, e, s in (("a", "ALERT_URL", "warning"), ("b", "NLP_URL", "critical"))]
    settings = home(routes)
    tell(settings, alert())
    tell(settings, alert(severity="critical"), at=NOW + 30 * HOUR)
    tell(settings, at=NOW + 60 * HOUR)
    assert [(path, post["title"]) for path, post in server.posts] == [
        ("/all", "Apportion: 1 new"), ("/nlp", "Apportion: 1 new"), ("/nlp", "Apportion: 1 resolved"),
    ]  # fmt: skip


def test_what_has_no_route_is_said(home, server: Inbox) -> None:
    said: list[str] = []
    settings = home([{"name": "nlp", "url_env": "ALERT_URL", "teams": ["nlp"]}])
    found = tell(settings, alert(), progress=said.append)
    assert server.posts == [] and [a.subject for a in found.unrouted] == ["train"]
    assert said == ["alerts: 1 match no route, and no route is the default: see `apportion alert list`"]
    assert tell(home([]), alert(), progress=said.append).messages == [] and len(said) == 1  # without any route nobody wants to be told


def test_a_failure_is_told_recorded_and_tried_again_and_costs_no_other_route(home, server: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_URL", server.url("other"))
    settings = home([{"name": n, "url_env": e, "kinds": ["idle_gpu"]} for n, e in (("first", "ALERT_URL"), ("second", "OTHER_URL"))])
    said: list[str] = []
    server.answers = [500]
    found = tell(settings, alert(), progress=said.append)
    assert [m.route for m in found.failed] == ["first"]
    assert said == [
        "alerts: delivery_failed to first: refused with HTTP status 500; 1 alert(s) are tried again the next time",
        "alerts: 1 told to second",
    ]
    assert ("delivery_failed", "first", "1 alert(s): refused with HTTP status 500") in events(settings)
    tell(settings, alert(), at=NOW + HOUR)
    assert [(path, post["title"]) for path, post in server.posts] == [("/other", "Apportion: 1 new"), ("/all", "Apportion: 1 new")]


def test_an_address_that_is_missing_or_none_is_named_by_its_variable(home, server: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = home()
    monkeypatch.delenv("ALERT_URL")
    assert [m.outcome.why for m in tell(settings, alert()).failed] == ["the environment variable ALERT_URL is not set"]
    monkeypatch.setenv("ALERT_URL", "nonsense-canary")
    assert [m.outcome.why for m in tell(settings, alert()).failed] == ["ALERT_URL holds not a URL that Apprise knows"]


def test_an_answer_that_does_not_come_may_have_arrived(home, server: Inbox) -> None:
    settings = home(timeout_seconds=0.3)
    server.pause = 1.5
    [failed] = tell(settings, alert()).failed
    assert failed.outcome.why == "no answer in time"
    server.pause = 0
    tell(home(), alert(), at=NOW + HOUR)
    assert server.posts[-1][1]["message"].startswith("(The last message may have arrived although that was not recorded")


KILLED = """
import datetime as dt, os, sys
from pathlib import Path
from pipelines.alerting.delivery import Observation, deliver
from pipelines.settings import Settings, SettingsFile
from tests.alerting.conftest import NOW, alert
values = {"alerts": {"routes": [{"name": "all", "url_env": "ALERT_URL", "default": True}]}}
deliver(Settings(SettingsFile.model_validate(values), Path(sys.argv[1]), None), Observation([alert()], {"release"}), now=NOW)
"""


def test_a_kill_between_sending_and_recording_tells_again_and_says_so(home, server: Inbox) -> None:
    settings = home()
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(settings.home)], cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}
    )
    server.on_post = lambda: (os.kill(child.pid, signal.SIGKILL), child.wait())
    assert child.wait(60) == -signal.SIGKILL
    server.on_post = None
    deadline = dt.datetime.now() + dt.timedelta(seconds=10)
    while not server.posts and dt.datetime.now() < deadline:
        pass
    assert len(server.posts) == 1
    tell(settings, alert(), at=NOW + HOUR)
    assert len(server.posts) == 2
    assert server.posts[1][1]["message"].startswith("(The last message may have arrived although that was not recorded")
    tell(settings, alert(), at=NOW + 2 * HOUR)
    assert len(server.posts) == 2


def test_many_alerts_are_one_message_that_counts_the_rest(home, server: Inbox) -> None:
    settings = home(most_told=3)
    alerts = [alert(f"p{n}", str(n)) for n in range(500)]
    tell(settings, *alerts)
    tell(settings, *alerts, at=NOW + HOUR)
    [(_, post)] = server.posts
    parts = post["message"].split("\n\n")
    assert [part.split(",")[1] for part in parts[:3]] == [" pool p499", " pool p498", " pool p497"]
    assert parts[3:] == ["and 497 more: apportion alert list"]


def test_names_do_nothing_in_a_chat(home, server: Inbox) -> None:
    hostile = "x\r\n<!channel> \x1b[31m @everyone <https://evil|click> {alert_key}"
    tell(home(link="https://bi.example.com/a?key={alert_key}&pool={subject}"), alert(hostile))
    [(_, post)] = server.posts
    assert len(post["message"].splitlines()) == 3
    for acting in ("<!channel", "@everyone", "<https", "\x1b", "\r"):
        assert acting not in post["message"]
    assert post["message"].splitlines()[2] == (
        f"https://bi.example.com/a?key={alert(hostile).alert_key}"
        "&pool=x%0D%0A%3C%21channel%3E%20%1B%5B31m%20%40everyone%20%3Chttps%3A%2F%2Fevil%7Cclick%3E%20%7Balert_key%7D"
    )


def test_a_snooze_is_silence_until_its_day(home, server: Inbox) -> None:
    settings = home()
    tell(settings, alert())
    key = alert().alert_key
    asked = listing.snooze(settings, key[:8], dt.date(2026, 10, 20), "migration", "ada", NOW)
    assert asked.alert_key == key
    for hours in (24, 24 * 5, 24 * 7 + 17):  # the last is the 19th, 23:30
        tell(settings, alert(amount="9000", severity="critical"), at=NOW + hours * HOUR)
    assert len(server.posts) == 1
    [entry] = listing.standing(settings, NOW + 24 * HOUR)
    assert (entry["snooze_reason"], entry["snoozed_until"][:10], entry["routes"]) == ("migration", "2026-10-20", ["all"])
    assert "snoozed until 2026-10-20: migration" in "\n".join(listing.standing_lines([entry]))
    tell(settings, alert(amount="9000"), at=NOW + (24 * 7 + 18) * HOUR)  # the 20th, 00:30
    assert [post["title"] for _, post in server.posts[1:]] == ["Apportion: 1 worse"]
    assert ("snoozed", None, "until 2026-10-20T00:00:00.000000+00:00 by ada: migration") in events(settings)


@pytest.mark.parametrize(("key", "until", "reason"), [("abc", 20, "r"), ("0123456789", 20, "r"), (None, 12, "r"), (None, 20, " ")])
def test_a_snooze_that_cannot_be_is_refused(home, key, until, reason) -> None:
    settings = home()
    tell(settings, alert())
    with pytest.raises(UsageError):
        listing.snooze(settings, key or alert().alert_key, dt.date(2026, 10, until), reason, None, NOW)


def test_a_dry_run_sends_and_remembers_nothing(home, server: Inbox) -> None:
    settings = home()
    tell(settings, alert("old"))
    before = (folder(settings) / FILE).read_bytes()
    found = tell(settings, alert("new"), at=NOW + 30 * HOUR, dry_run=True)
    assert [m.title for m in found.messages] == ["Apportion: 1 new, 1 resolved"]
    assert delivery.delivery_lines(found)[0] == "would be told to all: Apportion: 1 new, 1 resolved"
    assert len(server.posts) == 1
    assert (folder(settings) / FILE).read_bytes() == before


def test_no_secret_is_in_logs_state_or_errors(home, server: Inbox, monkeypatch, caplog: pytest.LogCaptureFixture, capfd) -> None:
    canary = "canary0c1f0e7d5b"
    urls = {
        "taken": server.url(canary),
        "refused": server.url(canary),
        "chat": server.url("x" + canary + "z" * 9, "mmost"),
        "closed": f"json://localhost:1/{canary}",  # nobody listens there
        "odd": f"{canary}://localhost/{canary}",
    }
    said: list[str] = []
    with caplog.at_level(logging.DEBUG):
        for name, url in urls.items():
            monkeypatch.setenv("ALERT_URL", url.replace("//localhost", f"//{canary}:{canary}@localhost"))
            server.answers = {"refused": [500], "chat": [403]}.get(name, [])
            found = tell(home(), alert(name), at=NOW + HOUR * len(said), progress=said.append)
            assert canary not in repr(found) + json.dumps(delivery.delivery_result(found), default=str)
    assert [line.partition(" to all")[0] for line in said] == ["alerts: 1 told"] + ["alerts: delivery_failed"] * 4
    assert [path for path, _ in server.posts] == [f"/{canary}"]
    assert canary not in "".join(said) + caplog.text + "".join(capfd.readouterr())
    settings = home()
    files = [path for path in settings.home.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {FILE, "alerts.duckdb"}
    assert [path for path in files if canary.encode() in path.read_bytes()] == []
    with caplog.at_level(logging.DEBUG):  # the check can fail: without the care that is taken, the log has the path
        requests.post(server.url(canary, "http"), json={}, timeout=5)
    assert canary in caplog.text


def test_bi_reads_what_stands_and_what_was_said(home, server: Inbox) -> None:
    settings = home()
    tell(settings, alert("gone"), alert("here", "7.000000000001"))
    tell(settings, alert("here", "7.000000000001"), at=NOW + 24 * HOUR)
    path = settings.published / "alerts.duckdb"
    assert path.stat().st_mode & 0o777 == 0o444
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("select subject, amount_usd, first_seen_at, last_seen_at, resolved_at from alerts order by 1").fetchall()
        said = connection.execute("select event, route, count(*) from alert_events group by all order by 1").fetchall()
    first, second = NOW.replace(tzinfo=None), NOW.replace(tzinfo=None) + 24 * HOUR
    assert rows == [("gone", Decimal("115.2"), first, first, second), ("here", Decimal("7.000000000001"), first, second, None)]
    assert said == [("ended", None, 1), ("raised", None, 2), ("told_new", "all", 2), ("told_resolved", "all", 1)]


def test_what_ended_long_ago_is_forgotten(home, server: Inbox) -> None:
    settings = home()
    tell(settings, alert("gone"))
    tell(settings, at=NOW + 24 * HOUR)
    tell(settings, at=NOW + dt.timedelta(days=500))
    assert events(settings) == []
    with sqlite3.connect(Path(folder(settings)) / FILE) as connection:
        assert connection.execute("select (select count(*) from alerts), (select count(*) from told)").fetchall() == [(0, 0)]
