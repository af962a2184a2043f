"""The page of AWS's line item types says what is there: every type of the seed has its row, and every row a test that exists."""

from __future__ import annotations

import csv
import re
from functools import cache

from pipelines import dbt
from pipelines.settings import REPOSITORY
from tests.project_files import yaml_file

PAGE = REPOSITORY / "docs" / "line-types.md"
TYPES = dbt.PROJECT / "seeds" / "aws_line_item_types.csv"
CATEGORIES = dbt.PROJECT / "seeds" / "aws_service_categories.csv"
FOCUS_SERVICE_CATEGORIES = {
    "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools", "Multicloud", "Identity", "Integration",
    "Internet of Things", "Management and Governance", "Media", "Migration", "Mobile", "Networking", "Security", "Storage", "Web", "Other",
}  # fmt: skip


def rows() -> list[list[str]]:
    """The cells of the first table's rows."""
    table = PAGE.read_text(encoding="utf-8").split("|---|---|---|---|---|---|---|---|---|\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def seed(path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


@cache
def known_tests() -> set[str]:
    """Names of every pytest function and every dbt unit test."""
    pytests = {
        name
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    documents = [yaml_file(path) for path in (dbt.PROJECT / "models").rglob("*__unit_tests.yml")]
    return pytests | {test["name"] for document in documents for test in document["unit_tests"]}


def test_every_type_has_its_row_and_every_row_its_test() -> None:
    table = rows()
    assert {len(cells) for cells in table} == {9}
    told = {name for cells in table for name in re.findall(r"`(\w+)`", cells[0])} - {"EKSPod", "ECSTask"}
    assert told == {row["line_item_type"] for row in seed(TYPES)} | {"SplitLineItem", "CommitmentTrueUp"}
    proofs = {name for cells in table for name in re.findall(r"`(\w+)`", cells[8])}
    assert all(re.findall(r"`\w+`", cells[8]) for cells in table)
    assert proofs <= known_tests()


def test_the_page_names_only_tests_that_exist() -> None:
    named = set(re.findall(r"`((?:test|aws)_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 8
    assert named <= known_tests()


def test_the_classes_of_the_page_are_those_of_the_seed() -> None:
    classes = {row["line_item_type"]: row["cost_class"] for row in seed(TYPES)}
    for cells in rows():
        name = re.fullmatch(r"`(\w+)`(?: otherwise)?", cells[0])
        if name and name[1] in classes:
            assert cells[6].strip("`").replace("attribution", "") == classes[name[1]], name[1]


def test_service_categories_are_those_of_focus() -> None:
    found = seed(CATEGORIES)
    assert len(found) == len({row["product_code"] for row in found}) > 20
    assert {row["service_category"] for row in found} <= FOCUS_SERVICE_CATEGORIES
