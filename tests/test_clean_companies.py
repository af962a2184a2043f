"""A well-run company raises no alarm: not one in fifty of them, from the bill's files to the alert table.

Belongs here: false alarms. Does not: what must be found (demo/test_findings.py), single detectors (tests/governance).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.demo.generate import write_company
from pipelines.nightly import run
from pipelines.report import open_release
from pipelines.settings import load_settings
from pipelines.source import Window
from tests.clean_company import clean_company

pytestmark = pytest.mark.slow
SEEDS = [pytest.param(seed, marks=pytest.mark.xdist_group(f"seed {seed}")) for seed in range(1, 51)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_company_raises_no_alarm(seed: int, tmp_path: Path) -> None:
    company = clean_company(seed)
    folder, home = tmp_path / "company", tmp_path / "home"
    folder.mkdir()
    write_company(company, folder, company.days())
    settings = load_settings(folder / "apportion.yml", home)
    run(settings, Window(company.first_day, company.last_day))
    with open_release(settings) as connection:
        assert connection.execute("select count(*), count(distinct usage_date) from fct_cost_daily").fetchone()[1] == len(company.days())
        assert connection.execute("select alert_kind, subject, message from fct_alert").fetchall() == []
