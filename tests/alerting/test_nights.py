"""Nights that publish nothing, checks that warn, a release that grows old: told once, through the real ways of the command line and of Dagster."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipelines import nightly
from pipelines.alerting import watch
from pipelines.alerting.alert import key_of
from pipelines.alerting.state import FILE, folder
from pipelines.checks import CheckReport, CheckResult
from pipelines.dbt import NodeResult
from pipelines.doctor import examine
from pipelines.errors import ApportionError, GateError
from pipelines.lock import single_writer
from pipelines.settings import REPOSITORY, Settings, load_settings
from pipelines.source import Window
from tests.webhook import Inbox

DAY = dt.date(2026, 10, 12)
WINDOW = Window(DAY, DAY)


@pytest.fixture
def refused(tmp_path: Path, server: Inbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose inventory is no inventory: its nights end at their first stage."""
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "nodes.csv").write_text("nonsense\n1\n")
    (tmp_path / "apportion.yml").write_text(
        "sources:\n  - {name: inventory, kind: nodes, location: ./nodes}\n"
        "alerts:\n  routes:\n    - {name: ops, url_env: ALERT_URL, default: true}\n"
    )
    monkeypatch.setenv("ALERT_URL", server.url("ops"))
    monkeypatch.setenv("APPORTION_CONFIG", str(tmp_path / "apportion.yml"))
    monkeypatch.setenv("APPORTION_HOME", str(tmp_path / "home"))
    return load_settings()


def test_a_blocked_night_is_told_exactly_once_with_gate_place_and_remedy(refused: Settings, server: Inbox) -> None:
    said: list[str] = []
    for _ in range(2):
        with pytest.raises(GateError) as error:
            nightly.run(refused, WINDOW, said.append)
    [(path, post)] = server.posts
    assert (path, post["title"], post["type"]) == ("/ops", "Apportion: 1 new", "failure")
    assert post["message"].startswith(
        f"[critical] new: publication_blocked. The night of 2026-10-12 published nothing: {error.value.what}. Remedy: "
    )
    assert error.value.remedy in post["message"] and "Nothing has been published before." in post["message"]
    assert post["message"].endswith("apportion nightly --from 2026-10-12 --to 2026-10-12")
    assert [line for line in said if line.startswith("alerts")] == ["alerts: 1 told to ops"]


def test_the_command_line_tells_it_too_and_keeps_its_exit_code(refused: Settings, server: Inbox) -> None:
    command = [sys.executable, "-m", "pipelines.cli"]
    ran = subprocess.run(
        [*command, "nightly", "--date", "2026-10-12"], env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (3, "") and "alerts: 1 told to ops" in ran.stderr
    assert len(server.posts) == 1
    listed = subprocess.run(
        [*command, "alert", "list", "--json"], env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True
    )
    [entry] = json.loads(listed.stdout)["alerts"]
    assert (entry["alert_kind"], entry["routes"], list(entry["told"])) == ("publication_blocked", ["ops"], ["ops"])
    for arguments in (
        ["alert", "snooze", entry["alert_key"][:8], "--until", "2999-01-01", "--reason", "known"],
        ["alert", "--dry-run"],
        ["alert"],
    ):
        done = subprocess.run([*command, *arguments], env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "1 snoozed" in done.stdout and len(server.posts) == 1


def test_a_blocked_dagster_run_tells_it_by_itself(refused: Settings, server: Inbox) -> None:
    from pipelines.defs.resources import night

    @dg.op(required_resource_keys={"night"}, retry_policy=dg.RetryPolicy(max_retries=1))
    def land(context) -> None:
        context.resources.night.ingest("nodes", context.log.info)

    @dg.job(resource_defs={"night": night}, executor_def=dg.in_process_executor)
    def job() -> None:
        land()

    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, tags={"dagster/partition": "2026-10-12"}, raise_on_error=False)
    assert not result.success
    [(_, post)] = server.posts
    assert "publication_blocked. The night of 2026-10-12 published nothing" in post["message"]
    assert post["title"] == "Apportion: 1 new"


def test_a_dagster_step_that_a_retry_mended_is_not_told(refused: Settings, server: Inbox, tmp_path: Path) -> None:
    from pipelines.defs.resources import night

    attempts = []

    @dg.op(required_resource_keys={"night"}, retry_policy=dg.RetryPolicy(max_retries=1))
    def land(context) -> None:
        attempts.append(1)
        if len(attempts) == 2:
            (tmp_path / "nodes" / "nodes.csv").unlink()
        context.resources.night.ingest("nodes", context.log.info)

    @dg.job(resource_defs={"night": night}, executor_def=dg.in_process_executor)
    def job() -> None:
        land()

    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, tags={"dagster/partition": "2026-10-12"}).success
    assert len(attempts) == 2 and server.posts == []


def test_a_second_writer_is_told_as_a_night_that_did_not_happen(refused: Settings, server: Inbox) -> None:
    with single_writer(refused.home), pytest.raises(ApportionError):
        nightly.run(refused, WINDOW)
    [(_, post)] = server.posts
    assert "another process is writing" in post["message"]


def test_a_failing_alert_never_fails_the_night_nor_hides_its_error(refused: Settings, server: Inbox) -> None:
    folder(refused).mkdir(parents=True)
    (folder(refused) / FILE).write_bytes(b"this is no database, and long enough to be looked at as one" * 20)
    said: list[str] = []
    with pytest.raises(GateError):
        nightly.run(refused, WINDOW, said.append)
    assert said[-1] == "alerts: delivery_failed: DatabaseError"


def test_a_check_that_only_warns_is_told_and_ends_when_it_passes(refused: Settings, server: Inbox) -> None:
    night = nightly.Night(refused, WINDOW)
    night.release = object()  # published; what it is does not matter here
    failed = CheckResult("published.dim_node", "one row per node_key", "node_key", "warning", False, 2, ({"node_key": "a|b"},))
    passed = CheckResult("published.dim_node", "floating-point values are finite", None, "critical", True)
    night.exit = CheckReport("exit", (failed, passed), None)
    night.dbt_results = [
        NodeResult("test.apportion.law_x.abc", "test", "warn", "Got 3 results", 0.1),
        NodeResult("test.apportion.y", "test", "pass", "", 0.1),
    ]
    now = dt.datetime(2026, 10, 13, 6, tzinfo=dt.UTC)
    found = watch.after(night, None, lambda _: None, now)
    assert sorted((a.alert_kind, a.severity, a.subject) for a in found.standing) == [
        ("check_failed", "warning", "dbt: law_x"),
        ("check_failed", "warning", "published.dim_node: one row per node_key"),
    ]
    assert (
        'A check failed and did not block: published.dim_node: one row per node_key; 2 unexpected; for example {"node_key": "a|b"}.'
        in (server.posts[0][1]["message"])
    )
    night.exit = night.door = None
    watch.after(night, None, lambda _: None, now + dt.timedelta(days=1))
    assert server.posts[1][1]["title"] == "Apportion: 1 resolved"  # the law still warns, unchanged


def test_a_night_that_publishes_ends_what_blocked_the_one_before(refused: Settings, server: Inbox) -> None:
    night = nightly.Night(refused, WINDOW)
    now = dt.datetime(2026, 10, 13, 6, tzinfo=dt.UTC)
    watch.after(night, GateError("a law does not hold", where="law_x"), lambda _: None, now)
    night.release = object()
    watch.after(night, None, lambda _: None, now + dt.timedelta(days=1))
    assert [post["title"] for _, post in server.posts] == ["Apportion: 1 new", "Apportion: 1 resolved"]


def test_words_of_strangers_and_credentials_are_not_passed_on(refused: Settings, server: Inbox) -> None:
    night = nightly.Night(refused, WINDOW)
    now = dt.datetime(2026, 10, 13, 6, tzinfo=dt.UTC)
    watch.after(night, RuntimeError("password=hunter2"), lambda _: None, now)
    watch.after(night, ApportionError("no answer", where="https://ada:hunter2@prometheus:9090/x"), lambda _: None, now)
    text = "".join(post["message"] for _, post in server.posts)
    assert "RuntimeError" in text and "https://***@prometheus:9090/x" not in text and "hunter2" not in text


def released(settings: Settings, published_at: dt.datetime) -> None:
    """A release's marker, as publication leaves it."""
    release = settings.published / "releases" / "r"
    release.mkdir(parents=True)
    (release / "release.json").write_text(json.dumps({"release_id": "r1", "published_at": published_at.isoformat()}))
    (settings.published / "current").symlink_to(release)


def test_a_release_that_grows_old_is_told_by_the_clock(refused: Settings, server: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    published_at = dt.datetime(2026, 10, 12, 6, tzinfo=dt.UTC)
    released(refused, published_at)
    monkeypatch.setattr(watch, "release_alerts", lambda settings: [])  # this release has no file
    for hours in (35.9, 36, 40, 60):
        watch.look(refused, lambda _: None, now=published_at + dt.timedelta(hours=hours))
    # 36 h: new; 40 h: within the cool-down; 60 h: critical, and a day since it was told
    assert [post["title"] for _, post in server.posts] == ["Apportion: 1 new", "Apportion: 1 still there"]
    assert "No night has published for 36 hours (36 are allowed)" in server.posts[0][1]["message"]
    assert key_of("source_stale", None, "release", "current")[:12] in server.posts[0][1]["message"]


def test_settings_know_no_address_and_say_what_is_wrong_without_it(tmp_path: Path) -> None:
    for text, what in (
        ("{name: a, url_env: 'slack://secret-canary', default: true}", "pattern"),
        ("{name: a, url: 'slack://secret-canary', default: true}", "url"),
        ("{name: a, url_env: X}", "conditions"),
        ("{name: a, url_env: X, default: true, teams: [x]}", "conditions"),
        ("{name: a, url_env: X, default: true}, {name: b, url_env: X, default: true}", "one route at most"),
        ("{name: a, url_env: X, default: true}, {name: a, url_env: X, teams: [x]}", "unique"),
    ):
        path = tmp_path / "apportion.yml"
        path.write_text(f"alerts: {{routes: [{text}]}}")
        with pytest.raises(ApportionError) as error:
            load_settings(path, tmp_path)
        assert what in str(error.value) and "canary" not in str(error.value)


def test_the_doctor_sees_whether_a_route_has_its_address(refused: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def finding() -> tuple[bool, str]:
        [check] = [c for c in examine(refused)["checks"] if c["subject"] == "alerts route ops"]
        return check["ok"], check["finding"] + check["remedy"]

    assert finding() == (True, "$ALERT_URL")
    monkeypatch.delenv("ALERT_URL")
    assert finding() == (False, "$ALERT_URLset ALERT_URL to an Apprise URL")
