"""A well-run company raises no alarm: not one in fifty of them, from the bill's files to the alert table.

Belongs here: false alarms. Does not: what must be found (demo/test_findings.py), single detectors (tests/governance), gates and publication,
which judge no figure anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import warehouse
from pipelines.demo.generate import write_company
from tests.clean_company import clean_company
from tests.oracle.night import run_night

pytestmark = pytest.mark.slow
SEEDS = range(1, 51)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_company_raises_no_alarm(seed: int, tmp_path: Path) -> None:
    company = clean_company(seed)
    folder, home = tmp_path / "company", tmp_path / "home"
    folder.mkdir()
    write_company(company, folder, company.days())
    night = run_night(folder, home, company.first_day, company.last_day)
    with warehouse.connect(night.settings, read_only=True) as connection:
        assert connection.execute("select count(distinct usage_date) from published.fct_cost_daily").fetchone() == (len(company.days()),)
        assert connection.execute("select alert_kind, subject, message from published.fct_alert").fetchall() == []
