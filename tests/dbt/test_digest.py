"""The key of a list of texts: two different lists never have one key.

Belongs here: the macro ``digest``. Does not: what keys are made of.
"""

from __future__ import annotations

import hashlib

import duckdb
import pytest

from pipelines.settings import Settings
from tests.dbt.running import compile_inline


@pytest.fixture(scope="module")
def digest(empty_warehouse: Settings) -> str:
    """SQL: the digest of two parameters."""
    return compile_inline(empty_warehouse, "{{ digest(['$one', '$two']) }}")


def of(digest: str, one: str | None, two: str | None) -> str:
    with duckdb.connect() as connection:
        return connection.execute(f"select {digest}", {"one": one, "two": two}).fetchone()[0]


def test_it_is_the_md5_of_lengths_and_texts(digest: str) -> None:
    assert of(digest, "équipe", None) == hashlib.md5("6=équipe|~".encode(), usedforsecurity=False).hexdigest()


def test_no_list_looks_like_another(digest: str) -> None:
    """NULL is not '', and a text that holds the separators is not two texts: else hostile tags would merge charges of two owners."""
    lists = [
        (None, ""),
        ("", None),
        ("", ""),
        (None, None),
        ("~", None),
        ("a|1=b", "c"),
        ("a", "b|1=c"),
        ("a|=b", "c"),
        ("a", "b|=c"),
        ("a", "1=a"),
    ]
    assert len({of(digest, *texts) for texts in lists}) == len(lists)
