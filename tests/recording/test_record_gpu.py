"""`apportion record-gpu` against a driver compiled here, through the real binding; and its recording through the `dcgm` source.

No NVIDIA GPU takes part: what real silicon answers is tested by `test_on_a_real_gpu`, which says so where there is none.
"""

from __future__ import annotations

import datetime as dt
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import duckdb
import pytest

from pipelines.source import Delivery
from tests.recording.conftest import Record
from tests.sources.reading import fetch, reasons

LOOKS = ("--interval", "400ms", "--duration", "2s")  # five


def finish(process: subprocess.Popen[str], code: int = 0) -> tuple[dict, str]:
    """The JSON result and stderr of a recorder that must end with ``code``."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    return json.loads(out) if out.startswith("{") else {}, err


def landed(folder: Path, tmp_path: Path) -> list[Delivery]:
    """The deliveries that the `dcgm` source makes of a folder of a recording."""
    at = next(folder.iterdir()).stem.split("-")[1]
    return fetch("dcgm", tmp_path, dt.datetime.strptime(at[:8], "%Y%m%d").date(), location=str(folder), slot_seconds=1)


def table(files: list[Path], query: str) -> list[tuple]:
    """Rows of Parquet files as ``t``."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.from_parquet([str(f) for f in files]).create_view("t")
    return connection.execute(query).fetchall()


def test_both_formats_say_the_same_and_nothing_is_invented(record: Record, tmp_path: Path) -> None:
    """Five looks. GPU 0: 40 % on odd looks, 60 % on even; the first has no profiling yet. GPU 1 has two MIG instances with the device's power
    on both, and no utilization. GPU 2 has no energy counter, and is lost at its third look."""
    result, err = finish(record(*LOOKS, "--format", "both", "--json"))
    assert (result["looks"], result["missed_looks"], result["gpus"], result["samples"]) == (5, 0, 3, 5 + 2 * 5 + 2)
    assert err.count("GPU 2 (GPU-fake-2) is lost: GPU is lost") == 1
    parquet = list((tmp_path / "recording" / "parquet").iterdir())
    gpu_0 = table(
        parquet,
        "select DCGM_FI_DEV_GPU_UTIL, DCGM_FI_PROF_SM_ACTIVE, DCGM_FI_PROF_SM_OCCUPANCY, DCGM_FI_PROF_PIPE_TENSOR_ACTIVE,"
        " DCGM_FI_PROF_DRAM_ACTIVE, DCGM_FI_DEV_POWER_USAGE, DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION from t where gpu = '0' order by timestamp",
    )
    # NaN (occupancy) and an error of its own (tensor) are absent; the counter adds 300,000 mJ a look
    assert gpu_0 == [
        (40, None, None, None, None, 300, 50_000_300_000),
        (60, 0.6, None, None, 0.125, 300, 50_000_600_000),
        (40, 0.4, None, None, 0.125, 300, 50_000_900_000),
        (60, 0.6, None, None, 0.125, 300, 50_001_200_000),
        (40, 0.4, None, None, 0.125, 300, 50_001_500_000),
    ]
    instances = table(
        parquet,
        "select GPU_I_ID, GPU_I_PROFILE, UUID, DCGM_FI_DEV_POWER_USAGE, DCGM_FI_DEV_FB_USED, DCGM_FI_DEV_GPU_UTIL, count(*) from t"
        " where gpu = '1' group by all order by 1",
    )
    assert instances == [("2", "3g.40gb", "GPU-fake-1", 420.5, 20000, None, 5), ("7", "1g.10gb", "GPU-fake-1", 420.5, 12, None, 5)]
    old = table(
        parquet,
        "select DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, DCGM_FI_DEV_FB_USED, DCGM_FI_DEV_FB_RESERVED, modelName, pci_bus_id, device,"
        " DCGM_FI_DRIVER_VERSION, Hostname, count(*) from t where gpu = '2' group by all",
    )
    assert old == [(None, 1, None, "Tesla K80", "00000000:30:00.0", "nvidia2", "570.00.01", "box", 2)]
    (page,) = (tmp_path / "recording" / "exposition").iterdir()
    lines = [line for line in page.read_text().splitlines() if not line.startswith("#")]
    values = sum(sum(v is not None for v in row) for row in table(parquet, "select columns('DCGM_FI_(DEV|PROF)') from t"))
    assert len(lines) == values
    assert lines[0].startswith(
        'DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-fake-0",pci_bus_id="00000000:10:00.0",device="nvidia0",modelName="NVIDIA H100 80GB HBM3",'
        'Hostname="box",DCGM_FI_DRIVER_VERSION="570.00.01"} 40 '
    )


def test_our_own_source_reads_it_back(record: Record, tmp_path: Path) -> None:
    """Pages land as long rows, Parquet as wide ones; both hold every value, and nothing is rejected."""
    finish(record(*LOOKS, "--format", "both"))
    out = tmp_path / "recording"
    (pages,) = landed(out / "exposition", tmp_path / "a")
    (wide,) = landed(out / "parquet", tmp_path / "b")
    assert reasons(pages) == {} and wide.covers == pages.covers
    assert pages.files[0].table == "samples_long" and wide.files[0].table == "samples_wide" and wide.files[0].rows == 17
    assert set(wide.files[0].columns) >= {
        "sample_at", "hostname", "gpu_uuid", "gpu_index", "pci_bus_id", "gpu_model", "mig_profile", "mig_instance_id", "sm_active",
        "gr_engine_active", "gpu_util", "fb_used_mib", "power_w", "energy_mj",
    }  # fmt: skip
    energy = table(
        [pages.files[0].path],
        "select sample_at, value, mig_instance_id, slot_seconds from t where metric = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION' order by all",
    )
    parquet = list((out / "parquet").iterdir())
    assert energy == table(
        parquet,
        "select timestamp::timestamp, DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION, GPU_I_ID, 1 from t where DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION is not null"
        " order by all",
    )
    assert len(energy) == 5 + 10


def test_processes_and_their_owner(record: Record, tmp_path: Path) -> None:
    """A process of a Slurm job holds GPU 0 and one MIG instance: its memory, its own utilization (which the driver does not tell under MIG),
    and its job, which is on the samples of what it holds and on no other."""
    job = subprocess.Popen(["sleep", "60"], env={**os.environ, "SLURM_JOB_ID": "4711"})
    try:
        finish(record(*LOOKS, FAKE_NVML_PID=str(job.pid)))
    finally:
        job.kill()
        job.wait()
    processes = table(
        list((tmp_path / "recording" / "processes").iterdir()),
        "select gpu, GPU_I_ID, pid, kind, used_memory_bytes, list(sm_util_percent order by timestamp), slurm_job_id, pod_uid from t group by all order by 1",
    )
    percent = [40, 60, 40, 60, 40]
    assert processes == [
        ("0", None, job.pid, "compute", 5 << 30, percent, "4711", None),
        ("1", "2", job.pid, "compute", 5 << 30, [None] * 5, "4711", None),
    ]
    held = table(
        list((tmp_path / "recording" / "parquet").iterdir()), "select distinct gpu, GPU_I_ID from t where hpc_job = '4711' order by all"
    )
    assert held == [("0", None), ("1", "2")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(record: Record, tmp_path: Path, number: signal.Signals) -> None:
    process = record("--interval", "100ms", "--format", "both", "--json")
    wait_for(tmp_path / "recording" / ".unfinished", "*.prom")
    process.send_signal(number)
    result, _ = finish(process)
    assert result["looks"] >= 1 and {Path(f).parent.name for f in result["files"]} == {"exposition", "parquet"}
    assert [p.name for p in (tmp_path / "recording" / ".unfinished").iterdir()] == ["lock"]


def test_files_rotate_and_a_killed_recorder_leaves_whole_lines(record: Record, tmp_path: Path) -> None:
    """A new file every 300 ms. After kill -9 the page that was open is completed by the next recorder, up to its last whole line."""
    result, _ = finish(record("--interval", "100ms", "--duration", "1s", "--rotate", "300ms", "--format", "exposition", "--json"))
    assert result["looks"] + result["missed_looks"] == 10 and len(result["files"]) in (3, 4)
    process = record("--interval", "100ms", "--format", "exposition")
    unfinished = wait_for(tmp_path / "recording" / ".unfinished", "*.prom")
    process.kill()
    process.communicate()
    with unfinished.open("a") as page:
        page.write('DCGM_FI_DEV_GPU_UTIL{gpu="0",UU')  # what a kill in the middle of a write leaves
    finish(record(*LOOKS, "--format", "exposition"))
    completed = tmp_path / "recording" / "exposition" / unfinished.name
    assert completed.read_text().endswith("\n") and not unfinished.exists()
    assert all(reasons(d) == {} for d in landed(completed.parent, tmp_path))


def test_two_recorders_do_not_write_one_folder(record: Record, tmp_path: Path) -> None:
    first = record("--interval", "100ms", "--format", "exposition")
    wait_for(tmp_path / "recording" / ".unfinished", "*.prom")
    _, err = finish(record(*LOOKS), code=2)
    assert "another recorder writes there" in err and "remedy" in err
    first.terminate()
    finish(first)


def test_every_gpu_lost_is_a_failure_that_keeps_what_was_recorded(record: Record, tmp_path: Path) -> None:
    _, err = finish(record("--interval", "100ms", FAKE_NVML="all_lost"), code=1)
    assert "every GPU is lost" in err and err.count("is lost: GPU is lost") == 3
    assert table(list((tmp_path / "recording" / "parquet").iterdir()), "select count(*) from t") == [(2 * 4,)]


@pytest.mark.parametrize(
    ("mode", "said"),
    [("no_driver", "no NVIDIA driver answers on this machine (Driver Not Loaded)"), ("no_gpu", "has no NVIDIA GPU that the driver shows")],
)
def test_without_a_gpu_it_says_so_with_the_remedy(record: Record, tmp_path: Path, mode: str, said: str) -> None:
    _, err = finish(record(FAKE_NVML=mode), code=2)
    assert said in err and "remedy: " in err and not (tmp_path / "recording").exists()


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="this machine has a driver")
def test_without_a_driver_it_says_so_with_the_remedy(record: Record, tmp_path: Path) -> None:
    _, err = finish(record(driver=None), code=2)
    assert "no NVIDIA driver answers on this machine" in err and "nvidia-smi" in err and not (tmp_path / "recording").exists()


def test_without_the_binding_it_names_the_extra(record: Record, tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("raise ImportError\n")
    _, err = finish(record(PYTHONPATH=os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[2])])), code=2)
    assert "apportion[record]" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--interval", "fast"], "--interval 'fast' is not a length of time"),
        (["--interval", "10ms"], "shorter than 0.1 s"),
        (["--duration", "0s"], "--duration '0s' is not a length of time"),
        (["--format", "csv"], "--format 'csv' is not known"),
    ],
)
def test_usage_errors(record: Record, arguments: list[str], said: str) -> None:
    _, err = finish(record(*arguments), code=2)
    assert said in err


PAGE = """DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-fake-1",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"} 0.25
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-fake-1",GPU_I_PROFILE="3g.40gb",GPU_I_ID="2"} 7
DCGM_FI_PROF_SM_ACTIVE{gpu="0",UUID="GPU-fake-0"} 0.99
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-fake-0"} 99
"""


class Exporter(http.server.BaseHTTPRequestHandler):
    """A dcgm-exporter that answers every other scrape."""

    answers = 0

    def do_GET(self) -> None:
        Exporter.answers += 1
        self.send_response(200 if Exporter.answers % 2 else 500)
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: object) -> None:
        return None


def test_a_running_exporter_gives_profiling_where_the_device_has_none(record: Record, tmp_path: Path) -> None:
    """0.25 for the instance without GPM, on the looks that the exporter answered; 7 is no ratio; the device's own GPM wins where it has one (the
    first look has none yet: the exporter's 0.99)."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        _, err = finish(record(*LOOKS, "--exporter", f"http://127.0.0.1:{server.server_port}/metrics"))
    finally:
        server.shutdown()
        server.server_close()
    assert err.count("does not answer") == 2  # looks 2 and 4: told each time it stops answering
    found = table(
        list((tmp_path / "recording" / "parquet").iterdir()),
        "select gpu, GPU_I_ID, list(coalesce(DCGM_FI_PROF_GR_ENGINE_ACTIVE, -1) order by timestamp), list(coalesce(DCGM_FI_PROF_SM_ACTIVE, -1) order by"
        " timestamp) from t where gpu <> '2' group by all order by 1, 2",
    )
    none = [-1.0] * 5
    assert found == [
        ("0", None, [-1, 0.6, 0.4, 0.6, 0.4], [0.99, 0.6, 0.4, 0.6, 0.4]),
        ("1", "2", none, none),
        ("1", "7", [0.25, -1, 0.25, -1, 0.25], none),
    ]


def test_on_a_real_gpu(tmp_path: Path, record: Record) -> None:
    """On real silicon: every GPU that `nvidia-smi` lists is there, with memory, power and temperature in a sane range."""
    if shutil.which("nvidia-smi") is None or not Path("/dev/nvidiactl").exists():
        pytest.skip("no NVIDIA GPU on this machine: real NVML answers, GPM on Hopper and MIG on silicon were not run")
    finish(record("--interval", "1s", "--duration", "5s", driver=None))
    uuids = {line.split("UUID: ")[1].rstrip(")\n") for line in os.popen("nvidia-smi -L") if "UUID: GPU" in line}
    found = table(
        list((tmp_path / "recording" / "parquet").iterdir()),
        "select UUID, max(DCGM_FI_DEV_POWER_USAGE) between 1 and 3000, max(DCGM_FI_DEV_FB_FREE) > 0, max(DCGM_FI_DEV_GPU_TEMP) between 5 and 120,"
        " bool_and(coalesce(DCGM_FI_PROF_SM_ACTIVE, 0) between 0 and 1) from t group by 1",
    )
    assert {row[0] for row in found} == uuids and all(all(row[1:]) for row in found)


def wait_for(folder: Path, pattern: str) -> Path:
    """The first file of ``pattern`` that has a line, within 30 s."""
    for _ in range(600):
        for path in folder.glob(pattern):
            if path.stat().st_size:
                return path
        time.sleep(0.05)
    raise AssertionError(f"no {pattern} in {folder}")
