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
from pipelines.release import Release, current, remove
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


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, template: Settings) -> Settings:
    """A home with one release, for tests that only look."""
    made = settings_for(tmp_path_factory.mktemp("shared"))
    made.warehouse.parent.mkdir(parents=True)
    shutil.copyfile(template.warehouse, made.warehouse)
    publish_all(made)
    return made


@pytest.fixture
def released(tmp_path: Path, shared: Settings) -> Settings:
    """A home of one's own with that release."""
    shutil.copytree(shared.home, tmp_path / "home", symlinks=True)
    return settings_for(tmp_path / "home")


def first_release(settings: Settings) -> Release:
    release = current(settings)
    assert release is not None and release.sequence == 1
    return release


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


def test_a_release_holds_every_published_table_and_nothing_else(shared: Settings) -> None:
    release = first_release(shared)
    path = shared.published / "apportion.duckdb"
    tables = [name for (name,) in ask(path, "select table_name from duckdb_tables() order by 1")]
    assert tables == sorted([*fake_warehouse.TABLES, "meta_publication"])
    assert ask(path, "select count(*) from duckdb_views() where not internal") == [(0,)]
    # 3 days x (10.000000000001 - 1.5)
    assert ask(path, "select sum(effective_cost) from fct_cost_allocation") == [(Decimal("25.500000000003"),)]
    assert ask(path, "select typeof(effective_cost) from fct_cost_allocation limit 1") == [("DECIMAL(38,12)",)]
    assert tree(shared.published) == ["apportion.duckdb", "current", "history", "parquet", "releases"]
    assert tree(release.folder) == ["apportion.duckdb", "parquet", "release.json"]
    assert os.readlink(shared.published / "current") == f"releases/{release.release_id}"
    ledger = shared.published / "parquet" / "fct_cost_allocation"
    assert tree(ledger) == ["2026-10-01.parquet", "2026-10-02.parquet", "2026-10-03.parquet"]
    assert tree(shared.published / "parquet" / "dim_date") == ["dim_date.parquet"]
    twin = duckdb.connect().execute(
        "select sum(effective_cost), typeof(any_value(effective_cost)) from read_parquet(?)", [f"{ledger}/*.parquet"]
    )
    assert twin.fetchall() == [(Decimal("25.500000000003"), "DECIMAL(38,12)")]


def test_files_are_0444_and_folders_0555(shared: Settings) -> None:
    release = first_release(shared)
    modes = {path.is_dir(): set() for path in release.folder.rglob("*")} | {True: {release.folder.stat().st_mode & 0o777}}
    for path in release.folder.rglob("*"):
        modes[path.is_dir()].add(path.stat().st_mode & 0o777)
    assert modes == {True: {0o555}, False: {0o444}}


def test_meta_publication_says_what_the_release_was_made_from(shared: Settings) -> None:
    release = first_release(shared)
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
    assert ask(shared.published / "apportion.duckdb", query) == [aws, gpus]
    twin = shared.published / "parquet" / "meta_publication" / "meta_publication.parquet"
    assert duckdb.connect().execute(f"select count(*), min(release_id) from '{twin}'").fetchall() == [(2, release.release_id)]  # noqa: S608


def test_descriptions_are_taken_over_as_comments(shared: Settings) -> None:
    path = shared.published / "apportion.duckdb"
    comments = dict(ask(path, "select table_name, comment from duckdb_tables()"))
    assert comments["fct_run_cost"] == 'what fct_run_cost says; it\'s "here"'
    assert None not in comments.values()
    query = "select comment from duckdb_columns() where table_name = 'fct_run_cost' and column_name = 'run_cost_usd'"
    assert ask(path, query) == [("effective cost -- of the run",)]
    assert ask(path, "select count(*) from duckdb_columns() where table_name = 'meta_publication' and comment is null") == [(0,)]


def test_text_stays_as_it_is(shared: Settings) -> None:
    expected = sorted(f"training_run/{text}" for text in HOSTILE)
    found = [key for (key,) in ask(shared.published / "apportion.duckdb", "select workload_key from dim_workload order by 1")]
    twin = shared.published / "parquet" / "dim_workload" / "dim_workload.parquet"
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
                f" timestamp '2026-10-01' + interval (n) second as at from range(130000) as t(n) order by {order}"
            )
            path = tmp_path / f"{number}.parquet"
            assert write_parquet(connection, "select * from source", path) == 130_000
            found.add(sha256_file(path))
    assert len(found) == 1


def test_the_same_content_gives_the_same_release_in_another_home(released: Settings, tmp_path: Path) -> None:
    first = first_release(released)
    other = settings_for(tmp_path / "other")
    fake_warehouse.build(other, days=list(reversed(DAYS)))
    second = publish(other, set(DAYS), identity=IDENTITY)
    assert second.release_id == first.release_id
    assert shas(second.folder) == shas(first.folder)
    assert len(first.release_id) == 16


def test_publishing_again_changes_nothing(released: Settings) -> None:
    first = first_release(released)
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in released.published.rglob("*")}
    again = publish(released, {DAYS[0]}, identity=IDENTITY)
    assert again.is_new is False
    assert again.release_id == first.release_id
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in released.published.rglob("*")} == before


def test_figures_code_policy_and_deliveries_each_make_another_release(released: Settings) -> None:
    found = {first_release(released).release_id}
    found.add(publish(released, set(), identity={**IDENTITY, "code": "other"}).release_id)
    found.add(publish(released, set(), identity={**IDENTITY, "policy": "other"}).release_id)
    execute(released, "update ops.deliveries set finality = 'final'")
    found.add(publish(released, set(), identity=IDENTITY).release_id)
    change_day(released, DAYS[0], 1)
    found.add(publish(released, {DAYS[0]}, identity=IDENTITY).release_id)
    assert len(found) == 5


# what a night writes


def test_a_night_writes_its_dirty_days_and_links_the_others(released: Settings) -> None:
    first = first_release(released)
    change_day(released, DAYS[1], 7)
    second = publish(released, {DAYS[1]}, identity=IDENTITY)

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
        assert ask(released.published / "apportion.duckdb", query.format(table)) == expected
    # the release before is untouched
    assert ask(first.folder / "apportion.duckdb", "select distinct service from fct_cost_allocation") == [("generation 0",)]


def test_a_clean_day_comes_from_the_last_release_not_from_the_warehouse(released: Settings) -> None:
    change_day(released, DAYS[0], 5)  # not said to be dirty
    change_day(released, DAYS[1], 6)
    publish(released, {DAYS[1]}, identity=IDENTITY)
    query = "select min(service), max(service) from fct_cost_allocation group by usage_date order by usage_date"
    assert ask(released.published / "apportion.duckdb", query) == [
        (name, name) for name in ("generation 0", "generation 6", "generation 0")
    ]


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_file_of_the_last_release_is_written_again(released: Settings, damage: str) -> None:
    first = first_release(released)
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
    again = publish(released, set(), identity=IDENTITY)
    assert again.release_id == first.release_id
    assert sha256_file(released.published / "parquet" / "fct_cost_allocation" / "2026-10-01.parquet") == good
    assert again.is_intact()


def test_a_day_that_is_no_longer_published_goes_and_a_new_one_comes(released: Settings) -> None:
    new = dt.date(2026, 10, 9)
    fake_warehouse.build(released, days=[DAYS[1], DAYS[2], new])
    release = publish(released, {new}, identity=IDENTITY)
    found = ask(released.published / "apportion.duckdb", "select distinct usage_date from fct_cost_allocation order by 1")
    assert [day for (day,) in found] == [DAYS[1], DAYS[2], new]
    assert tree(released.published / "parquet" / "fct_charge_bucket") == ["2026-10-02.parquet", "2026-10-03.parquet", "2026-10-09.parquet"]
    assert release.days == (DAYS[1], DAYS[2], new)


def test_a_changed_schema_writes_every_day_of_the_table(released: Settings) -> None:
    execute(released, "alter table published.fct_tag_coverage add column is_new boolean default true")
    publish(released, {DAYS[2]}, identity=IDENTITY)
    assert ask(released.published / "apportion.duckdb", "select count(*) from fct_tag_coverage where is_new") == [(3,)]


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


def test_retention_keeps_the_newest_and_the_current(released: Settings) -> None:
    settings = settings_for(released.home, keep_releases=2)
    ids = [first_release(settings).release_id]
    for generation in (1, 2):
        change_day(settings, DAYS[0], generation)
        ids.append(publish(settings, {DAYS[0]}, identity=IDENTITY).release_id)
    assert tree(settings.published / "releases") == sorted(ids[1:])
    change_day(settings, DAYS[0], 1)  # the content of the release before: the same id comes back, and is the newest
    assert publish(settings, {DAYS[0]}, identity=IDENTITY).release_id == ids[1]
    assert os.readlink(settings.published / "current") == f"releases/{ids[1]}"
    assert tree(settings.published / "releases") == sorted(ids[1:])
    told = current_release(settings)
    assert told is not None and (told["release_id"], told["sequence"]) == (ids[1], 4)


# the audit

AUDIT_DEFECTS = {
    "off by 1e-12": (
        "update published.fct_cost_allocation set list_cost = list_cost + 0.000000000001 where cost_class = 'used' and usage_date = '2026-10-02'",
        r"1 buckets are not allocated exactly; bucket b1 of 2026-10-02 leaves billed_cost 0E-12, effective_cost 0E-12, net_cost 0E-12, list_cost -1E-12",
    ),
    "ledger without bucket": (
        "update published.fct_cost_allocation set bucket_key = 'b9' where bucket_key = 'b2' and usage_date = '2026-10-02'",
        r"2 buckets are not allocated exactly; bucket b2 of 2026-10-02 leaves billed_cost -1\.0+, effective_cost -1\.50+, net_cost -1\.0+, list_cost -1\.0+",
    ),
    "dollars on a day without a bill": (
        "delete from published.fct_charge_bucket where usage_date = '2026-10-02'; "
        "delete from published.fct_cost_allocation where usage_date = '2026-10-02'",
        "fct_gpu_utilization holds priced rows on 2026-10-02, a day without any charge",
    ),
}


@pytest.mark.parametrize("defect", AUDIT_DEFECTS)
def test_a_failed_audit_publishes_nothing(released: Settings, defect: str) -> None:
    first = first_release(released)
    statement, message = AUDIT_DEFECTS[defect]
    execute(released, statement)
    with pytest.raises(GateError, match=message) as refusal:
        publish_all(released)
    assert refusal.value.exit_code == 3
    assert os.readlink(released.published / "current") == f"releases/{first.release_id}"
    assert tree(released.published / "releases") == [first.release_id]
    assert tree(released.published) == ["apportion.duckdb", "current", "history", "parquet", "releases"]


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
def test_the_audit_sees_a_file_that_differs_from_the_warehouse(released: Settings, where: str) -> None:
    """The comparison itself, on a finished release that is changed afterwards by one text and one unit of the last place."""
    from pipelines.published_tables import published_tables
    from pipelines.release_audit import audit

    release = first_release(released)
    with duckdb.connect(str(released.warehouse), read_only=True) as connection:
        tables = published_tables(connection)
    audit(released, release.folder, tables, release.files, set(DAYS), release.release_id)
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
    with pytest.raises(
        GateError, match=f"fct_cost_allocation of 2026-10-03 was not published as computed: digest of all columns.* in the {twin}"
    ):
        audit(released, release.folder, tables, release.files, set(DAYS), release.release_id)
    with pytest.raises(GateError, match="meta_publication names release"):
        audit(released, release.folder, [], release.files, set(), "another")


# a publication that dies

PUBLISHER = """
import json, os, signal, sys
from pathlib import Path
from pipelines.publish import publish
from tests.fake_warehouse import DAYS, IDENTITY, settings_for

changes = {"os.link", "os.rename", "os.symlink", "os.chmod", "os.mkdir", "os.remove", "os.rmdir"}
last, armed, seen = int(sys.argv[2]), False, []

def watch(event, arguments):
    if armed and event in changes:
        seen.append([event, *map(str, arguments[:2])])
        if len(seen) == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
settings = settings_for(Path(sys.argv[1]), keep_releases=1)
armed = True
release = publish(settings, {DAYS[1]}, identity=IDENTITY)
print(json.dumps([release.release_id, seen]))
"""


def publish_and_die(home: Path, step: int) -> subprocess.CompletedProcess[str]:
    """Publish in a process that is killed (SIGKILL) before its ``step``-th change of the file system; 0: never."""
    command = [sys.executable, "-c", PUBLISHER, str(home), str(step)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_a_publication_killed_anywhere_leaves_a_whole_release(released: Settings, tmp_path: Path) -> None:
    old = first_release(released)
    change_day(released, DAYS[1], 1)
    rehearsal = tmp_path / "rehearsal"
    shutil.copytree(released.home, rehearsal, symlinks=True)
    new_id, changes = json.loads(publish_and_die(rehearsal, 0).stdout)

    def step(event: str, ending: str) -> int:
        return next(n for n, change in enumerate(changes, start=1) if change[0] == event and change[-1].endswith(ending))

    mid_database = next(n for n, c in enumerate(changes, start=1) if c[0] == "os.mkdir" and c[1].endswith("/meta_publication"))
    swap = step("os.rename", "/current")
    points = {
        "while files are written": (step("os.link", "/2026-10-03.parquet"), False),
        "while the database is filled": (mid_database, False),
        "before the folder is in place": (step("os.rename", f"/releases/{new_id}"), False),
        "before the swap": (swap, False),
        "after the swap": (swap + 1, True),
        "while the old release is removed": (len(changes) - 3, True),
    }
    for point, (number, is_published) in points.items():
        killed = settings_for(tmp_path / f"killed-{number}", keep_releases=1)
        shutil.copytree(released.home, killed.home, symlinks=True)
        assert publish_and_die(killed.home, number).returncode == -signal.SIGKILL, point
        serving = new_id if is_published else old.release_id
        assert os.readlink(killed.published / "current") == f"releases/{serving}", point
        assert ask_generations(killed) == f"generation {int(is_published)}", point
        if point in ("while the database is filled", "before the swap"):  # the next night
            after = publish(killed, {DAYS[1]}, identity=IDENTITY)
            assert after.release_id == new_id and after.is_intact(), point
            assert ask_generations(killed) == "generation 1", point
            assert tree(killed.published) == ["apportion.duckdb", "current", "history", "parquet", "releases"], point
            assert tree(killed.published / "releases") == [new_id], point


def ask_generations(settings: Settings) -> str:
    """The generation of the changed day, which database and Parquet files must agree on."""
    query = "select distinct service from {} where usage_date = '2026-10-02'"
    folder = settings.published / "parquet"
    found = set(ask(settings.published / "apportion.duckdb", query.format("fct_cost_allocation")))
    for table in ("fct_cost_allocation", "fct_charge_bucket"):
        found |= set(duckdb.connect().execute(query.format(f"read_parquet('{folder}/{table}/*.parquet')")).fetchall())
    assert len(found) == 1
    return str(found.pop()[0])


def test_the_marker_is_complete_and_has_the_only_wall_clock(shared: Settings) -> None:
    release = first_release(shared)
    told = current_release(shared)
    assert told == json.loads((release.folder / "release.json").read_text())
    assert told is not None
    assert (told["release_id"], told["sequence"], told["identity"]) == (release.release_id, 1, IDENTITY)
    assert told["days"] == ["2026-10-01", "2026-10-02", "2026-10-03"]
    assert abs(dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(told["published_at"])) < dt.timedelta(minutes=5)
    assert {(f["table"], f["name"]): f["sha256"] for f in told["files"]} == {
        (Path(name).parts[1], Path(name).name): sha for name, sha in shas(release.folder).items() if "meta_publication" not in name
    }


def test_a_current_release_that_cannot_be_read_is_an_error(released: Settings) -> None:
    release = first_release(released)
    remove(release.folder)
    with pytest.raises(ApportionError, match="cannot be read"):
        current_release(released)
    assert publish_all(released).release_id == release.release_id
    assert current_release(released) is not None
