"""A machine with GPUs for tests: the fake driver, compiled here, in front of the real binding.

Belongs here: building it and running the recorder in a process of its own. Does not: assertions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "fake_nvml.c"
REPOSITORY = Path(__file__).resolve().parents[2]
Record = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a compiled libnvidia-ml.so.1."""
    pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed: the recorder was not run (pip install 'apportion[record]')")
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (gcc, cc): the stand-in for the driver cannot be built, the recorder was not run against it")
    folder = tmp_path_factory.mktemp("driver")
    command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(folder / "libnvidia-ml.so.1"), str(SOURCE)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture
def record(driver: Path, tmp_path: Path) -> Record:
    """Start ``apportion record-gpu`` with the fake driver (``driver=None``: with none), in ``tmp_path``."""

    def start(*arguments: str, driver: Path | None = driver, **environment: str) -> subprocess.Popen[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("APPORTION_", "FAKE_NVML", "LD_LIBRARY_PATH"))}
        env |= {"PYTHONPATH": str(REPOSITORY), **environment}
        if driver is not None:
            env["LD_LIBRARY_PATH"] = str(driver)
        command = [sys.executable, "-m", "pipelines.cli", "record-gpu", "--hostname", "box", *arguments]
        return subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start
