"""Publication: what a release holds, what it takes over, and that nobody ever sees half of one."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from pipelines.errors import ApportionError, GateError
from pipelines.landing import sha256_file
from pipelines.publish import current_release, publish, write_parquet
from pipelines.release import Release, remove
from pipelines.settings import Settings
from tests import fake_warehouse
from tests.fake_warehouse import DAYS, HOSTILE, IDENTITY, settings_for

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = settings_for(tmp_path_factory.mktemp("template"))
    fake_warehouse.build(made)
    return made


@pytest.fixture
def settings(tmp_path: Path, template: Settings) -> Settings:
    made = settings_for(tmp_path / "home")
    made.warehouse.parent.mkdir(parents=True)
    shutil.copyfile(template.warehouse, made.warehouse)
    return made


def publish_all(settings: Settings) -> Release:
    return publish(settings, set(DAYS), identity=IDENTITY)


def change_day(settings: Settings, day: dt.date, generation: int) -> None:
    with duckdb.connect(str(settings.warehouse)) as connection:
        fake_warehouse.set_day(connection, day, generation)
        fake_warehouse.set_whole(connection, len(DAYS), generation)


def execute(settings: Settings, statement: str) -> None:
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(statement)


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def shas(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*.parquet"))}


def tree(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


# what a release holds


def test_a_release_holds_every_published_table_and_nothing_else(settings: Settings) -> None:
    release = publish_all(settings)
    path = settings.published / "apportion.duckdb"
    tables = [name for (name,) in ask(path, "select table_name from duckdb_tables() order by 1")]
    assert tables == sorted([*fake_warehouse.TABLES, "meta_publication"])
    assert ask(path, "select count(*) from duckdb_views() where not internal") == [(0,)]
    # 3 days x (10.000000000001 - 1.5)
    assert ask(path, "select sum(effective_cost) from fct_cost_allocation") == [(Decimal("25.500000000003"),)]
    assert ask(path, "select typeof(effective_cost) from fct_cost_allocation limit 1") == [("DECIMAL(38,12)",)]
    assert tree(settings.published) == ["apportion.duckdb", "current", "parquet", "releases"]
    assert tree(release.folder) == ["apportion.duckdb", "parquet", "release.json"]
    assert os.readlink(settings.published / "current") == f"releases/{release.release_id}"
    ledger = settings.published / "parquet" / "fct_cost_allocation"
    assert tree(ledger) == ["2026-10-01.parquet", "2026-10-02.parquet", "2026-10-03.parquet"]
    assert tree(settings.published / "parquet" / "dim_date") == ["dim_date.parquet"]
    twin = duckdb.connect().execute("select sum(effective_cost), typeof(any_value(effective_cost)) from read_parquet(?)", [f"{ledger}/*.parquet"])
    assert twin.fetchall() == [(Decimal("25.500000000003"), "DECIMAL(38,12)")]


def test_files_are_0444_and_folders_0555(settings: Settings) -> None:
    release = publish_all(settings)
    modes = {path.is_dir(): set() for path in release.folder.rglob("*")} | {True: {release.folder.stat().st_mode & 0o777}}
    for path in release.folder.rglob("*"):
        modes[path.is_dir()].add(path.stat().st_mode & 0o777)
    assert modes == {True: {0o555}, False: {0o444}}


def test_meta_publication_says_what_the_release_was_made_from(settings: Settings) -> None:
    release = publish_all(settings)
    query = (
        "select source, kind, finality, as_of, data_through, delivery_count, deliveries, delivered_rows, rejected_rows, billed_cost_usd,"
        " effective_cost_usd, attributed_cost_usd, quarantined_cost_usd, residual_usd, first_published_day, last_published_day,"
        " published_day_count, code_digest, policy_digest, release_id from meta_publication order by source"
    )
    both = '[{"period":"2026-09","delivery_id":"d0"},{"period":"2026-10","delivery_id":"d1"}]'
    cost = Decimal("25.500000000003")
    tail = (DAYS[0], DAYS[2], 3, "c0de", "b011c7", release.release_id)
    # one of the two bills is provisional: so is the source
    aws = ("aws", "aws_cur", "provisional", "2026-10-04", DAYS[2], 2, both, 10, 1, Decimal(27), cost, cost, Decimal(0), Decimal(0), *tail)
    gpus = ("gpus", "dcgm", None, None, DAYS[2], 1, '[{"period":"2026-10-03","delivery_id":"d3"}]', 120, 0, *[None] * 5, *tail)
    assert ask(settings.published / "apportion.duckdb", query) == [aws, gpus]
    twin = settings.published / "parquet" / "meta_publication" / "meta_publication.parquet"
    assert duckdb.connect().execute(f"select count(*), min(release_id) from '{twin}'").fetchall() == [(2, release.release_id)]  # noqa: S608


def test_descriptions_are_taken_over_as_comments(settings: Settings) -> None:
    publish_all(settings)
    path = settings.published / "apportion.duckdb"
    comments = dict(ask(path, "select table_name, comment from duckdb_tables()"))
    assert comments["fct_run_cost"] == "what fct_run_cost says; it's \"here\""
    assert None not in comments.values()
    query = "select comment from duckdb_columns() where table_name = 'fct_run_cost' and column_name = 'run_cost_usd'"
    assert ask(path, query) == [("effective cost -- of the run",)]
    assert ask(path, "select count(*) from duckdb_columns() where table_name = 'meta_publication' and comment is null") == [(0,)]


def test_text_stays_as_it_is(settings: Settings) -> None:
    publish_all(settings)
    expected = sorted(f"training_run/{text}" for text in HOSTILE)
    found = [key for (key,) in ask(settings.published / "apportion.duckdb", "select workload_key from dim_workload order by 1")]
    twin = settings.published / "parquet" / "dim_workload" / "dim_workload.parquet"
    written = duckdb.connect().execute("select workload_key from read_parquet(?)", [str(twin)]).fetchall()
    assert sorted(found) == expected
    assert sorted(key for (key,) in written) == expected


# same content, same bytes


def test_parquet_bytes_depend_on_the_rows_only(tmp_path: Path) -> None:
    found = set()
    for number, (threads, order) in enumerate([(1, "n"), (2, "n desc"), (2, "hash(n)")]):
        with duckdb.connect() as connection:
            connection.execute(f"set threads = {threads}")
            connection.execute(
                "create table source as select md5((n % 999)::varchar) as key, n::decimal(38,12) / 7 as ratio, (n % 50)::decimal(38,12) as cost,"  # noqa: S608
                f" timestamp '2026-10-01' + interval (n) second as at from range(260000) as t(n) order by {order}"
            )
            path = tmp_path / f"{number}.parquet"
            assert write_parquet(connection, "select * from source", path) == 260_000
            found.add(sha256_file(path))
    assert len(found) == 1


def test_the_same_content_gives_the_same_release_in_another_home(settings: Settings, tmp_path: Path) -> None:
    first = publish_all(settings)
    other = settings_for(tmp_path / "other")
    fake_warehouse.build(other, days=list(reversed(DAYS)))
    second = publish(other, set(DAYS), identity=IDENTITY)
    assert second.release_id == first.release_id
    assert shas(second.folder) == shas(first.folder)
    assert len(first.release_id) == 16


def test_publishing_again_changes_nothing(settings: Settings) -> None:
    first = publish_all(settings)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in settings.published.rglob("*")}
    again = publish(settings, {DAYS[0]}, identity=IDENTITY)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.release_id == first.release_id
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in settings.published.rglob("*")} == before


def test_figures_code_policy_and_deliveries_each_make_another_release(settings: Settings) -> None:
    found = {publish_all(settings).release_id}
    found.add(publish(settings, set(), identity={**IDENTITY, "code": "other"}).release_id)
    found.add(publish(settings, set(), identity={**IDENTITY, "policy": "other"}).release_id)
    execute(settings, "update ops.deliveries set finality = 'final'")
    found.add(publish(settings, set(), identity=IDENTITY).release_id)
    change_day(settings, DAYS[0], 1)
    found.add(publish(settings, {DAYS[0]}, identity=IDENTITY).release_id)
    assert len(found) == 5


# what a night writes


def test_a_night_writes_its_dirty_days_and_links_the_others(settings: Settings) -> None:
    first = publish_all(settings)
    change_day(settings, DAYS[1], 7)
    second = publish(settings, {DAYS[1]}, identity=IDENTITY)

    def node(release: Release, name: str) -> int:
        return (release.folder / "parquet" / name).stat().st_ino

    for table in ("fct_cost_allocation", "fct_charge_bucket"):
        assert node(second, f"{table}/2026-10-01.parquet") == node(first, f"{table}/2026-10-01.parquet")
        assert node(second, f"{table}/2026-10-03.parquet") == node(first, f"{table}/2026-10-03.parquet")
        assert node(second, f"{table}/2026-10-02.parquet") != node(first, f"{table}/2026-10-02.parquet")
    # dirty, but it came out the same; and a whole table that did not change
    assert node(second, "fct_tag_coverage/2026-10-02.parquet") == node(first, "fct_tag_coverage/2026-10-02.parquet")
    assert node(second, "dim_workload/dim_workload.parquet") == node(first, "dim_workload/dim_workload.parquet")
    assert node(second, "fct_run_cost/fct_run_cost.parquet") != node(first, "fct_run_cost/fct_run_cost.parquet")
    query = "select usage_date, min(service), max(service), count(*) from {} group by 1 order by 1"
    generations = ["generation 0", "generation 7", "generation 0"]
    for table, rows in (("fct_cost_allocation", 3), ("fct_charge_bucket", 2)):
        expected = [(day, name, name, rows) for day, name in zip(DAYS, generations, strict=True)]
        assert ask(settings.published / "apportion.duckdb", query.format(table)) == expected
    # the release before is untouched
    assert ask(first.folder / "apportion.duckdb", "select distinct service from fct_cost_allocation") == [("generation 0",)]


def test_a_clean_day_comes_from_the_last_release_not_from_the_warehouse(settings: Settings) -> None:
    publish_all(settings)
    change_day(settings, DAYS[0], 5)  # not said to be dirty
    change_day(settings, DAYS[1], 6)
    publish(settings, {DAYS[1]}, identity=IDENTITY)
    query = "select min(service), max(service) from fct_cost_allocation group by usage_date order by usage_date"
    assert ask(settings.published / "apportion.duckdb", query) == [(name, name) for name in ("generation 0", "generation 6", "generation 0")]


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_file_of_the_last_release_is_written_again(settings: Settings, damage: str) -> None:
    first = publish_all(settings)
    victim = first.folder / "parquet" / "fct_cost_allocation" / "2026-10-01.parquet"
    good = sha256_file(victim)
    victim.parent.chmod(0o755)
    victim.chmod(0o644)
    if damage == "missing":
        victim.unlink()
    else:
        content = bytearray(victim.read_bytes())
        content[100] ^= 1  # the same size
        victim.write_bytes(content)
    again = publish(settings, set(), identity=IDENTITY)
    assert again.release_id == first.release_id
    assert sha256_file(settings.published / "parquet" / "fct_cost_allocation" / "2026-10-01.parquet") == good
    assert again.is_intact()


def test_a_day_that_is_no_longer_published_goes_and_a_new_one_comes(settings: Settings) -> None:
    publish_all(settings)
    new = dt.date(2026, 10, 9)
    fake_warehouse.build(settings, days=[DAYS[1], DAYS[2], new])
    release = publish(settings, {new}, identity=IDENTITY)
    found = ask(settings.published / "apportion.duckdb", "select distinct usage_date from fct_cost_allocation order by 1")
    assert [day for (day,) in found] == [DAYS[1], DAYS[2], new]
    assert tree(settings.published / "parquet" / "fct_charge_bucket") == ["2026-10-02.parquet", "2026-10-03.parquet", "2026-10-09.parquet"]
    assert release.days == (DAYS[1], DAYS[2], new)


def test_a_changed_schema_writes_every_day_of_the_table(settings: Settings) -> None:
    publish_all(settings)
    execute(settings, "alter table published.fct_tag_coverage add column is_new boolean default true")
    publish(settings, {DAYS[2]}, identity=IDENTITY)
    assert ask(settings.published / "apportion.duckdb", "select count(*) from fct_tag_coverage where is_new") == [(3,)]


def test_a_new_table_appears_by_itself_and_what_dbt_left_behind_does_not(settings: Settings) -> None:
    execute(settings, "create table published.fct_new as select date '2026-10-02' as usage_date, 1 as n")
    execute(settings, "create table published.fct_new__dbt_tmp as select 1 as n; create view published.a_view as select 1 as n")
    publish_all(settings)
    tables = {name for (name,) in ask(settings.published / "apportion.duckdb", "select table_name from duckdb_tables()")}
    assert tables - set(fake_warehouse.TABLES) == {"fct_new", "meta_publication"}
    assert len(tree(settings.published / "parquet" / "fct_new")) == 3


def test_a_type_that_parquet_does_not_keep_is_refused(settings: Settings) -> None:
    execute(settings, "alter table published.fct_data_quality alter measured_value type hugeint")
    with pytest.raises(ApportionError, match="measured_value has type HUGEINT"):
        publish_all(settings)


def test_nothing_to_publish_is_said(settings: Settings) -> None:
    fake_warehouse.build(settings, days=[])
    with pytest.raises(ApportionError, match="no day is published"):
        publish(settings, set(), identity=IDENTITY)
    execute(settings, "drop table published.fct_cost_allocation")
    with pytest.raises(GateError, match="no table fct_cost_allocation"):
        publish(settings, set(), identity=IDENTITY)
    assert current_release(settings) is None


def test_retention_keeps_the_newest_and_the_current(settings: Settings) -> None:
    settings = settings_for(settings.home, keep_releases=2)
    ids = []
    for generation in range(4):
        change_day(settings, DAYS[0], generation)
        ids.append(publish_all(settings).release_id)
    assert tree(settings.published / "releases") == sorted(ids[2:])
    change_day(settings, DAYS[0], 2)  # the content of the release before: the same id comes back, and is the newest
    assert publish_all(settings).release_id == ids[2]
    assert os.readlink(settings.published / "current") == f"releases/{ids[2]}"
    assert tree(settings.published / "releases") == sorted(ids[2:])
    told = current_release(settings)
    assert told is not None and (told["release_id"], told["sequence"]) == (ids[2], 5)


# the audit

AUDIT_DEFECTS = {
    "off by 1e-12": (
        "update published.fct_cost_allocation set list_cost = list_cost + 0.000000000001 where cost_class = 'used' and usage_date = '2026-10-02'",
        r"1 buckets are not allocated exactly; bucket b1 of 2026-10-02 leaves billed_cost 0E-12, effective_cost 0E-12, list_cost -1E-12",
    ),
    "ledger without bucket": (
        "update published.fct_cost_allocation set bucket_key = 'b9' where bucket_key = 'b2' and usage_date = '2026-10-02'",
        r"2 buckets are not allocated exactly; bucket b2 of 2026-10-02 leaves billed_cost -1\.0+, effective_cost -1\.50+, list_cost -1\.0+",
    ),
    "dollars on a day without a bill": (
        "delete from published.fct_charge_bucket where usage_date = '2026-10-02'; "
        "delete from published.fct_cost_allocation where usage_date = '2026-10-02'",
        "fct_gpu_utilization holds priced rows on 2026-10-02, a day without any charge",
    ),
}


@pytest.mark.parametrize("defect", AUDIT_DEFECTS)
def test_a_failed_audit_publishes_nothing(settings: Settings, defect: str) -> None:
    first = publish_all(settings)
    statement, message = AUDIT_DEFECTS[defect]
    execute(settings, statement)
    with pytest.raises(GateError, match=message) as refusal:
        publish_all(settings)
    assert refusal.value.exit_code == 3
    assert os.readlink(settings.published / "current") == f"releases/{first.release_id}"
    assert tree(settings.published / "releases") == [first.release_id]
    assert tree(settings.published) == ["apportion.duckdb", "current", "parquet", "releases"]


def test_a_day_that_awaits_its_bill_is_published(settings: Settings) -> None:
    execute(
        settings,
        "delete from published.fct_charge_bucket where usage_date = '2026-10-02';"
        " delete from published.fct_cost_allocation where usage_date = '2026-10-02';"
        " update published.fct_gpu_utilization set pricing_status = 'awaiting_bill', cost_usd = null where usage_date = '2026-10-02'",
    )
    release = publish_all(settings)
    assert DAYS[1] in release.days


@pytest.mark.parametrize("where", ["database", "parquet"])
def test_the_audit_sees_a_file_that_differs_from_the_warehouse(settings: Settings, where: str) -> None:
    """The comparison itself, on a finished release that is changed afterwards by one text and one unit of the last place."""
    from pipelines.published_tables import published_tables
    from pipelines.release_audit import audit

    release = publish_all(settings)
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        tables = published_tables(connection)
    audit(settings, release.folder, tables, release.files, set(DAYS), release.release_id)
    update = "update {} set service = 'x' where usage_date = '2026-10-03' and cost_class = 'credit'"
    if where == "database":
        (release.folder / "apportion.duckdb").chmod(0o644)
        with duckdb.connect(str(release.folder / "apportion.duckdb")) as connection:
            connection.execute(update.format("fct_cost_allocation"))
        twin = "DuckDB file"
    else:
        path = release.folder / "parquet" / "fct_cost_allocation" / "2026-10-03.parquet"
        with duckdb.connect() as connection:
            connection.execute("create table t as from read_parquet(?)", [str(path)])
            connection.execute(update.format("t"))
            path.chmod(0o644)
            write_parquet(connection, "select * from t", path)
        twin = "Parquet files"
    with pytest.raises(GateError, match=f"fct_cost_allocation of 2026-10-03 was not published as computed: digest of all columns.* in the {twin}"):
        audit(settings, release.folder, tables, release.files, set(DAYS), release.release_id)
    with pytest.raises(GateError, match="meta_publication names release"):
        audit(settings, release.folder, [], release.files, set(), "another")


# a publication that dies

PUBLISHER = """
import datetime as dt, os, signal, sys
from pathlib import Path
from pipelines.publish import publish
from tests.fake_warehouse import DAYS, IDENTITY, settings_for

steps = {"os.link", "os.rename", "os.symlink", "os.chmod", "os.mkdir", "os.remove", "os.rmdir"}
last, seen, armed = int(sys.argv[2]), 0, False

def watch(event, arguments):
    global seen
    if armed and event in steps:
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
settings = settings_for(Path(sys.argv[1]), keep_releases=1)
armed = True
release = publish(settings, {DAYS[1]}, identity=IDENTITY)
print(seen, release.release_id)
"""


def publish_and_die(home: Path, step: int) -> subprocess.CompletedProcess[str]:
    """Publish in a process that is killed (SIGKILL) before its ``step``-th change of a folder; 0: never."""
    command = [sys.executable, "-c", PUBLISHER, str(home), str(step)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def test_a_publication_killed_anywhere_leaves_a_whole_release(settings: Settings) -> None:
    old = publish_all(settings)
    change_day(settings, DAYS[1], 1)
    expected = ask_generations(settings)
    assert expected == "generation 0"
    whole = Path(settings.home).parent / "rehearsal"
    subprocess.run(["cp", "-a", str(settings.home), str(whole)], check=True)
    steps, new_id = publish_and_die(whole, 0).stdout.split()
    swap = int(steps)
    outcomes = []
    # spread over building, the move into place, the swap itself and the removal of the old release
    for step in sorted({1, swap // 5, swap // 3, *range(swap // 2, swap, max(1, swap // 8))}):
        home = Path(settings.home).parent / f"killed-{step}"
        subprocess.run(["cp", "-a", str(settings.home), str(home)], check=True)
        died = publish_and_die(home, step)
        assert died.returncode == -signal.SIGKILL, died.stderr
        killed = settings_for(home, keep_releases=1)
        link = os.readlink(killed.published / "current")
        assert link in (f"releases/{old.release_id}", f"releases/{new_id}")
        outcomes.append(link == f"releases/{new_id}")
        assert ask_generations(killed) == ("generation 1" if outcomes[-1] else "generation 0")
        if step % 3 == 0:  # the next night
            after = publish(killed, {DAYS[1]}, identity=IDENTITY)
            assert after.release_id == new_id and after.is_intact()
            assert tree(killed.published) == ["apportion.duckdb", "current", "parquet", "releases"]
        remove(home)
    assert outcomes == sorted(outcomes)
    assert (outcomes[0], outcomes[-1]) == (False, True)  # both sides of the swap were met


def ask_generations(settings: Settings) -> str:
    """The generation of the changed day, which database and Parquet files must agree on."""
    query = "select distinct service from {} where usage_date = '2026-10-02'"
    folder = settings.published / "parquet"
    found = set(ask(settings.published / "apportion.duckdb", query.format("fct_cost_allocation")))
    for table in ("fct_cost_allocation", "fct_charge_bucket"):
        found |= set(duckdb.connect().execute(query.format(f"read_parquet('{folder}/{table}/*.parquet')")).fetchall())
    assert len(found) == 1
    return str(found.pop()[0])


def test_the_marker_is_complete_and_has_the_only_wall_clock(settings: Settings) -> None:
    release = publish_all(settings)
    told = current_release(settings)
    assert told == json.loads((release.folder / "release.json").read_text())
    assert told is not None
    assert (told["release_id"], told["sequence"], told["identity"]) == (release.release_id, 1, IDENTITY)
    assert told["days"] == ["2026-10-01", "2026-10-02", "2026-10-03"]
    assert abs(dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(told["published_at"])) < dt.timedelta(minutes=5)
    assert {(f["table"], f["name"]): f["sha256"] for f in told["files"]} == {
        (Path(name).parts[1], Path(name).name): sha for name, sha in shas(release.folder).items() if "meta_publication" not in name
    }


def test_a_current_release_that_cannot_be_read_is_an_error(settings: Settings) -> None:
    release = publish_all(settings)
    remove(release.folder)
    with pytest.raises(ApportionError, match="cannot be read"):
        current_release(settings)
    assert publish_all(settings).release_id == release.release_id
    assert current_release(settings) is not None
