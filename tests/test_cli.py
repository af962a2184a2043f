"""The command line as a user meets it: exit codes, what goes to which stream, and errors that say how to mend them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def apportion(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("APPORTION_")} | environment
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parent.parent))


def test_help_names_every_command(tmp_path):
    result = apportion("--help", cwd=tmp_path)
    assert result.returncode == 0
    for command in (
        "nightly",
        "demo",
        "doctor",
        "explain",
        "releases",
        "as-of",
        "restatement",
        "close",
        "correct",
        "levers",
        "record-gpu",
        "what-if",
        "adopt-lever",
        "alert",
        "dbt",
        "version",
    ):
        assert command in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nightly", "--date", "2026-02-30"], "is not a date"),
        (["nightly", "--from", "2026-02-01"], "belong together"),
        (["nightly", "--date", "2026-02-01", "--from", "2026-02-01", "--to", "2026-02-02"], "exclude each other"),
        (["nightly", "--from", "2026-02-02", "--to", "2026-02-01"], "is after"),
        (["nightly", "--config", "nowhere.yml"], "settings file not found"),
        (["nightly", "--bogus"], "No such option"),
        (["frobnicate"], "No such command"),
    ],
)
def test_usage_errors_exit_2_and_say_what(tmp_path, arguments, said):
    result = apportion(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr


def test_settings_errors_name_file_source_and_remedy(tmp_path):
    (tmp_path / "apportion.yml").write_text("sources:\n  - {name: a, kind: aws_curr, location: .}\n")
    result = apportion("nightly", "--date", "2026-10-05", cwd=tmp_path)
    assert result.returncode == 2
    assert (
        "unknown source kind 'aws_curr'" in result.stderr
        and "source 'a'" in result.stderr
        and "aws_cur, carbon_factors, currency_rates, dcgm" in result.stderr
    )
    (tmp_path / "apportion.yml").write_text("sources:\n  - {name: a, kind: nodes, location: ., exta: 1}\n")
    result = apportion("nightly", "--date", "2026-10-05", cwd=tmp_path)
    assert result.returncode == 2 and "exta" in result.stderr
    (tmp_path / "apportion.yml").write_text("sources: [\n")
    result = apportion("nightly", "--date", "2026-10-05", cwd=tmp_path)
    assert result.returncode == 2 and "not valid YAML" in result.stderr


def test_without_sources_the_remedy_is_told(tmp_path):
    result = apportion("nightly", "--date", "2026-10-05", cwd=tmp_path)
    assert result.returncode == 1 and "no source is configured" in result.stderr and "apportion.example.yml" in result.stderr


def test_doctor_finds_what_is_missing_and_prints_json(tmp_path):
    result = apportion("doctor", "--json", cwd=tmp_path)
    assert result.returncode == 1
    checks = {c["subject"]: c for c in json.loads(result.stdout)["checks"]}
    assert checks["sources"]["ok"] is False and checks["release"]["remedy"]
    assert checks["duckdb"]["ok"] is True


def test_explain_before_any_release_says_what_to_run(tmp_path):
    result = apportion("explain", "run-1", cwd=tmp_path)
    assert result.returncode == 1 and "nothing is published yet" in result.stderr and "apportion nightly" in result.stderr


def test_demo_refuses_a_home_with_other_data(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "precious").write_text("mine")
    result = apportion("demo", cwd=tmp_path)
    assert result.returncode == 2 and "not the demo's" in result.stderr
    assert (tmp_path / "data" / "precious").read_text() == "mine"
