"""The definitions: they load with nothing set and nothing reachable, and hold exactly the assets that the files imply."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from pipelines.dagster_home import prepare_dagster_home
from pipelines.errors import UsageError
from pipelines.orchestration import dbt_manifest
from pipelines.orchestration.days import DAILY, window_of_tags
from pipelines.settings import REPOSITORY, load_settings
from pipelines.source import Window, source_kinds

MODELS = REPOSITORY / "dbt_project" / "models"
RELEASE = dg.AssetKey(["published", "release"])
LOAD = """
import json, resource, socket, sys
def refuse(*_):
    raise AssertionError("loading the definitions contacted something")
socket.socket.connect = socket.getaddrinfo = refuse
from pipelines.definitions import defs
graph = defs().get_repository_def().asset_graph
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "keys": sorted(key.to_user_string() for key in graph.executable_asset_keys),
    "unexecutable": sorted(key.to_user_string() for key in graph.unexecutable_asset_keys),
    "great_expectations": "great_expectations" in sys.modules,
    "cpu_seconds": used.ru_utime + used.ru_stime,
}))
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def bare_load(elsewhere: Path) -> list[dict]:
    """What a process without settings, environment and network loads: at the very first time, and again."""
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "HOME": str(elsewhere)}
    return [
        json.loads(subprocess.run([sys.executable, "-c", LOAD], cwd=elsewhere, env=bare, check=True, capture_output=True, text=True).stdout)
        for _ in range(2)
    ]


@pytest.fixture(scope="module")
def loaded(elsewhere: Path, bare_load: list[dict]) -> dg.Definitions:
    """The definitions of the home that ``bare_load`` made: dbt has read the project there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPORTION_HOME", str(elsewhere / "data"))
        from pipelines.definitions import defs

        return defs()


def keys_implied_by_files() -> set[str]:
    """Every asset, worked out without Dagster and without the manifest: raw tables, planned relations, models, seeds, the release."""
    keys = {f"{kind}/{table.name}" for kind, source in source_kinds().items() for table in source.tables}
    for source in yaml.safe_load((MODELS / "staging" / "_sources.yml").read_text())["sources"]:
        keys |= {f"{source['name']}/{table['name']}" for table in source["tables"]}
    schemas = {"staging": "staging", "intermediate": "intermediate", "marts": "published"}
    keys |= {f"{schemas[path.relative_to(MODELS).parts[0]]}/{path.stem}" for path in MODELS.rglob("*.sql")}
    keys |= {f"staging/{path.stem}" for path in (REPOSITORY / "dbt_project" / "seeds").glob("*.csv")}
    return keys | {"published/release"}


def test_they_load_with_nothing_set_and_nothing_reachable(bare_load: list[dict]) -> None:
    first, again = bare_load
    assert set(first["keys"]) == set(again["keys"]) == keys_implied_by_files()
    assert first["unexecutable"] == []  # every dbt source is an asset that something here materialises: names join, no translator
    assert not first["great_expectations"]
    assert not again["great_expectations"]
    assert again["cpu_seconds"] < 10


def test_every_asset_says_whose_it_is_and_what_it_is(loaded: dg.Definitions) -> None:
    graph = loaded.get_repository_def().asset_graph
    groups: dict[str, set[str]] = {}
    for key in graph.executable_asset_keys:
        node = graph.get(key)
        assert node.description, key
        assert node.kinds, key
        assert node.owners, key
        assert node.partitions_def == DAILY, key
        assert node.backfill_policy == dg.BackfillPolicy.single_run(), key
        groups.setdefault(node.group_name, set()).add(key.to_user_string())
    assert groups.keys() == {"raw", "plan", "staging", "intermediate", "published"}
    assert groups["raw"] == {f"{kind}/{table.name}" for kind, source in source_kinds().items() for table in source.tables}
    assert all(key.startswith("published/") for key in groups["published"])


def test_raw_assets_show_their_declared_columns(loaded: dg.Definitions) -> None:
    graph = loaded.get_repository_def().asset_graph
    for kind, source in source_kinds().items():
        for table in source.tables:
            shown = graph.get(dg.AssetKey([kind, table.name])).metadata["dagster/column_schema"].columns
            assert [(c.name, c.type, c.description) for c in shown] == [(c.name, c.type.lower(), c.description) for c in table.columns]


def test_lineage_runs_from_the_raw_tables_to_the_release(loaded: dg.Definitions) -> None:
    graph = loaded.get_repository_def().asset_graph
    key = dg.AssetKey.from_user_string
    assert graph.get(key("staging/base_aws_cur__line_items")).parent_keys == {key("aws_cur/line_items")}
    assert key("ops/dirty_days") in graph.get(key("intermediate/int_days")).parent_keys
    assert graph.get(key("ops/dirty_days")).parent_keys == {key(k) for k in keys_implied_by_files() if k.split("/")[0] in source_kinds()}
    assert graph.get(RELEASE).parent_keys == {key(f"published/{path.stem}") for path in (MODELS / "marts").rglob("*.sql")}


def test_both_gates_block_and_every_law_is_shown(loaded: dg.Definitions) -> None:
    graph = loaded.get_repository_def().asset_graph
    specs = {check: graph.get_check_spec(check) for check in graph.asset_check_keys}
    blocking = {(check.asset_key.to_user_string(), check.name) for check, spec in specs.items() if spec.blocking}
    assert ("ops/deliveries", "door") in blocking
    assert {("published/" + path.stem, "exit") for path in (MODELS / "marts").rglob("*.sql")} <= blocking
    assert {(f"{kind}/{t.name}", "door") for kind, source in source_kinds().items() for t in source.tables} <= {
        (check.asset_key.to_user_string(), check.name) for check in specs
    }
    laws = {path.stem for path in (REPOSITORY / "dbt_project" / "tests").glob("*.sql")}
    assert laws
    assert laws <= {check.name for check in specs}


def test_the_release_has_a_freshness_policy(loaded: dg.Definitions) -> None:
    policy = loaded.get_repository_def().asset_graph.get(RELEASE).freshness_policy
    assert policy.fail_window.to_timedelta() == dt.timedelta(hours=36)
    assert policy.warn_window.to_timedelta() == dt.timedelta(hours=26)


@pytest.mark.parametrize(
    ("tick", "partition"),
    [
        ("2026-03-29T06:00", "2026-03-28"),
        ("2026-10-26T06:00", "2026-10-25"),
        ("2028-03-01T06:00", "2028-02-29"),
        ("2027-01-01T06:00", "2026-12-31"),
    ],
)
def test_the_schedule_asks_for_yesterday_in_utc(loaded: dg.Definitions, tick: str, partition: str) -> None:
    schedule = loaded.resolve_schedule_def("nightly_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone, schedule.job_name) == ("0 6 * * *", "UTC", "nightly")
    when = dt.datetime.fromisoformat(tick).replace(tzinfo=dt.UTC)
    with dg.build_schedule_context(scheduled_execution_time=when, repository_def=loaded.get_repository_def()) as context:
        requests = schedule.evaluate_tick(context).run_requests
    assert [request.partition_key for request in requests] == [partition]


def test_partitions_are_utc_days_of_24_hours_and_never_today() -> None:
    now = dt.datetime(2026, 10, 27, 12, tzinfo=dt.UTC)
    days = DAILY.get_partition_keys(current_time=now)
    assert (days[0], days[-1]) == ("2026-01-01", "2026-10-26")
    for day in ("2026-03-29", "2026-10-25", "2026-11-01"):  # when Europe's and America's clocks change
        window = DAILY.time_window_for_partition_key(day)
        assert (window.start.isoformat(), window.end - window.start) == (f"{day}T00:00:00+00:00", dt.timedelta(days=1))


def test_a_run_that_died_begins_anew_and_one_that_was_refused_does_not(loaded: dg.Definitions) -> None:
    job = loaded.resolve_job_def("nightly")
    assert job.executor_def.name == "in_process"
    assert job.tags["dagster/max_retries"] == "2"
    assert job.tags["dagster/retry_strategy"] == "ALL_STEPS"
    assert job.tags["dagster/retry_on_asset_or_op_failure"] == "false"


HOSTILE_KEYS = [
    "2026-01-05'; drop table ops.dirty_days; --", '2026-01-05"', "2026-01-05\n", " 2026-01-05", "2026-1-5", "20260105", "2026-02-30", "2026-W01-1",
    "２０２６-01-05", "2026-01-05T00:00", "{{ env_var('HOME') }}", "../2026-01-05", "2026-01-05...2026-01-07", "\u202e2026-01-05", "", "2026-01-05\0",
]  # fmt: skip


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_a_partition_key_is_a_day_and_nothing_else(key: str) -> None:
    with pytest.raises(UsageError, match="is not a UTC day"):
        window_of_tags({"dagster/partition": key})
    with pytest.raises(UsageError, match="is not a UTC day"):
        window_of_tags({"dagster/asset_partition_range_start": "2026-01-05", "dagster/asset_partition_range_end": key})


def test_the_window_of_a_run() -> None:
    assert window_of_tags({"dagster/partition": "2026-01-05"}) == Window(dt.date(2026, 1, 5), dt.date(2026, 1, 5))
    both = {"dagster/asset_partition_range_start": "2026-01-05", "dagster/asset_partition_range_end": "2026-01-07"}
    assert window_of_tags(both) == Window(dt.date(2026, 1, 5), dt.date(2026, 1, 7))
    with pytest.raises(UsageError, match="names no day"):
        window_of_tags({})
    with pytest.raises(UsageError, match="after its end"):
        window_of_tags({"dagster/asset_partition_range_start": "2026-01-07", "dagster/asset_partition_range_end": "2026-01-05"})


def test_a_changed_dbt_project_has_a_manifest_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(home=tmp_path)
    invoked = []

    def parse(_: object, arguments: list[str]) -> None:
        invoked.append(arguments[0])
        (Path(arguments[2]) / "manifest.json").write_text("{}")

    monkeypatch.setattr(dbt_manifest.dbt, "invoke", parse)  # dbt itself: its parsing is proved by every other test here
    monkeypatch.setattr(dbt_manifest.planning, "code_digest", lambda: "a" * 64)
    old = dbt_manifest.manifest_path(settings)
    assert dbt_manifest.manifest_path(settings) == old
    assert invoked == ["parse"]
    monkeypatch.setattr(dbt_manifest.planning, "code_digest", lambda: "b" * 64)
    new = dbt_manifest.manifest_path(settings)
    assert invoked == ["parse", "parse"]
    assert [path.name for path in new.parent.parent.iterdir()] == ["b" * 16]


def test_the_dagster_home_keeps_quiet_and_survives_a_kill(tmp_path: Path) -> None:
    home = prepare_dagster_home(load_settings(home=tmp_path))
    assert home == tmp_path / "dagster"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_settings("telemetry") == {"enabled": False}
        assert instance.run_monitoring_enabled
        assert instance.get_settings("run_monitoring")["free_slots_after_run_end_seconds"] == 60
        assert instance.run_monitoring_max_runtime_seconds == 12 * 3600
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert instance.freshness_enabled


def test_the_workspace_names_the_code_location_as_dg_does() -> None:
    import tomllib

    [location] = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())["load_from"]
    module = location["python_module"]
    assert (module["module_name"], module["working_directory"]) == ("pipelines.definitions", ".")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert (project["root_module"], project["code_location_name"]) == ("pipelines", module["location_name"])
