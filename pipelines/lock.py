"""The single writer: one process at a time writes an APPORTION_HOME.

Belongs here: taking the lock, and saying who has it. Does not: what the writer does. The lock is the kernel's (``flock``), so
that it ends with its holder however that dies; the file's text only tells who it is, and is never taken for the lock itself.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import ApportionError

LOCK_FILE = "writer.lock"
POLL_SECONDS = 0.05
GRACE_SECONDS = 0.3  # `lock_holder` holds the lock for an instant while it looks; a writer that starts just then waits that long


@contextmanager
def single_writer(home: Path, *, purpose: str = "apportion", wait_seconds: float = 0) -> Iterator[None]:
    """Hold the writer's lock of ``home`` while the block runs.

    Args:
        purpose: what runs, for whoever meets the lock.
        wait_seconds: how long to wait for another writer to end.

    Raises ApportionError, naming the holder, where another process (or another block of this one) has it.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / LOCK_FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(descriptor, max(wait_seconds, GRACE_SECONDS)):
            raise ApportionError(
                f"another process is writing: {_describe(_read(descriptor))}",
                where=str(path),
                remedy="wait until it ends; the lock ends with that process, deleting the file frees nothing",
            )
        _write(descriptor, {"pid": os.getpid(), "host": socket.gethostname(), "started_at": _now(), "purpose": purpose})
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)  # releases the lock


def lock_holder(home: Path) -> dict[str, Any] | None:
    """Who writes ``home`` now: pid, host, started_at, purpose. ``None`` where nobody does, whatever the file says."""
    try:
        descriptor = os.open(home / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if _take(descriptor, 0):
            return None
        return _read(descriptor) or {"pid": None, "host": None, "started_at": None, "purpose": None}
    finally:
        os.close(descriptor)


def _take(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        else:
            return True


def _write(descriptor: int, holder: dict[str, Any]) -> None:
    text = json.dumps(holder, sort_keys=True).encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text, 0)
    os.fsync(descriptor)


def _read(descriptor: int) -> dict[str, Any]:
    """What the file says; empty where it says nothing readable (a holder that has just begun)."""
    try:
        told = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _describe(holder: dict[str, Any]) -> str:
    if not holder:
        return "a process that has just begun"
    return f"{holder.get('purpose')} (pid {holder.get('pid')} on {holder.get('host')}, since {holder.get('started_at')})"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
