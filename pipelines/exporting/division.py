"""The project's long division (dbt_project/macros/allocate.sql) for queries that dbt does not run.

Belongs here: rendering those macros for DuckDB. Does not: the rule, which stands in that file alone.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import cast

from jinja2 import Environment

from pipelines import dbt


@cache
def allocation_macros() -> ModuleType:
    """The macros of allocate.sql as functions of SQL expressions, rendered for DuckDB."""
    environment = Environment(autoescape=False)  # noqa: S701 - SQL, no HTML
    environment.globals.update(int_div=lambda a, b: f"(({a}) // ({b}))", gpu_parts=lambda: "7207200")
    return cast(ModuleType, environment.from_string((dbt.PROJECT / "macros" / "allocate.sql").read_text(encoding="utf-8")).module)


def long_division() -> tuple[str, ...]:
    """Statements that make ``long_quotient(u, w, t)`` and ``long_remainder(u, w, t)``: u x w / t, exactly, where the product has more than 38
    digits (u < 1e24, w <= t < 1e32)."""
    macros = allocation_macros()
    bodies = {"long_quotient": macros.long_quotient("u", "w", "t"), "long_remainder": macros.long_remainder("u", "w", "t", 0)}
    return tuple(f"create or replace temp macro {name}(u, w, t) as {body}" for name, body in bodies.items())
