"""Small tables that people write - prices, rates, factors, evaluations: used whole or not at all.

Belongs here: what every such table shares - the one conversion, the conditions that several of them put on a row, and the refusal of a
file of which a row cannot be used. Does not: the columns of a kind (sources/<kind>.py); whether two rows contradict each other
(expectations/doors sees all files at once).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import Converted, FileSource, Incoming
from pipelines.ingestion.records import Records, land_records, open_records
from pipelines.landing import Staging

_DECIMAL = "'[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?'"
_LIMIT = "1e14"  # as for the money of a bill (money.py)


@dataclass(frozen=True)
class Reading:
    """How one file's rows are read: SQL over ``records``, as land_records() takes it. Columns without an expression go by their type."""

    expressions: Mapping[str, str]
    unusable: Mapping[str, str]
    given: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class StatedTable(FileSource):
    """A source of files (CSV, JSON, Parquet) of one table. A kind names its columns' spellings and implements ``reading``."""

    formats = ("csv", "tsv", "json", "parquet")
    aliases: ClassVar[Mapping[str, Sequence[str]]]
    required: ClassVar[tuple[str, ...]]
    span: ClassVar[tuple[str, str]] = ("valid_from", "valid_to")

    @abstractmethod
    def reading(self, records: Records) -> Reading:
        """What becomes of the rows of one file."""

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One table; refused as a whole where a row cannot be used."""
        [table] = self.tables
        with open_records(incoming) as records:
            records.require([self.names(column) for column in self.required], incoming.where)
            reading = self.reading(records)
            landed = land_records(
                records,
                incoming,
                staging,
                table,
                aliases=self.aliases,
                expressions=reading.expressions,
                given=reading.given,
                unusable=reading.unusable,
                span=self.span,
            )
            return _whole_or_refused(landed, incoming)

    def names(self, column: str) -> Sequence[str]:
        """The names that a column may have in a file."""
        return self.aliases.get(column, (column,))

    def text(self, records: Records, column: str) -> str:
        """SQL: a column's text without blanks around it; NULL where nothing is left."""
        return f"nullif(trim({records.text(*self.names(column))}), '')"

    def amount(self, records: Records, column: str) -> str:
        """SQL: the text of a number that has to be there."""
        return f"trim({records.text(*self.names(column))})"


def no_number(x: str) -> str:
    """SQL condition: the text is no finite decimal number below 1e14 (missing text is none either)."""
    return f"NOT coalesce(regexp_full_match({x}, {_DECIMAL}) AND abs(TRY_CAST({x} AS DOUBLE)) < {_LIMIT}, false)"


def too_fine(x: str) -> str:
    """SQL condition: the number has more than six decimals."""
    return f"TRY_CAST({x} AS DECIMAL(38, 12)) <> round(TRY_CAST({x} AS DECIMAL(38, 12)), 6)"


def no_whole_days(what: str) -> dict[str, str]:
    """Reason -> SQL condition: what holds for whole UTC days begins and ends at midnight."""
    condition = "valid_from <> date_trunc('day', valid_from) OR valid_to <> date_trunc('day', valid_to)"
    return {f"valid_from or valid_to is not a day: {what} holds for whole UTC days": condition}


NO_INTERVAL = {"valid_to is not after valid_from": "valid_to <= valid_from"}


def truth(x: str) -> str:
    """SQL: the BOOLEAN that a text says in one of the usual words; NULL where it says none."""
    said = f"lower(trim({x}))"
    return f"CASE WHEN {said} IN ('true', 't', 'yes', 'y', '1') THEN true WHEN {said} IN ('false', 'f', 'no', 'n', '0') THEN false END"


def currency_code(x: str) -> str:
    """SQL: an ISO 4217 code in capitals; text that is none stays as it is."""
    return f"upper(trim({x}))"


def _whole_or_refused(converted: Converted, incoming: Incoming) -> Converted:
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
