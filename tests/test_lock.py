"""The single writer's lock, against a real second process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.errors import ApportionError
from pipelines.lock import LOCK_FILE, lock_holder, single_writer

REPOSITORY = Path(__file__).resolve().parent.parent
HOLDER = """
import sys, time
from pathlib import Path
from pipelines.lock import single_writer
with single_writer(Path(sys.argv[1]), purpose="night of 2026-10-05"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holder(home: Path, seconds: float = 60) -> Iterator[subprocess.Popen[str]]:
    """A second process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(home), str(seconds)], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(ApportionError) as refusal, single_writer(tmp_path):
            pytest.fail("two writers")
        assert f"night of 2026-10-05 (pid {process.pid} on " in refusal.value.what
        assert ", since 20" in refusal.value.what
        assert refusal.value.where == str(tmp_path / LOCK_FILE)
        assert "wait until it ends" in str(refusal.value)
        told = lock_holder(tmp_path)
        assert told is not None
        assert (told["pid"], told["purpose"]) == (process.pid, "night of 2026-10-05")


def test_kill_9_frees_the_lock_although_the_file_still_names_the_dead(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert str(process.pid) in (tmp_path / LOCK_FILE).read_text()
        assert lock_holder(tmp_path) is None
        with single_writer(tmp_path, purpose="the next night"):
            told = lock_holder(tmp_path)
            assert told is not None and told["pid"] == os.getpid() and told["purpose"] == "the next night"
    assert lock_holder(tmp_path) is None


def test_waiting_gets_the_lock_when_the_holder_ends(tmp_path: Path) -> None:
    with holder(tmp_path, seconds=0.6):
        started = time.monotonic()
        with single_writer(tmp_path, wait_seconds=20):
            assert 0.2 < time.monotonic() - started < 20


def test_a_second_block_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with single_writer(tmp_path), pytest.raises(ApportionError, match=f"pid {os.getpid()}"), single_writer(tmp_path):
        pytest.fail("two writers")


def test_the_lock_is_free_after_an_error_in_the_block(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), single_writer(tmp_path):
        _ = 1 // 0
    assert lock_holder(tmp_path) is None
    assert (tmp_path / LOCK_FILE).read_text() == ""


def test_text_in_the_file_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text('{"pid": 1, "host": "gone", "started_at": "2020-01-01T00:00:00+00:00", "purpose": "stale"}')
    assert lock_holder(tmp_path) is None
    with single_writer(tmp_path):
        assert lock_holder(tmp_path)["pid"] == os.getpid()  # type: ignore[index]


def test_a_home_that_does_not_exist_has_no_holder_and_can_be_written(tmp_path: Path) -> None:
    assert lock_holder(tmp_path / "new") is None
    with single_writer(tmp_path / "new"):
        assert lock_holder(tmp_path / "new") is not None


def test_looking_never_refuses_a_writer_that_starts_meanwhile(tmp_path: Path) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            lock_holder(tmp_path)

    watchers = [threading.Thread(target=look) for _ in range(2)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(20):
            with single_writer(tmp_path, wait_seconds=5):
                pass
    finally:
        stop.set()
        for watcher in watchers:
            watcher.join()
