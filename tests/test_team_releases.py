"""Team releases: what is not a team's is not in its file, whatever the names are, and they change with the release or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb
import pytest

from pipelines import team_releases
from pipelines.errors import ApportionError, GateError
from pipelines.publish import publish
from pipelines.reference import MARTS
from pipelines.release import Release, current, load
from pipelines.settings import Settings, SettingsFile
from pipelines.team_releases import team_folder
from pipelines.team_scope import LEFT_OUT, SCOPES, Scope
from tests import fake_warehouse
from tests.fake_warehouse import DAYS, IDENTITY, TABLES

A, B = "nlp-team", "zz-vision"
TEXT_OF_B = "zz-vision"  # stands in every text that is B's own: its name, its runs, its models


def settings_for(home: Path, teams: list[str] | str) -> Settings:
    return Settings(SettingsFile.model_validate({"publish": {"team_releases": teams}, "engine": {"threads": 1}}), home, None)


def fill(settings: Settings, a: str = A, b: str = B) -> None:
    """The hand-made warehouse with rows of two teams in every table that has teams, dollars of theirs beside nobody's."""
    with duckdb.connect(str(settings.warehouse)) as connection:
        for team, text in ((a, "own"), (b, TEXT_OF_B)):
            run = f"training_run/{text}"
            connection.execute("insert into published.dim_workload values (?, ?, ?, null)", [run, text, team])
            connection.execute("insert into published.dim_workload values (?, ?, ?, null)", [f"endpoint/{text}", text, team])
            connection.execute(
                "insert into published.fct_run_cost (workload_key, run_id, activity_ratio, run_cost_usd, team) values (?, ?, 0.5, 1, ?)",
                [run, text, team],
            )
            connection.execute("insert into published.fct_run_attempt_cost values (?, ?, 0.5, 1)", [run, f"{text}@1"])
            connection.execute("insert into published.dim_node values (?, ?, 8, null, null, ?)", [f"{text}|i", text, team])
            connection.execute("insert into published.fct_idle_gpu values (?, 'held_idle', null, 1, ?)", [f"{text}|0", team])
            for dimension, member in (("team", team), ("model", f"model of {text}")):
                connection.execute("insert into published.dim_showback_member values (?, ?, 'value', 0)", [dimension, member])
            connection.execute(
                "insert into published.fct_showback values ('2026-10-01', 'team', ?, ?, 'production', 'own', 'used', 1, null, 0, 0)",
                [team, f"model of {text}"],
            )
            for day in DAYS:
                connection.execute(
                    "insert into published.fct_idle_cost (usage_date, node, owner_team, cost_usd) values (?, ?, ?, 1)", [day, text, team]
                )
                connection.execute("insert into published.fct_method_sensitivity values (?, ?, ?, 'gpu_only', 1)", [day, team, run])
                connection.execute(
                    "insert into published.fct_inference_unit_cost (usage_date, endpoint, requests_ok) values (?, ?, 7)", [day, text]
                )
                connection.execute(
                    "insert into published.fct_cost_daily (usage_date, stage, source, team, owner_team, model, cost_usd, billed_cost_usd, allocation_count)"
                    " values (?, 'allocated', 'aws', ?, ?, ?, 0, 0, 1)",
                    [day, team, team, f"model of {text}"],
                )
        connection.execute("insert into published.dim_showback_member values ('team', '(idle)', 'nobody', 0)")
        # a model that only nobody's dollars have, and that B's people named
        connection.execute("update published.fct_showback set model = ? where team_kind = 'nobody'", [f"{TEXT_OF_B} model"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Release]:
    settings = settings_for(tmp_path_factory.mktemp("teams"), "all")
    fake_warehouse.build(settings)
    fill(settings)
    return settings, publish(settings, set(DAYS), identity=IDENTITY)


def texts(path: Path) -> dict[str, int]:
    """Rows per table, and a row ``table.column`` for each text that names B."""
    found: dict[str, int] = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = connection.execute("select table_name, column_name from duckdb_columns() where not internal order by all").fetchall()
        for table, column in columns:
            query = f'select count(*), count(*) filter (where contains(cast("{column}" as varchar), ?)) from "{table}"'  # noqa: S608
            found[table], naming = connection.execute(query, [TEXT_OF_B]).fetchone()
            if naming:
                found[f"{table}.{column}"] = naming
    return found


def test_a_teams_file_has_its_rows_and_no_word_of_another_team(shared) -> None:
    settings, _ = shared
    ours = texts(settings.published / "teams" / A / "apportion.duckdb")
    assert [name for name in ours if "." in name] == []
    # its runs, endpoints and days; of showback its own row and nobody's three classes; of the members its own two and (idle)
    assert ours == {
        "dim_date": 3, "dim_metric": 0, "dim_node": 1, "dim_showback_member": 3, "dim_workload": 2, "fct_cost_allocation": 0, "fct_cost_daily": 3,
        "fct_alert": 0, "fct_lever": 0, "fct_model_version_cost": 0, "fct_model_version_run": 0, "fct_retrain_cadence": 0,
        "fct_idle_cost": 3, "fct_idle_gpu": 1, "fct_inference_unit_cost": 3, "fct_inference_unit_cost_hourly": 0, "fct_method_sensitivity": 3,
        "fct_run_attempt_cost": 1, "fct_run_cost": 1, "fct_showback": 4, "meta_publication": 1,
    }  # fmt: skip
    theirs = texts(settings.published / "teams" / B / "apportion.duckdb")
    assert theirs["fct_run_cost"] == theirs["fct_run_cost.team"] == 1  # the search does find what is there
    for path in (settings.published / "teams" / A).rglob("*.parquet"):
        relation = duckdb.connect().execute("select * from read_parquet(?)", [str(path)])
        assert TEXT_OF_B not in str(relation.fetchall()), path
    for path in (settings.published / "teams" / A).glob("*.json"):
        assert TEXT_OF_B not in path.read_text()


def test_nobodys_dollars_are_summed_without_models(shared) -> None:
    settings, release = shared
    query = "select team, model, environment, cost_class, cost_usd from fct_showback where team_kind = 'nobody' order by cost_class"
    with duckdb.connect(str(settings.published / "teams" / A / "apportion.duckdb"), read_only=True) as connection:
        told = [(*row[:4], str(row[4])) for row in connection.execute(query).fetchall()]
        # 3 days of -1.5, 6.666666666667 and 3.333333333334
        assert told == [
            ("(unallocated)", "(all)", "(all)", "credit", "-4.500000000000"),
            ("(unallocated)", "(all)", "(all)", "unallocated_idle", "20.000000000001"),
            ("(unallocated)", "(all)", "(all)", "used", "10.000000000002"),
        ]
        meta = connection.execute("select release_id, source, delivered_cost, billed_cost_usd, deliveries from meta_publication").fetchall()
        assert meta == [(release.release_id, "(all)", None, None, None)]


def test_modes_and_the_one_link(shared) -> None:
    settings, release = shared
    assert os.readlink(settings.published / "teams") == "current/teams"
    assert release.teams == (A, B)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in (release.folder / "teams").rglob("*")}
    assert modes == {(True, 0o555), (False, 0o444)}


def test_clean_days_are_linked_and_a_changed_day_is_written(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, [A, B])
    fake_warehouse.build(settings)
    fill(settings)
    first = publish(settings, set(DAYS), identity=IDENTITY)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("update published.fct_idle_cost set node = 'other' where usage_date = ? and owner_team = ?", [DAYS[2], A])
    second = publish(settings, {DAYS[2]}, identity=IDENTITY)
    assert second.release_id != first.release_id

    def inode(release: Release, team: str, name: str) -> int:
        return (release.folder / "teams" / team / "parquet" / name).stat().st_ino

    for day in DAYS:
        name = f"fct_idle_cost/{day}.parquet"
        assert (inode(first, A, name) == inode(second, A, name)) == (day != DAYS[2])
        assert inode(first, A, f"fct_cost_daily/{day}.parquet") == inode(second, A, f"fct_cost_daily/{day}.parquet")
    with duckdb.connect(str(settings.published / "teams" / A / "apportion.duckdb"), read_only=True) as connection:
        assert connection.execute("select node, count(*) from fct_idle_cost group by 1 order by 1").fetchall() == [("other", 1), ("own", 2)]
    # an endpoint that changes hands changes the old days too: its keys are part of the rule
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("update published.dim_workload set team = ? where workload_key = 'endpoint/own'", [B])
    publish(settings, {DAYS[2]}, identity=IDENTITY)
    for team, days in ((A, 0), (B, 6)):
        with duckdb.connect(str(settings.published / "teams" / team / "apportion.duckdb"), read_only=True) as connection:
            assert connection.execute("select count(*) from fct_inference_unit_cost").fetchone() == (days,)


def test_the_same_rows_give_the_same_bytes_however_they_came(tmp_path: Path) -> None:
    digests = []
    for home, at_once in ((tmp_path / "a", True), (tmp_path / "b", False)):
        settings = settings_for(home, "all")
        fake_warehouse.build(settings)
        fill(settings)
        for days in [set(DAYS)] if at_once else [set(DAYS), {DAYS[1]}]:
            release = publish(settings, days, identity=IDENTITY)
        own = load(release.folder / "teams" / A)
        assert own is not None
        digests.append([(file.table, file.name, file.sha256) for file in own.files])
    assert digests[0] == digests[1]


def test_other_teams_in_the_settings_are_published_although_no_figure_changed(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, [])
    fake_warehouse.build(settings)
    fill(settings)
    first = publish(settings, set(DAYS), identity=IDENTITY)
    assert not (settings.published / "teams").exists() and not (first.folder / "teams").exists()
    with_teams = settings_for(tmp_path, [A, "nobody-knows-it"])
    second = publish(with_teams, set(), identity=IDENTITY)
    assert second.release_id == first.release_id and second.is_new
    assert sorted(path.name for path in (settings.published / "teams").iterdir()) == [A, "nobody-knows-it"]
    with duckdb.connect(str(settings.published / "teams" / "nobody-knows-it" / "apportion.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from fct_run_cost").fetchone() == (0,)
    assert not publish(with_teams, set(), identity=IDENTITY).is_new  # and then nothing changes any more
    publish(settings, set(), identity=IDENTITY)
    assert not os.path.lexists(settings.published / "teams")


@pytest.mark.parametrize("kind", ["rows of another team", "a broken rule"])
def test_a_failing_team_release_leaves_yesterdays_standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    settings = settings_for(tmp_path, [A, B])
    fake_warehouse.build(settings)
    fill(settings)
    first = publish(settings, set(DAYS), identity=IDENTITY)
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute("update published.fct_idle_cost set node = 'other' where usage_date = ?", [DAYS[2]])
    rule = Scope("true") if kind == "rows of another team" else Scope("no_such_column = 1")
    monkeypatch.setitem(SCOPES, "fct_idle_cost", rule)
    with pytest.raises(GateError if kind == "rows of another team" else duckdb.Error, match="rows of others|no_such_column"):
        publish(settings, {DAYS[2]}, identity=IDENTITY)
    standing = current(settings)
    assert standing is not None and standing.release_id == first.release_id
    assert texts(settings.published / "teams" / A / "apportion.duckdb")["fct_idle_cost"] == 3
    assert not list(settings.published.glob(".building*"))


HOSTILE_TEAMS = [
    "../x", "..", ".", "/etc/passwd", "a/b", "a\\b", "NLP", "Nlp", "nlp", "nlp ", "日本", "日本語", "a\nb", "'; drop table dim_date; --", "x" * 300, "con.", "%2e%2e", "-rf", "é", "e\u0301",
    team_folder("NLP"),
]  # fmt: skip


def test_no_two_teams_share_a_folder_and_none_leaves_it() -> None:
    folders = [team_folder(team) for team in HOSTILE_TEAMS]
    assert len({folder.casefold() for folder in folders}) == len(HOSTILE_TEAMS)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,47}", folder) for folder in folders)
    assert (team_folder("nlp"), team_folder("ml_ops-2")) == ("nlp", "ml_ops-2")


def test_hostile_names_get_their_rows_and_nothing_else_happens(tmp_path: Path) -> None:
    hostile = "../x'; drop table dim_date; --"
    settings = settings_for(tmp_path / "home", "all")
    fake_warehouse.build(settings)
    fill(settings, a=hostile)
    release = publish(settings, set(DAYS), identity=IDENTITY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    assert release.teams == (team_folder(hostile), B)
    with duckdb.connect(str(settings.published / "teams" / team_folder(hostile) / "apportion.duckdb"), read_only=True) as connection:
        assert connection.execute("select distinct team from fct_run_cost").fetchall() == [(hostile,)]
        assert connection.execute("select count(*) from dim_date").fetchone() == (3,)


def test_two_teams_with_one_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_for(tmp_path, [A, B])
    fake_warehouse.build(settings)
    fill(settings)
    monkeypatch.setattr(team_releases, "team_folder", lambda team: "one")
    with pytest.raises(ApportionError, match="share the folder"):
        publish(settings, set(DAYS), identity=IDENTITY)


def test_every_published_table_is_judged_once() -> None:
    marts = {path.stem for path in MARTS.rglob("*.sql")} | {"meta_publication"}
    known_later = {"fct_lever", "fct_alert"}
    assert marts - set(SCOPES) - set(LEFT_OUT) == set(), "say in pipelines/team_scope.py which rows are a team's, or why none are"
    assert set(SCOPES) & set(LEFT_OUT) == set()
    assert (set(SCOPES) | set(LEFT_OUT)) - marts <= known_later
    assert set(TABLES) <= set(SCOPES) | set(LEFT_OUT)
