"""The nightly job over the demo company: one day after a killed run, a range in one run, a refusal, a second writer.

One home lives through all of it, in this order, as a deployment's does. Nothing is replaced: real files, dbt, gates and publication.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines import nightly
from pipelines.dagster_home import prepare_dagster_home
from pipelines.demo import generate
from pipelines.landing import Landing
from pipelines.lock import lock_holder
from pipelines.publish import current_release
from pipelines.settings import REPOSITORY, Settings, load_settings
from tests.webhook import Inbox, inbox

pytestmark = pytest.mark.slow
FIRST, SECOND, THIRD = "2026-01-05", "2026-01-06", "2026-01-07"
RELEASE = dg.AssetKey(["published", "release"])
CANARY = "canary-8c1f0e7d5b"
RUN_ALONE = """
import sys, dagster as dg
from pipelines.definitions import defs
with dg.DagsterInstance.get() as instance:
    defs().resolve_job_def("nightly").execute_in_process(instance=instance, partition_key=sys.argv[1])
"""


@dataclass
class Deployment:
    settings: Settings
    demo: Path
    instance: dg.DagsterInstance
    job: dg.JobDefinition
    told: Inbox

    def run(self, *days: str) -> dg.ExecuteInProcessResult:
        """Materialise everything for one day, or for a range."""
        if len(days) == 1:
            return self.job.execute_in_process(instance=self.instance, partition_key=days[0], raise_on_error=False)
        ends = {"dagster/asset_partition_range_start": days[0], "dagster/asset_partition_range_end": days[1]}
        return self.job.execute_in_process(instance=self.instance, tags=ends, raise_on_error=False)

    def bill_of(self, day: str) -> Path:
        """The demo company's Google bill that was exported on ``day``."""
        return self.demo / "gcp" / f"gcp_billing_export_resource_v1-{day}.jsonl"

    def dollars(self, day: str) -> dict[str, Decimal]:
        """A day's dollars as BI reads them from the published file."""
        with duckdb.connect(str(self.settings.published / "apportion.duckdb"), read_only=True) as connection:
            billed, effective, lost = connection.execute(
                "select sum(billed_cost), sum(effective_cost),"
                " coalesce(sum(effective_cost) filter (cost_class in ('unattributed', 'unknown', 'quarantined')), 0)"
                " from fct_cost_allocation where usage_date = ?",
                [day],
            ).fetchone()
            [delivered] = connection.execute("select sum(effective_cost) from fct_charge_bucket where usage_date = ?", [day]).fetchone()
        return {"billed_usd": billed, "attributed_usd": effective - lost, "unattributed_usd": lost, "residual_usd": delivered - effective}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    base = tmp_path_factory.mktemp("deployment")
    generate(base / "demo", days=3, first_day=dt.date.fromisoformat(FIRST))
    with (base / "demo" / "apportion.yml").open("a", encoding="utf-8") as file:
        file.write("\nalerts: {routes: [{name: ops, url_env: ALERT_URL, default: true}], most_told: 1000}\n")
    with pytest.MonkeyPatch.context() as patch, inbox() as told_to:
        patch.setenv("ALERT_URL", told_to.url(CANARY))
        patch.setenv("APPORTION_CONFIG", str(base / "demo" / "apportion.yml"))
        patch.setenv("APPORTION_HOME", str(base / "home"))
        patch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
        settings = load_settings()
        patch.setenv("DAGSTER_HOME", str(prepare_dagster_home(settings)))
        from pipelines.definitions import defs

        with dg.DagsterInstance.get() as instance:
            yield Deployment(settings, base / "demo", instance, defs().resolve_job_def("nightly"), told_to)


@pytest.fixture(scope="module")
def first_night(deployment: Deployment) -> dg.ExecuteInProcessResult:
    """One day, run right after a run of the same day was killed in the middle of its work."""
    command = [sys.executable, "-c", RUN_ALONE, FIRST]
    killed = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while not deployment.settings.warehouse.exists():  # planning has begun
        assert killed.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert lock_holder(deployment.settings.home)["pid"] == killed.pid
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert current_release(deployment.settings) is None
    [left] = deployment.instance.get_runs()
    assert left.status == dg.DagsterRunStatus.STARTED  # for Dagster it runs still: nobody was there to say otherwise
    return deployment.run(FIRST)


@pytest.fixture(scope="module")
def range_night(deployment: Deployment, first_night: dg.ExecuteInProcessResult) -> dg.ExecuteInProcessResult:
    """Two days more, in one run; meanwhile the bill has got one row more for the first day."""
    assert first_night.success
    path = deployment.bill_of(FIRST)
    rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    added = json.loads(rows[0])
    added |= {"cost": 12.5, "credits": []}
    path.write_text("".join([*rows, json.dumps(added) + "\n"]), encoding="utf-8")
    return deployment.run(SECOND, THIRD)


@pytest.fixture(scope="module")
def refused_night(deployment: Deployment, range_night: dg.ExecuteInProcessResult) -> dg.ExecuteInProcessResult:
    """A day of the bill comes again, with one row in another currency than the policy's."""
    assert range_night.success
    path = deployment.bill_of(THIRD)
    bill = path.read_text(encoding="utf-8")
    assert '"currency":"USD"' in bill
    path.write_text(bill.replace('"currency":"USD"', '"currency":"EUR"', 1), encoding="utf-8")
    return deployment.run(THIRD)


def told(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, dict]:
    """Metadata of an asset's materializations in a run, by partition."""
    found = [e.event_specific_data.materialization for e in result.all_events if e.event_type_value == "ASSET_MATERIALIZATION"]
    return {m.partition: {name: value.value for name, value in m.metadata.items()} for m in found if m.asset_key == key}


def checked(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], tuple[bool, str]]:
    """(asset, check) -> (passed, severity)."""
    return {(e.asset_key.to_user_string(), e.check_name): (e.passed, e.severity.value) for e in result.get_asset_check_evaluations()}


def test_a_killed_run_keeps_nothing_from_the_next_one(first_night: dg.ExecuteInProcessResult) -> None:
    assert first_night.success
    assert not first_night.filter_events(lambda event: event.is_step_restarted or event.is_step_up_for_retry)


def test_the_release_tells_its_dollars_as_they_are_published(deployment: Deployment, first_night: dg.ExecuteInProcessResult) -> None:
    release = told(first_night, RELEASE)
    assert release.keys() == {FIRST}
    published = deployment.dollars(FIRST)
    assert published["billed_usd"] > 1000  # the demo company bills thousands a day: the comparison below is not of nothing
    assert published["unattributed_usd"] > 0
    assert published["residual_usd"] == 0
    assert {name: release[FIRST][name] for name in published} == {name: float(amount) for name, amount in published.items()}
    assert release[FIRST]["computed_days"] == release[FIRST]["published_days"] == 1
    release_id = release[FIRST]["release_id"]
    assert current_release(deployment.settings)["release_id"] == release_id
    assert Path(release[FIRST]["path"]) == (deployment.settings.published / "current").resolve()


def test_raw_assets_tell_the_rows_that_were_landed(deployment: Deployment, first_night: dg.ExecuteInProcessResult) -> None:
    landing = Landing(deployment.settings.raw)
    # deliveries that begin by the first day touch it: the bill of the month, telemetry of that day
    [bill] = landing.chosen("aws")
    [bill_day] = told(first_night, dg.AssetKey(["aws_cur", "line_items"])).values()
    assert bill_day["dagster/row_count"] == sum(pq.read_metadata(file.path).num_rows for file in bill.files) > 0
    assert (bill_day["sources"], bill_day["deliveries"], bill_day["rejected_rows"]) == ("aws", 1, 0)
    [unused] = told(first_night, dg.AssetKey(["mlflow", "runs"])).values()
    assert unused == {
        "sources": "none is configured: no rows",
        "deliveries": 0,
        "rejected_rows": 0,
        "dagster/row_count": 0,
        "deliveries_of_the_day": 0,
    }


def test_every_asset_is_materialised_and_every_check_that_has_something_to_check_passes(
    deployment: Deployment, first_night: dg.ExecuteInProcessResult
) -> None:
    graph = deployment.job.asset_layer.asset_graph
    materialised = {e.asset_key for e in first_night.all_events if e.event_type_value == "ASSET_MATERIALIZATION"}
    assert materialised == set(graph.executable_asset_keys)
    results = checked(first_night)
    unchecked = {(c.asset_key.to_user_string(), c.name) for c in graph.asset_check_keys} - results.keys()
    assert unchecked == {
        (f"{table}", "door")
        for table in (
            "carbon_factors/factors",
            "currency_rates/rates",
            "focus/rows",
            "kubernetes/nodes",
            "kubernetes/owners",
            "kubernetes/pods",
            "mlflow/runs",
            "openai_usage/results",
            "rate_card/rates",
        )
    }  # nothing was landed for it: an empty check would prove nothing
    assert {key for key, (passed, severity) in results.items() if not passed and severity == "ERROR"} == set()


def test_the_alerts_of_the_release_and_the_checks_that_warn_are_told_in_one_message(
    deployment: Deployment, first_night: dg.ExecuteInProcessResult
) -> None:
    with duckdb.connect(str(deployment.settings.published / "apportion.duckdb"), read_only=True) as connection:
        of_release = connection.execute("select alert_kind, message from fct_alert").fetchall()
    warned = {key for key, (passed, severity) in checked(first_night).items() if not passed and severity == "WARN"}
    posts = deployment.told.posts[:1]
    text = posts[0][1]["message"] if posts else ""
    assert bool(posts) == bool(of_release or warned)
    assert text.count("new: ") == len(of_release) + text.count("new: check_failed")
    assert [message for _, message in of_release if message not in text] == []
    assert bool(warned) == ("new: check_failed" in text)


def test_models_tell_their_rows(deployment: Deployment, first_night: dg.ExecuteInProcessResult) -> None:
    [run_cost] = told(first_night, dg.AssetKey(["published", "fct_run_cost"])).values()
    assert run_cost["dagster/row_count"] > 0
    [days] = told(first_night, dg.AssetKey(["published", "dim_date"])).values()
    assert days["dagster/row_count"] == 1


def test_a_range_is_one_run_and_one_night(
    deployment: Deployment, first_night: dg.ExecuteInProcessResult, range_night: dg.ExecuteInProcessResult
) -> None:
    assert range_night.success
    release = told(range_night, RELEASE)
    assert release.keys() == {FIRST, SECOND, THIRD}  # the restated day is told again, although the run did not ask for it
    assert release[FIRST]["billed_usd"] == pytest.approx(told(first_night, RELEASE)[FIRST]["billed_usd"] + 12.5)
    assert release[SECOND]["computed_days"] == 3
    assert len({told_day["release_id"] for told_day in release.values()}) == 1
    assert release[SECOND]["release_id"] == current_release(deployment.settings)["release_id"]
    assert release[SECOND]["published_days"] == 3
    for day in release:
        published = deployment.dollars(day)
        assert {name: release[day][name] for name in published} == {name: float(amount) for name, amount in published.items()}
    assert release[SECOND]["billed_usd"] != release[THIRD]["billed_usd"]
    invocations = [e for e in range_night.all_events if e.event_type_value == "STEP_SUCCESS" and e.step_key == "transform"]
    assert len(invocations) == 1


def test_a_refusal_fails_the_run_once_and_publishes_nothing(
    deployment: Deployment, range_night: dg.ExecuteInProcessResult, refused_night: dg.ExecuteInProcessResult
) -> None:
    stands = told(range_night, RELEASE)[THIRD]["release_id"]
    run = deployment.instance.get_run_by_id(refused_night.run_id)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert run.tags["dagster/will_retry"] == "false"
    results = checked(refused_night)
    assert results[("gcp_billing/rows", "door")] == (False, "ERROR")
    assert results[("ops/deliveries", "door")] == (False, "ERROR")
    assert results[("aws_cur/line_items", "door")] == (True, "ERROR")
    [failure] = [e for e in refused_night.all_events if e.event_type_value == "STEP_FAILURE"]
    assert failure.step_key == "check_door"
    assert (
        "the currency has a rate to US dollars (USD); add a source of kind currency_rates; 1 unexpected"
        in failure.event_specific_data.user_failure_data.description
    )
    assert not [e for e in refused_night.all_events if e.event_type_value in ("STEP_UP_FOR_RETRY", "STEP_RESTARTED")]
    assert told(refused_night, RELEASE) == {}
    assert not [e for e in refused_night.all_events if e.event_type_value == "STEP_START" and e.step_key == "transform"]
    assert current_release(deployment.settings)["release_id"] == stands
    # exactly one message says so: the gate, the table, the expectation, and what stands
    blocked = [post["message"] for _, post in deployment.told.posts if "publication_blocked" in post["message"]]
    [message] = blocked
    assert message.startswith(
        f"[critical] new: publication_blocked. The night of {THIRD} published nothing: the gate at the door refused: raw.gcp_billing__rows"
    )
    assert "the currency has a rate to US dollars (USD); add a source of kind currency_rates; 1 unexpected" in message
    assert f"Release {stands} stands." in message


def test_a_run_beside_another_writer_fails_and_says_who_writes(deployment: Deployment, refused_night: dg.ExecuteInProcessResult) -> None:
    with nightly.writer(deployment.settings):
        result = deployment.run(FIRST)
    assert not result.success
    told_why = json.dumps(
        [e.event_specific_data.error.to_string() for e in result.all_events if getattr(e.event_specific_data, "error", None)]
    )
    assert "another process is writing" in told_why
    assert f"pid {os.getpid()}" in told_why
    assert not [e for e in result.all_events if e.event_type_value == "STEP_START"]


def test_no_secret_is_written_anywhere(deployment: Deployment, refused_night: dg.ExecuteInProcessResult) -> None:
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == CANARY
    files = [path for path in deployment.settings.home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any("dagster" in path.parts and path.suffix == ".db" for path in files)
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
