"""sacct output."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DeliveryRefused, UsageError
from pipelines.ingestion.nodelist import expand_nodelist
from pipelines.settings import load_settings
from tests.sources.fixtures import slurm as fixture
from tests.sources.reading import DAY, fetch, reasons, rows

HEADER = "JobIDRaw|Start|End|Elapsed|NodeList|AllocTRES\n"


def sacct(tmp_path, *lines, header=HEADER, name="sacct.txt", **entry):
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / name).write_text(header + "".join(line + "\n" for line in lines))
    (delivery,) = fetch("slurm", tmp_path, location=str(tmp_path / "in"), **entry)
    return delivery


def test_columns_of_a_real_looking_output(tmp_path):
    (delivery,) = fetch("slurm", tmp_path, **fixture.write(tmp_path / "in"))
    assert rows(delivery, "job_id_raw", "job_id", "state", "started_at", "ended_at", "elapsed_seconds", "node_list", "gpus_total") == [
        # 12:00 in Berlin in October is 10:00 UTC; 1-01:00:30 = 86,400 + 3,600 + 30 s
        ("679694", "679694", "COMPLETED", dt.datetime(2026, 10, 5, 10), dt.datetime(2026, 10, 6, 11, 0, 30), 90030,
         '["a0128","a0129","a0130","a0222"]', 8),
        ("679695", "679695_1", "CANCELLED by 380693", dt.datetime(2026, 10, 5, 10), dt.datetime(2026, 10, 5, 10, 1, 21), 81,
         '["a0222"]', 3),
        ("679695", "679695_1", "COMPLETED", dt.datetime(2026, 10, 5, 11), dt.datetime(2026, 10, 5, 12), 3600, '["a0222"]', 0),
        ("679696", "679696", "RUNNING", dt.datetime(2026, 10, 5, 10), None, 259200, '["b1"]', 1),
    ]  # fmt: skip
    assert rows(delivery, "job_name", "user_name", "account", "partition", "comment", "wckey")[:2] == [
        ('train "big"', "ann", "core", "a40", None, None),
        ("sweep", "ann", "core", "a40", "team=core", "wc1"),
    ]
    assert reasons(delivery) == {
        "not started": (1, 5),
        "a job step: its job's own row tells its time": (1, 6),
        "not as many fields as the header (a delimiter or line break inside a field)": (1, 7),
    }
    assert delivery.covers == (DAY, dt.date(9999, 12, 31))


def test_repeated_hour_is_resolved_by_elapsed(tmp_path):
    # Berlin, 2026-10-25: 03:00 CEST becomes 02:00 CET at 01:00 UTC; 02:30 happens at 00:30 and at 01:30 UTC
    delivery = sacct(
        tmp_path,
        "1|2026-10-25T02:30:00|2026-10-25T04:00:00|02:30:00|n|gres/gpu=1",  # 00:30 -> 03:00 UTC
        "2|2026-10-25T02:30:00|2026-10-25T04:00:00|01:30:00|n|gres/gpu=1",  # 01:30 -> 03:00 UTC
        "3|2026-10-25T01:30:00|2026-10-25T02:30:00|02:00:00|n|gres/gpu=1",  # 23:30 -> 01:30 UTC
        "4|2026-10-25T02:50:00|2026-10-25T02:10:00|00:20:00|n|gres/gpu=1",  # 00:50 -> 01:10 UTC: the clock went back between
        "5|2026-10-25T02:10:00|2026-10-25T02:20:00|00:10:00|n|gres/gpu=1",  # either hour fits: the earlier, counted
        "6|2026-10-25T02:10:00|Unknown|00:10:00|n|gres/gpu=1",  # running: the earlier, counted
        timezone="Europe/Berlin",
    )
    at = lambda d, h, m: dt.datetime(2026, 10, d, h, m)  # noqa: E731
    assert rows(delivery, "started_at", "ended_at") == [
        (at(25, 0, 30), at(25, 3, 0)),
        (at(25, 1, 30), at(25, 3, 0)),
        (at(24, 23, 30), at(25, 1, 30)),
        (at(25, 0, 50), at(25, 1, 10)),
        (at(25, 0, 10), at(25, 0, 20)),
        (at(25, 0, 10), None),
    ]
    assert reasons(delivery) == {"a time in the repeated hour of Europe/Berlin that Elapsed cannot tell: the earlier is taken": (2, 5)}


def test_skipped_hour_and_unreadable_times_are_counted(tmp_path):
    delivery = sacct(
        tmp_path,
        "1|2026-03-29T02:30:00|2026-03-29T04:00:00|00:30:00|n|gres/gpu=1",  # 02:30 does not exist that day in Berlin
        "2|2026-03-29T01:30:00|2026-03-29T03:30:00|01:00:00|n|gres/gpu=1",  # 00:30 -> 01:30 UTC
        "3|soon|2026-03-29T04:00:00|00:30:00|n|gres/gpu=1",
        "4|2026-03-29T12:00:00|2026-03-29T11:00:00|00:30:00|n|gres/gpu=1",
        timezone="Europe/Berlin",
    )
    assert rows(delivery, "job_id_raw", "started_at", "ended_at") == [
        ("2", dt.datetime(2026, 3, 29, 0, 30), dt.datetime(2026, 3, 29, 1, 30))
    ]
    assert reasons(delivery) == {
        "a time cannot be read, or does not exist in Europe/Berlin": (2, 1),
        "ends before it starts": (1, 4),
    }


def test_half_hour_shift_and_utc_default(tmp_path):
    # Lord Howe goes back by 30 minutes: 2026-04-05 02:00 (+11) -> 01:30 (+10:30) at 15:00 UTC on the 4th
    delivery = sacct(tmp_path, "1|2026-04-05T01:45:00|2026-04-05T03:00:00|01:15:00|n|gres/gpu=1", timezone="Australia/Lord_Howe")
    assert rows(delivery, "started_at", "ended_at") == [(dt.datetime(2026, 4, 4, 15, 15), dt.datetime(2026, 4, 4, 16, 30))]
    delivery = sacct(tmp_path, "1|2026-04-05T01:45:00|2026-04-05T03:00:00|01:15:00|n|gres/gpu=1", name="u.txt", include="u.txt")
    assert rows(delivery, "started_at") == [(dt.datetime(2026, 4, 5, 1, 45),)]


@pytest.mark.parametrize(
    ("tres", "gpus"),
    [
        ("billing=12,cpu=12,gres/gpu=2,mem=60000M,node=1", 2),
        ("gres/gpu:a100=2,gres/gpu:h100=4", 6),
        ("gres/gpu:a100=2,gres/gpu=2", 2),
        ("cpu=1,gres/gpumem=40G,gres/gpuutil=90", 0),
        ("", None),
        ("cpu=4,gres/gpu:h100=0,gres/shard=4", None),  # how many shards a GPU has is not told
        ("cpu=4,gres/mps=25,mem=1G", 0.25),  # of gres.conf's 100
        ("gres/gpu=1,gres/mps:a100=50", 1),
        ("gres/gpu=1,gres/gpu:a100_1g.10gb=1", None),  # an instance is no GPU
    ],
)
def test_gpus_of_an_allocation(tmp_path, tres, gpus):
    delivery = sacct(tmp_path, f"1|2026-10-05T10:00:00|2026-10-05T11:00:00|01:00:00|n|{tres}")
    assert rows(delivery, "gpus_total") == [(gpus,)]


def test_shards_are_parts_where_the_settings_tell_how_many(tmp_path):
    line = "1|2026-10-05T10:00:00|2026-10-05T11:00:00|01:00:00|n|cpu=4,gres/shard=4,mem=4000M"
    assert rows(sacct(tmp_path, line, shards_per_gpu=8), "gpus_total", "vcpus_total", "memory_gib_total") == [(0.5, 4.0, 4000 / 1024)]
    untold = sacct(tmp_path, line, name="u.txt", include="u.txt")
    assert rows(untold, "gpus_total") == [(None,)]
    assert reasons(untold) == {"gres/shard without shards_per_gpu in the settings: only labels place the job": (1, 1)}
    mig = sacct(tmp_path, line.replace("gres/shard", "gres/gpu:1g.10gb"), name="m.txt", include="m.txt")
    assert reasons(mig) == {"MIG instances, which are no GPUs: only labels place the job": (1, 1)}


@pytest.mark.parametrize(
    ("text", "gib"), [("mem=64G", 64.0), ("mem=1.5T", 1536.0), ("mem=1048576K", 1.0), ("mem=512", 0.5), ("cpu=1", None)]
)
def test_memory_of_an_allocation(tmp_path, text, gib):
    delivery = sacct(tmp_path, f"1|2026-10-05T10:00:00|2026-10-05T11:00:00|01:00:00|n|{text}")
    assert rows(delivery, "memory_gib_total") == [(gib,)]


def test_pairs_of_a_comment_are_tags(tmp_path):
    header = HEADER.strip() + "|Comment\n"
    delivery = sacct(
        tmp_path,
        "1|2026-10-05T10:00:00|Unknown|1|n|gres/gpu=1|run_id=r-9,team=core; team=other",
        "2|2026-10-05T10:00:00|Unknown|1|n|gres/gpu=1|nothing to say",
        header=header,
    )
    assert rows(delivery, "comment_tags") == [('{"run_id":"r-9","team":"core"}',), (None,)]


def test_output_without_allocations_leaves_steps_out_with_a_count(tmp_path):
    """sacct without --allocations: each job's steps repeat its time; an array's and a component's own ids are no steps."""
    header = "JobIDRaw|JobID|Start|End|Elapsed|NodeList|AllocTRES\n"
    at = "2026-10-05T10:00:00|2026-10-05T11:00:00|01:00:00|n|gres/gpu=1"
    lines = [
        f"1203|1200_3|{at}",
        f"1203.batch|1200_3.batch|{at}",
        f"1203.extern|1200_3.extern|{at}",
        f"1203.0|1200_3.0|{at}",
        f"1301|1300+1|{at}",
        f"1301.0|1300+1.0|{at}",
    ]
    delivery = sacct(tmp_path, *lines, header=header)
    assert rows(delivery, "job_id_raw", "job_id") == [("1203", "1200_3"), ("1301", "1300+1")]
    assert reasons(delivery) == {"a job step: its job's own row tells its time": (4, 2)}


@pytest.mark.parametrize(("elapsed", "seconds"), [("1-02:03:04", 93784), ("00:00:59", 59), ("59:59", 3599), ("", None)])
def test_elapsed(tmp_path, elapsed, seconds):
    delivery = sacct(tmp_path, f"1|2026-10-05T10:00:00|Unknown|{elapsed}|n|")
    assert rows(delivery, "elapsed_seconds") == [(seconds,)]


def test_parsable_with_trailing_delimiter_crlf_and_bad_node_list(tmp_path):
    delivery = sacct(
        tmp_path,
        "1|2026-10-05T10:00:00|2026-10-05T11:00:00|01:00:00|n[1-2]|gres/gpu=1|\r",
        "2|2026-10-05T10:00:00|2026-10-05T11:00:00|01:00:00|n[1-|gres/gpu=1|\r",
        "3|2026-10-05T10:00:00|2026-10-05T11:00:00|01:00:00|n[1]|gres/gpu=1||\r",
        header=HEADER.strip() + "|\r\n",
    )
    assert rows(delivery, "job_id_raw", "node_list", "alloc_tres") == [("1", '["n1","n2"]', "gres/gpu=1")]
    assert {k.split(" (")[0]: v for k, v in reasons(delivery).items()} == {
        "node list cannot be read": (1, 2),
        "not as many fields as the header": (1, 3),
    }


def test_unusable_outputs_and_settings_are_refused(tmp_path):
    with pytest.raises(DeliveryRefused, match="column missing: NodeList; AllocTRES"):
        sacct(tmp_path, header="JobIDRaw|Start|End\n")
    with pytest.raises(DeliveryRefused, match="column missing"):
        sacct(tmp_path, header="")
    config = tmp_path / "apportion.yml"
    config.write_text("sources: [{name: s, kind: slurm, location: in, timezone: Mars/Olympus}]")
    with pytest.raises(UsageError, match="not an IANA time zone"):
        load_settings(config, tmp_path).sources  # noqa: B018


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("a0128", ["a0128"]),
        ("a[0128-0130,0222]", ["a0128", "a0129", "a0130", "a0222"]),
        ("a[1-2],b-[08-10]-ib,login1", ["a1", "a2", "b-08-ib", "b-09-ib", "b-10-ib", "login1"]),
        ("r[1-2]n[01-02]", ["r1n01", "r1n02", "r2n01", "r2n02"]),
    ],
)
def test_node_lists(text, hosts):
    assert expand_nodelist(text) == hosts


@pytest.mark.parametrize("text", ["a[1-", "a]1", "a[x]", "a[1-2", "a[]", ",a", "a[0-99999999]"])
def test_node_lists_that_are_none(text):
    with pytest.raises(ValueError, match="node"):
        expand_nodelist(text)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 999)), min_size=1, max_size=20))
def test_node_lists_come_back(pairs):
    names = [f"{letter}{number:04d}" for letter, number in pairs]
    compressed = ",".join(f"{letter}[{number:04d}]" if number % 2 else f"{letter}{number:04d}" for letter, number in pairs)
    assert expand_nodelist(compressed) == names
