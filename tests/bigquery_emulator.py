"""A BigQuery emulator on this machine, over HTTP and gRPC, for tests.

Belongs here: its own environment, starting, loading rows, stopping. Does not: what the rows are (tests/sources/fixtures).

Its python is ``$APPORTION_BQEMULATOR_PYTHON`` or that of ``.venv-bqemulator``, which is made from requirements-bqemulator.txt where it is
missing. Its arithmetic is not BigQuery's (CAST AS NUMERIC keeps 3 decimals): assert what was stored, never what it computed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
REQUIREMENTS = REPOSITORY / "requirements-bqemulator.txt"
ENVIRONMENT = REPOSITORY / ".venv-bqemulator"
PROJECT = "apportion-test"
DATASET = "billing"
START_SECONDS = 90
INSERT_ROWS = 500
_NO_TELEMETRY = {"DO_NOT_TRACK": "1", "OTEL_SDK_DISABLED": "true", "BQEMU_TRACING_ENABLED": "false", "BQEMU_METRICS_ENABLED": "false"}


def emulator_python() -> Path:
    """The interpreter that has the emulator; makes its environment at the first call on a machine (under a lock)."""
    if named := os.environ.get("APPORTION_BQEMULATOR_PYTHON"):
        return Path(named)
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    python, marker = ENVIRONMENT / "bin" / "python", ENVIRONMENT / "complete"
    lock = Path(tempfile.gettempdir()) / f"bqemulator-{hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:12]}.lock"
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not marker.exists() or marker.read_text() != wanted:
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            _make_environment(python)
            marker.write_text(wanted)
    return python


def _make_environment(python: Path) -> None:
    uv = shutil.which("uv")
    if uv:
        commands = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(ENVIRONMENT)],
            [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), "-r", str(REQUIREMENTS)],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(ENVIRONMENT)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)],
        ]
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


@dataclass
class Emulator:
    """A running emulator. ``url`` is the REST endpoint, ``grpc_target`` host:port of the Storage Read API."""

    url: str
    grpc_target: str
    project: str = PROJECT
    dataset: str = DATASET

    @cached_property
    def client(self) -> Any:
        """A client of the emulator, for loading and for looking at its jobs."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        return bigquery.Client(project=self.project, credentials=AnonymousCredentials(), client_options={"api_endpoint": self.url})

    @cached_property
    def read_client(self) -> Any:
        """A client of its Storage Read API."""
        import grpc
        from google.cloud.bigquery_storage import BigQueryReadClient
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=grpc.insecure_channel(self.grpc_target)))

    def location(self, table: str) -> str:
        """What a source's ``location`` says for a table."""
        return f"bigquery://{self.project}.{self.dataset}.{table}"

    def create(self, table: str, schema: list[Any], partition_column: str | None = None) -> None:
        """An empty day-partitioned table; by ingestion time where no column is named."""
        from google.cloud import bigquery

        self.client.create_dataset(self.dataset, exists_ok=True)
        described = bigquery.Table(f"{self.project}.{self.dataset}.{table}", schema=schema)
        described.time_partitioning = bigquery.TimePartitioning(field=partition_column)
        self.client.create_table(described)

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Append rows given as the REST API takes them."""
        name = f"{self.project}.{self.dataset}.{table}"
        for start in range(0, len(rows), INSERT_ROWS):
            errors = self.client.insert_rows_json(name, rows[start : start + INSERT_ROWS])
            assert not errors, errors

    def query_count(self) -> int:
        """How many query jobs were run since the start."""
        return sum(job.job_type == "query" for job in self.client.list_jobs(max_results=10_000))


@contextmanager
def running_emulator() -> Iterator[Emulator]:
    """Start an emulator on free loopback ports, yield it once it answers, stop it at the end."""
    python = emulator_python()
    with tempfile.TemporaryDirectory(prefix="bqemulator-") as folder:
        home = Path(folder)
        _offer_extension(python, home)
        rest, grpc = _free_port(), _free_port()
        command = [str(python), "-m", "bqemulator", "start", "--ephemeral", "--project", PROJECT]
        command += ["--rest-port", str(rest), "--grpc-port", str(grpc)]
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": folder,
            "TMPDIR": folder,
            "BQEMU_LOG_LEVEL": "warning",
            "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",
            **_NO_TELEMETRY,
        }
        log = home / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
        try:
            url = f"http://127.0.0.1:{rest}"
            _await_ready(process, f"{url}/healthz", log)
            yield Emulator(url, f"127.0.0.1:{grpc}")
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _offer_extension(python: Path, home: Path) -> None:
    """Put the spatial extension, which the emulator insists on, where its engine looks: nothing is downloaded."""
    script = (
        "import duckdb, duckdb_extension_spatial as s; print(duckdb.__version__); "
        "print(duckdb.connect().execute('pragma platform').fetchone()[0]); print(s.__path__[0])"
    )
    done = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=True)
    version, platform, package = done.stdout.splitlines()
    (source,) = Path(package).rglob("spatial.duckdb_extension")
    target = home / ".duckdb" / "extensions" / f"v{version}" / platform
    target.mkdir(parents=True)
    (target / source.name).symlink_to(source)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the BigQuery emulator ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - a loopback address
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the BigQuery emulator did not answer within {START_SECONDS} s:\n{log.read_text()[-3000:]}")
