"""The dbt project's YAML as the suite reads it: each file once a process, by the C parser where there is one (the other takes five seconds for all).

Belongs here: reading. Does not: what a file must say.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parsed(text: str) -> Any:
    """What ``yaml.safe_load`` says of ``text``."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader


@cache
def yaml_file(path: Path) -> Any:
    """A file's content. It is every test's: change nothing in it."""
    return parsed(path.read_text(encoding="utf-8"))
