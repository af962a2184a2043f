"""Counting the rows that cannot be used, so that none disappears in silence.

Belongs here: the tally of a delivery's ``rejected`` entries. Does not: the reasons themselves (each format has its own).
"""

from __future__ import annotations

from typing import Any


class Rejects:
    """Rows left out of a delivery: how many for each reason, with the first example of each."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._rows: dict[str, int] = {}
        self._example: dict[str, dict[str, Any]] = {}

    def add(self, reason: str, rows: int = 1, *, row: int | str | None = None) -> None:
        """Count ``rows`` more for ``reason``; ``row`` is the place of the first of them (line, row number, series)."""
        if rows <= 0:
            return
        self._rows[reason] = self._rows.get(reason, 0) + rows
        self._example.setdefault(reason, {"file": self.file, "row": row})

    @property
    def total(self) -> int:
        """Rows counted over all reasons."""
        return sum(self._rows.values())

    def entries(self) -> list[dict[str, Any]]:
        """What ``Staging.seal`` takes: one entry per reason, in the order they were met."""
        return [{"reason": reason, "rows": rows, "example": self._example[reason]} for reason, rows in self._rows.items()]
