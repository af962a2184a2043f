"""The bill's charges of some days, built again beside the warehouse from the deliveries that the release names.

Belongs here: the scratch database, its inputs, and the compiled queries. Does not: which models it needs (project.py), what is asked of it
(charges.py).

Nothing that a night writes is opened: the landed files are immutable, everything else lies in a temporary folder.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines import dbt, planning, warehouse
from pipelines.errors import ApportionError
from pipelines.explaining.ledger import Publication
from pipelines.explaining.project import ANALYSES, keep_parsed, parsed_project, write_project
from pipelines.landing import Landing
from pipelines.policy import load_policy
from pipelines.settings import Settings
from pipelines.source import Delivery

QUICK = ("--no-write-json", "--no-populate-cache")  # nobody reads the artifacts, and the scratch database is empty


@dataclass(frozen=True)
class Rebuilt:
    """The scratch database and the compiled queries (name -> SQL)."""

    connection: duckdb.DuckDBPyConnection
    sql: dict[str, str]
    deliveries: tuple[Delivery, ...]

    def narrow(self, days: Iterable[dt.date]) -> None:
        """Let the charges be those of ``days`` only."""
        warehouse.replace_days(self.connection, "dirty_days", days)


def released_deliveries(settings: Settings, publication: Publication) -> list[Delivery]:
    """The deliveries that the release was made from, as they are landed. Raises ApportionError where one is gone."""
    landing = Landing(settings.raw)
    found = []
    for source, period, delivery_id in publication.deliveries:
        folder = landing.delivery_folder(source, period, delivery_id)
        try:
            delivery = landing.load(source, period, delivery_id)
        except FileNotFoundError:
            raise _gone(f"delivery {delivery_id} of {source} ({period})", folder) from None
        found.append(delivery)
    return found


def _gone(what: str, where: Path) -> ApportionError:
    return ApportionError(
        f"{what} is gone: the charges of this release cannot be shown",
        where=str(where),
        remedy="restore the landing zone from a backup, or explain without --charges: the ledger itself is all there",
    )


@contextmanager
def rebuilt(settings: Settings, publication: Publication, days: set[dt.date]) -> Iterator[Rebuilt]:
    """The charges of ``days`` in a scratch database, while the block lasts.

    Raises ApportionError where the code is not the one that the release was computed by, or a delivery is gone.
    """
    if planning.code_digest() != publication.code_digest:
        raise ApportionError(
            f"release {publication.release_id} was computed by other SQL than this checkout's: its charges would come out otherwise",
            where=str(dbt.PROJECT),
            remedy="run a night with this code and explain its release, or check out the code of the release; without --charges nothing is computed",
        )
    deliveries = planning.touching(released_deliveries(settings, publication), days)
    for delivery in deliveries:
        for file in delivery.files:
            if not file.path.is_file():
                raise _gone(f"a file of delivery {delivery.delivery_id} of {delivery.source}", file.path)
    with tempfile.TemporaryDirectory(prefix="apportion-explain-") as folder:
        scratch = Settings(settings.values, Path(folder), settings.config_path)
        with warehouse.connect(scratch) as connection:
            warehouse.ensure_bookkeeping(connection)
            load_policy(settings.policy_path).write(connection)
            warehouse.write_deliveries(connection, deliveries)
            for table in ("dirty_days", "dirty_telemetry_days", "published_days"):
                warehouse.replace_days(connection, table, days)
            warehouse.write_raw_relations(connection, deliveries)
        project = write_project(scratch.home / "project")
        target = scratch.home / "dbt" / "target"
        parsed = parsed_project(settings, publication.code_digest, project)
        dbt.invoke(scratch, ["build", *QUICK], project=project, parsed=parsed)
        dbt.invoke(scratch, ["compile", "--select", *ANALYSES, *QUICK], project=project, parsed=parsed)
        if parsed is None:
            keep_parsed(settings, publication.code_digest, target / "partial_parse.msgpack")
        compiled = target / "compiled" / "apportion" / "analyses"
        with warehouse.connect(scratch) as connection:
            yield Rebuilt(
                connection, {name: (compiled / f"{name}.sql").read_text(encoding="utf-8") for name in ANALYSES}, tuple(deliveries)
            )
