"""What BI does with a release: many readers while releases change, and an untrusted reader who must not get out."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from pipelines.publish import publish
from pipelines.settings import Settings
from tests import fake_warehouse
from tests.fake_warehouse import DAYS, IDENTITY, settings_for

REPOSITORY = Path(__file__).resolve().parent.parent
RELEASES = 5
UNTRUSTED = {"enable_external_access": "false", "lock_configuration": "true"}

# opens the file anew for every read, as a BI tool's pool does, and reads two facts and one whole table in three queries
READER = """
import json, sys, time
from pathlib import Path
import duckdb

path, stop = sys.argv[1], Path(sys.argv[2])
seen, reads, torn, errors = [], 0, 0, []
print("ready", flush=True)
while not stop.exists() or reads == 0:
    try:
        with duckdb.connect(path, read_only=True, config={"enable_external_access": "false", "lock_configuration": "true"}) as connection:
            ledger = connection.execute("select list(distinct service) from fct_cost_allocation").fetchone()[0]
            time.sleep(0.005)
            buckets = connection.execute("select list(distinct service) from fct_charge_bucket").fetchone()[0]
            runs = connection.execute("select list(distinct run_id) from fct_run_cost").fetchone()[0]
        reads += 1
        time.sleep(0.01)
        torn += not (ledger == buckets == runs and len(ledger) == 1)
        if not seen or seen[-1] != ledger[0]:
            seen.append(ledger[0])
    except Exception as error:
        errors.append(repr(error))
print(json.dumps({"seen": seen, "reads": reads, "torn": torn, "errors": errors}))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_for(tmp_path_factory.mktemp("home"))
    fake_warehouse.build(settings)
    publish(settings, set(DAYS), identity=IDENTITY)
    return settings


@pytest.mark.slow
def test_readers_never_meet_an_error_or_two_generations(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home", keep_releases=2)
    fake_warehouse.build(settings)
    publish(settings, set(DAYS), identity=IDENTITY)
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", READER, str(settings.published / "apportion.duckdb"), str(stop)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) for _ in range(2)]
    try:
        for reader in readers:
            assert reader.stdout is not None and reader.stdout.readline() == "ready\n"
        for generation in range(1, RELEASES + 1):
            with duckdb.connect(str(settings.warehouse)) as connection:
                for day in DAYS:
                    fake_warehouse.set_day(connection, day, generation)
                fake_warehouse.set_whole(connection, len(DAYS), generation)
            assert publish(settings, set(DAYS), identity=IDENTITY).is_new
            time.sleep(0.1)
        stop.touch()
        results = [json.loads(reader.communicate(timeout=30)[0]) for reader in readers]
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    for result in results:
        assert result["errors"] == []
        assert result["torn"] == 0
        assert result["reads"] > RELEASES
        assert result["seen"] == sorted(result["seen"])  # no reader ever went back
    assert len({generation for result in results for generation in result["seen"]}) >= RELEASES // 2
    assert max(result["seen"][-1] for result in results) == f"generation {RELEASES}"


def test_a_reader_that_stays_open_keeps_its_release_although_it_is_removed(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home", keep_releases=1)
    fake_warehouse.build(settings)
    first = publish(settings, set(DAYS), identity=IDENTITY)
    code = (
        "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True); print('open', flush=True); sys.stdin.readline();"
        " print(c.execute('select max(service) from fct_cost_allocation').fetchone()[0])"
    )
    command = [sys.executable, "-c", code, str(settings.published / "apportion.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "open\n"
        with duckdb.connect(str(settings.warehouse)) as connection:
            fake_warehouse.set_day(connection, DAYS[0], 9)
        publish(settings, {DAYS[0]}, identity=IDENTITY)
        assert not first.folder.exists()
        assert reader.communicate("go\n", timeout=30)[0] == "generation 0\n"


DENIED = {
    "write a file": "copy (select 1) to '{outside}'",
    "read a file": "select * from read_text('{secret}')",
    "read a CSV file": "select * from '{secret}'",
    "attach another file": "attach '{outside}.duckdb'",
    "install an extension": "install httpfs",
    "load an extension": "load httpfs",
    "export": "export database '{outside}'",
    "unlock": "set enable_external_access = true",
    "reconfigure": "set memory_limit = '1TB'",
    "change a table": "update fct_run_cost set run_cost_usd = 0",
    "drop a table": "drop table fct_run_cost",
    "create a table": "create table mine as select 1",
}


@pytest.mark.parametrize("what", DENIED)
def test_an_untrusted_reader_cannot(published: Settings, tmp_path: Path, what: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    outside = tmp_path / "outside"
    statement = DENIED[what].format(secret=secret, outside=outside)
    with duckdb.connect(str(published.published / "apportion.duckdb"), read_only=True, config=UNTRUSTED) as connection:
        with pytest.raises(duckdb.Error, match="(?i)disabled|locked|read-only|permission|cannot"):
            connection.execute(statement).fetchall()
        assert connection.execute("select count(*) from fct_run_cost").fetchone() == (1,)
    assert sorted(tmp_path.iterdir()) == [secret]


def test_an_untrusted_reader_can_ask_whatever_is_published(published: Settings) -> None:
    with duckdb.connect(str(published.published / "apportion.duckdb"), read_only=True, config=UNTRUSTED) as connection:
        total = connection.execute(
            "select usage_date, sum(effective_cost)::varchar from fct_cost_allocation join dim_date using (usage_date) group by all order by all"
        ).fetchall()
    assert total == [(dt.date(2026, 10, day), "8.500000000001") for day in (1, 2, 3)]


def test_a_reader_leaves_nothing_beside_the_file(published: Settings) -> None:
    folder = Path(os.path.realpath(published.published / "current"))
    with duckdb.connect(str(published.published / "apportion.duckdb"), read_only=True) as connection:
        connection.execute("select count(*) from fct_cost_allocation").fetchall()
        assert sorted(path.name for path in folder.iterdir()) == ["apportion.duckdb", "parquet", "release.json"]
    assert sorted(path.name for path in folder.iterdir()) == ["apportion.duckdb", "parquet", "release.json"]
