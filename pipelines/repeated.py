"""What stands more than once in a list that people or machines wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

T = TypeVar("T", bound=Any)


def repeated(values: Iterable[T]) -> list[T]:
    """Each value that stands more than once, in their order."""
    return sorted(value for value, count in Counter(values).items() if count > 1)
