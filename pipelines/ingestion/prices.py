"""Price tables that people write: used whole or not at all.

Belongs here: what every such table shares - when a price is a price, and the refusal of a file of which a row cannot be used. Does
not: the columns of a kind (sources/<kind>.py); whether two rows contradict each other (expectations/raw.py sees all files at once).
"""

from __future__ import annotations

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import Converted, Incoming

_DECIMAL = "'[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?'"
_LIMIT = "1e14"  # as for the money of a bill (money.py)


def no_price(x: str) -> str:
    """SQL condition: the text is no finite decimal number below 1e14 (missing text is none either)."""
    return f"NOT coalesce(regexp_full_match({x}, {_DECIMAL}) AND abs(TRY_CAST({x} AS DOUBLE)) < {_LIMIT}, false)"


def currency_code(x: str) -> str:
    """SQL: an ISO 4217 code in capitals; text that is none stays as it is."""
    return f"upper(trim({x}))"


def whole_or_refused(converted: Converted, incoming: Incoming) -> Converted:
    """The conversion, unless a row or a value could not be used: leaving one out would price its hours by another rule, in silence."""
    if not converted.rejected:
        return converted
    first = converted.rejected[0]
    more = "; ".join(f"{r['reason']} ({r['rows']} rows, first {r['example']['row']})" for r in converted.rejected[1:4])
    raise DeliveryRefused(
        f"{first['reason']}: {first['rows']} rows" + (f"; also {more}" if more else ""),
        where=f"{incoming.where}, row {first['example']['row']}",
        remedy="correct the row; a table of prices is used whole or not at all, the last one keeps counting",
    )
