"""The archive: what was published when comes back byte for byte, whatever has become of its folder."""

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

import pytest

from pipelines.errors import ApportionError, UsageError
from pipelines.history import database
from pipelines.history.archive import archived, object_path, root
from pipelines.history.as_of import materialise
from pipelines.history.finding import find, pair
from pipelines.history.pruning import prune
from pipelines.landing import sha256_file
from pipelines.publish import Release
from pipelines.settings import REPOSITORY, Settings
from tests.history.bills import Bearer, Charge, ask, publish_charges, set_clock, settings_for, write_warehouse

DAYS = [dt.date(2026, 10, 1), dt.date(2026, 10, 2)]
FIRST = Charge(DAYS[0], "4", bearers=(Bearer("training_run/r", "3", "vision"), Bearer(None, "1", None, "unallocated_idle")))
SECOND = Charge(DAYS[1], "10")


def shas(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, list[Release], list[dict[str, str]]]:
    """Releases A, B and C, of which only C's folder is left; with the bytes that each had."""
    settings = settings_for(tmp_path_factory.mktemp("three"), keep_releases=1)
    releases, bytes_ = [], []
    for second in ("10", "12.5", "13"):
        releases.append(publish_charges(settings, [FIRST, SECOND.but(cost=second)]))
        bytes_.append(shas(settings.published / "current" / "parquet"))
    set_clock(settings, [dt.datetime(2026, 10, n, 5) for n in (3, 4, 6)])
    return settings, releases, bytes_


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_past_release_comes_back_byte_for_byte(
    three: tuple[Settings, list[Release], list[dict[str, str]]], number: int, tmp_path: Path
) -> None:
    settings, releases, bytes_ = three
    assert [r.folder.exists() for r in releases] == [False, False, True]
    told = materialise(settings, find(archived(settings), releases[number].release_id), tmp_path / "then")
    assert shas(tmp_path / "then" / "parquet") == bytes_[number]
    assert len(bytes_[number]) == 2 * 2 + 4  # two tables by day, three as a whole and meta_publication
    assert told["effective_usd"] == [Decimal("14"), Decimal("16.5"), Decimal("17")][number]
    path = tmp_path / "then" / "apportion.duckdb"
    assert ask(path, "select sum(effective_cost) from fct_cost_allocation") == [(told["effective_usd"],)]
    assert ask(path, "select comment from duckdb_tables() where table_name = 'fct_run_cost'") == [('what fct_run_cost says; it\'s "here"',)]
    assert ask(path, "select count(*) from duckdb_tables()") == [(6,)]


def test_the_meta_rows_come_back_too(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home")
    release = publish_charges(settings, [FIRST], deliveries=[("aws", "2026-10", "d1")])
    materialise(settings, archived(settings)[0], tmp_path / "then")
    query = "select source, release_id, deliveries from meta_publication"
    expected = [("aws", release.release_id, '[{"period":"2026-10","delivery_id":"d1"}]')]
    assert ask(tmp_path / "then" / "apportion.duckdb", query) == ask(settings.published / "apportion.duckdb", query) == expected


@pytest.mark.parametrize(
    ("when", "number"),
    [
        ("2026-10-03T05:00", 0),
        ("2026-10-04T04:59:59", 0),
        ("2026-10-04", 1),
        ("2026-10-05", 1),
        ("2026-10-06T07:00+02:00", 2),
        ("2030-01-01", 2),
    ],
)
def test_an_instant_finds_what_was_current_then(
    three: tuple[Settings, list[Release], list[dict[str, str]]], when: str, number: int
) -> None:
    settings, releases, _ = three
    assert find(archived(settings), when).release_id == releases[number].release_id


def test_what_cannot_be_found_is_said(three: tuple[Settings, list[Release], list[dict[str, str]]], tmp_path: Path) -> None:
    settings, releases, _ = three
    earliest = f"earliest release in the archive is {releases[0].release_id} of 2026-10-03T05:00:00 UTC"
    with pytest.raises(UsageError, match=f"(?s)nothing had been published at 2026-10-02.*{earliest}"):
        find(archived(settings), "2026-10-02")
    with pytest.raises(UsageError, match="neither a release nor a time"):
        find(archived(settings), "last tuesday")
    with pytest.raises(UsageError, match="nothing has been published yet"):
        find([], "2026-10-02")
    with pytest.raises(UsageError, match="exists already"):
        materialise(settings, archived(settings)[0], tmp_path)
    with pytest.raises(UsageError, match="nothing was published before"):
        pair(archived(settings), None, releases[0].release_id)
    assert [r.sequence for r in pair(archived(settings), None, None)] == [2, 3]


def test_a_damaged_object_is_not_handed_out(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home", keep_releases=1)
    for cost in ("1", "2"):
        publish_charges(settings, [FIRST.but(cost=cost, bearers=())])
    old = archived(settings)[0]
    file = old.file("fct_charge_bucket", DAYS[0])
    assert file is not None
    victim = object_path(settings, file.sha256)
    victim.chmod(0o644)
    content = bytearray(victim.read_bytes())
    content[50] ^= 1
    victim.write_bytes(content)
    with pytest.raises(
        ApportionError, match="fct_charge_bucket/2026-10-01.parquet of release .* is not in the archive as it was published"
    ):
        materialise(settings, old, tmp_path / "then")
    assert not (tmp_path / "then").exists()


def test_unchanged_files_cost_nothing_and_a_release_that_comes_back_has_its_own_place(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home")
    one = publish_charges(settings, [FIRST, SECOND])
    publish_charges(settings, [FIRST, SECOND.but(cost="12")])
    again = publish_charges(settings, [FIRST, SECOND])
    assert one.release_id == again.release_id
    releases = archived(settings)
    assert [(r.sequence, r.release_id) for r in releases][::2] == [(1, one.release_id), (3, one.release_id)]
    name = ("fct_charge_bucket", "2026-10-01.parquet")
    assert len({r.files[name].sha256 for r in releases}) == 1
    kept = object_path(settings, releases[0].files[name].sha256)
    assert os.path.samefile(kept, settings.published / "current" / "parquet" / name[0] / name[1])
    assert name in releases[0].changed and name not in releases[1].changed
    # the second release changed buckets, ledger and meta_publication of its own; nothing else is a second time on disk
    changed = {table for table, _ in releases[1].changed}
    assert changed == {"fct_charge_bucket", "fct_cost_allocation"}


def test_publishing_the_same_again_archives_nothing(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home")
    publish_charges(settings, [FIRST])
    database.update(settings)
    before = {path: path.lstat().st_mtime_ns for path in settings.published.rglob("*")}
    assert not publish_charges(settings, [FIRST]).is_new
    database.update(settings)
    assert {path: path.lstat().st_mtime_ns for path in settings.published.rglob("*")} == before


def test_a_changed_marker_chain_is_an_error(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home")
    for cost in ("1", "2", "3"):
        publish_charges(settings, [FIRST.but(cost=cost, bearers=())])
    second = sorted((root(settings) / "releases").iterdir())[1]
    second.unlink()
    with pytest.raises(ApportionError, match="the marker before it, 000002-.*, is missing"):
        archived(settings)


def test_history_can_be_bounded(tmp_path: Path) -> None:
    """Releases that were replaced more than 10 days before the newest go, with the bytes that nobody else has; the rest reads as before."""
    settings = settings_for(tmp_path / "home", keep_releases=1)
    for cost in ("1", "2", "3", "4"):
        publish_charges(settings, [FIRST, SECOND.but(cost=cost)])
    set_clock(settings, [dt.datetime(2026, 10, 1), dt.datetime(2026, 10, 5), dt.datetime(2026, 10, 20), dt.datetime(2026, 10, 22)])
    before = archived(settings)
    assert prune(settings, before, None) == before
    kept = prune(settings, before, 10)  # the first was replaced on the 5th; the second on the 20th, after the 12th
    assert [r.sequence for r in kept] == [2, 3, 4]
    after = archived(settings)
    assert [r.sequence for r in after] == [2, 3, 4]
    assert [r.files for r in after] == [r.files for r in before[1:]]
    name = ("fct_charge_bucket", "2026-10-02.parquet")
    assert not object_path(settings, before[0].files[name].sha256).exists()
    for number, release in enumerate(after):
        materialise(settings, release, tmp_path / f"then-{number}")
    assert [r.sequence for r in prune(settings, after, 1, needed={2})] == [2, 3, 4]  # the second is old by now, but needed


PUBLISHER = """
import json, os, signal, sys
from pathlib import Path
from pipelines.publish import publish
from tests.history.bills import IDENTITY, settings_for

changes = {"os.link", "os.rename", "os.symlink", "os.chmod", "os.mkdir", "os.remove", "os.rmdir"}
last, seen = int(sys.argv[2]), []

def watch(event, arguments):
    if event in changes:
        seen.append([event, *map(str, arguments[:2])])
        if len(seen) == last:
            os.kill(os.getpid(), signal.SIGKILL)

settings = settings_for(Path(sys.argv[1]), keep_releases=1)
import datetime as dt
sys.addaudithook(watch)
publish(settings, {dt.date(2026, 10, 2)}, identity=IDENTITY)
print(json.dumps(seen))
"""


def publish_and_die(home: Path, step: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PUBLISHER, str(home), str(step)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
def test_a_publication_killed_after_the_swap_is_archived_by_the_next(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home", keep_releases=1)
    publish_charges(settings, [FIRST, SECOND])
    write_warehouse(settings, [FIRST, SECOND.but(cost="12")])
    rehearsal = tmp_path / "rehearsal"
    shutil.copytree(settings.home, rehearsal, symlinks=True)
    changes = json.loads(publish_and_die(rehearsal, 0).stdout)
    swap = next(n for n, c in enumerate(changes, start=1) if c[0] == "os.rename" and c[-1].endswith("/published/current"))
    linked = [n for n, c in enumerate(changes, start=1) if c[0] == "os.link" and "/history/objects/" in c[-1]]
    marker = next(n for n, c in enumerate(changes, start=1) if c[0] == "os.rename" and "/history/releases/" in c[-1])
    assert swap < linked[0] < linked[-1] < marker, "archived after the swap, the marker last"
    for step in (linked[0], linked[1], marker):
        killed = settings_for(tmp_path / f"killed-{step}", keep_releases=1)
        shutil.copytree(settings.home, killed.home, symlinks=True)
        assert publish_and_die(killed.home, step).returncode == -signal.SIGKILL
        assert [r.sequence for r in archived(killed)] == [1]
        expected = shas(killed.published / "current" / "parquet")
        publish_charges(killed, [FIRST, SECOND.but(cost="13")])
        releases = archived(killed)
        assert [r.sequence for r in releases] == [1, 2, 3]
        materialise(killed, releases[1], tmp_path / f"then-{step}")
        assert shas(tmp_path / f"then-{step}" / "parquet") == expected
