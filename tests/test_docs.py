"""No document describes what is not there."""

from __future__ import annotations

import re

import pytest

from pipelines import metrics, reference
from pipelines.settings import REPOSITORY, load_settings

PAGES = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")]


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_derived_pages_are_up_to_date(name):
    assert (REPOSITORY / "docs" / name).read_text(encoding="utf-8") == reference.PAGES[name](), "run `python -m pipelines.reference`"


def test_the_doc_blocks_of_the_metrics_are_up_to_date():
    assert metrics.BLOCKS.read_text(encoding="utf-8") == metrics.doc_blocks(), "run `python -m pipelines.reference`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    links = [t for t in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")) if "://" not in t]
    missing = [t for t in links if not (page.parent / t).exists()]
    assert missing == []


def test_named_files_exist():
    text = "\n".join(p.read_text(encoding="utf-8") for p in PAGES if p.name in ("README.md", "CONTRIBUTING.md", "DECISIONS.md"))
    named = set(re.findall(r"`((?:pipelines|dbt_project|expectations|tests|docs)/[\w/.]+\.(?:py|sql|yml|md|csv))`", text))
    assert named, "the documents name files"
    assert {n for n in named if not (REPOSITORY / n).exists() and "acme" not in n} == set()


def test_example_settings_are_valid(tmp_path, monkeypatch):
    settings = load_settings(REPOSITORY / "apportion.example.yml", tmp_path)
    assert [s.kind for s in settings.sources] == [
        "aws_cur", "gcp_billing", "aws_cur", "focus", "currency_rates", "rate_card", "dcgm", "nodes", "workloads", "slurm", "inference_metrics", "inference_requests",
    ]  # fmt: skip
    assert settings.policy_path == REPOSITORY / "policy.yml"


def test_make_targets_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = set(re.findall(r"`?make ([a-z-]+)", "\n".join(p.read_text(encoding="utf-8") for p in PAGES)))
    assert asked <= targets
