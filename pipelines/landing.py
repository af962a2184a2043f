"""The landing zone: immutable, content-addressed deliveries, and the pointer that says which one counts.

Layout under ``<APPORTION_HOME>/raw``::

    <source>/<period>/<delivery_id>/<table>-<n>.parquet     the rows, never rewritten
    <source>/<period>/<delivery_id>/delivery.json           the completed marker, written last
    <source>/<period>/pointer.json                          {"delivery_id": ..., "order": ...}, replaced atomically

Belongs here: staging, sealing, pointing, listing. Does not: formats and transports.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipelines.source import ControlTotal, Delivery, LandedFile

MARKER = "delivery.json"
POINTER = "pointer.json"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,79}")


def slug(period: str) -> str:
    """A folder name for a period: itself where it is plain, else a readable stem with a digest (no traversal possible)."""
    if _SAFE.fullmatch(period):
        return period
    stem = re.sub(r"[^A-Za-z0-9.=-]+", "_", period).strip("._")[-40:]
    return f"{stem or 'period'}~{hashlib.sha256(period.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, streamed."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``: temporary file, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(name, path)
    fsync_directory(path.parent)


def fsync_directory(path: Path) -> None:
    """Make a rename inside ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass
class Staging:
    """A delivery in the making: a private folder to write Parquet into, then ``seal``."""

    folder: Path
    landing: Landing
    source: str
    kind: str
    period: str
    files: list[LandedFile] = field(default_factory=list)

    def path(self, table: str) -> Path:
        """A fresh file name for the next file of ``table``; write Parquet there, then ``add`` it."""
        return self.folder / f"{table}-{len(self.files):05d}.parquet"

    def add(
        self,
        table: str,
        path: Path,
        *,
        rows: int,
        columns: dict[str, str | list[str]] | None = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        """Count a written file in. ``origin`` says where its bytes came from (key, ETag, size): evidence, not identity."""
        self.files.append(LandedFile(table, path, rows, columns, origin or {}))

    def seal(
        self,
        *,
        order: str,
        covers: tuple[dt.date, dt.date] | None,
        finality: Any = None,
        as_of: str | None = None,
        rejected: Iterable[dict[str, Any]] = (),
        controls: Iterable[ControlTotal] = (),
    ) -> Delivery:
        """Name the delivery by its content, write its marker last, move it into place and point to it.

        The identity is the SHA-256 over source, kind, period, what was rejected, the control totals, and each file's table, bytes and column map:
        fetching the same content twice gives the same delivery. Sealing a delivery that is already there changes nothing.
        """
        entries = [
            {
                "table": f.table,
                "path": f.path.name,
                "rows": f.rows,
                "bytes": f.path.stat().st_size,
                "sha256": sha256_file(f.path),
                "columns": f.columns,
                "origin": f.origin,
            }
            for f in self.files
        ]
        told = list(rejected)
        totals = [_written(c) for c in controls]
        identity = json.dumps(
            [
                [self.source, self.kind, self.period, finality, [d.isoformat() for d in covers] if covers else None, told],
                [[e["table"], e["sha256"], e["columns"], e["origin"].get("slot_seconds")] for e in entries],
                *([totals] if totals else []),
            ],
            sort_keys=True,
        )
        delivery_id = hashlib.sha256(identity.encode()).hexdigest()[:20]
        marker = {
            "source": self.source,
            "kind": self.kind,
            "period": self.period,
            "delivery_id": delivery_id,
            "order": order,
            "covers": [d.isoformat() for d in covers] if covers else None,
            "finality": finality,
            "as_of": as_of,
            "rejected": told,
            "controls": totals,
            "files": entries,
        }
        target = self.landing.delivery_folder(self.source, self.period, delivery_id)
        if not (target / MARKER).exists():
            for f in self.files:
                with f.path.open("rb") as handle:
                    os.fsync(handle.fileno())
                f.path.chmod(0o444)
            write_atomically(self.folder / MARKER, json.dumps(marker, indent=1, sort_keys=True))
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():  # an unsealed folder left by a crash
                shutil.rmtree(target)
            os.rename(self.folder, target)
            fsync_directory(target.parent)
        self.landing.point(self.source, self.period, delivery_id, order)
        return self.landing.load(self.source, self.period, delivery_id)


class Landing:
    """The landing zone of one APPORTION_HOME."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def delivery_folder(self, source: str, period: str, delivery_id: str) -> Path:
        """Where a sealed delivery lies."""
        return self.root / slug(source) / slug(period) / delivery_id

    @contextmanager
    def stage(self, source: str, kind: str, period: str) -> Iterator[Staging]:
        """A private folder for one delivery; removed if it was not sealed."""
        scratch = self.root / ".staging"
        scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=scratch))
        try:
            yield Staging(folder, self, source, kind, period)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def load(self, source: str, period: str, delivery_id: str) -> Delivery:
        """Read one sealed delivery."""
        folder = self.delivery_folder(source, period, delivery_id)
        return _read_marker(folder)

    def point(self, source: str, period: str, delivery_id: str, order: str) -> None:
        """Let ``delivery_id`` count for (source, period): what the source presents now is what counts."""
        path = self.root / slug(source) / slug(period) / POINTER
        text = json.dumps({"delivery_id": delivery_id, "order": order}, sort_keys=True)
        if not path.exists() or path.read_text() != text:
            write_atomically(path, text)

    def current(self, source: str, period: str) -> Delivery | None:
        """The delivery that counts for (source, period), if any."""
        path = self.root / slug(source) / slug(period) / POINTER
        if not path.exists():
            return None
        return self.load(source, period, json.loads(path.read_text())["delivery_id"])

    def chosen(self, source: str) -> list[Delivery]:
        """Every delivery of ``source`` that counts, ordered by period."""
        folder = self.root / slug(source)
        found = []
        for pointer in sorted(folder.glob(f"*/{POINTER}")):
            delivery_id = json.loads(pointer.read_text())["delivery_id"]
            found.append(_read_marker(pointer.parent / delivery_id))
        return sorted(found, key=lambda d: d.period)


def _read_marker(folder: Path) -> Delivery:
    marker = json.loads((folder / MARKER).read_text())
    covers = marker["covers"]
    return Delivery(
        source=marker["source"],
        kind=marker["kind"],
        period=marker["period"],
        delivery_id=marker["delivery_id"],
        order=marker["order"],
        covers=(dt.date.fromisoformat(covers[0]), dt.date.fromisoformat(covers[1])) if covers else None,
        finality=marker["finality"],
        as_of=marker["as_of"],
        rejected=tuple(marker["rejected"]),
        controls=tuple(_read_control(entry) for entry in marker.get("controls", [])),
        files=tuple(
            LandedFile(e["table"], folder / e["path"], e["rows"], e["columns"], {**e["origin"], "sha256": e["sha256"]})
            for e in marker["files"]
        ),
    )


def _written(total: ControlTotal) -> dict[str, Any]:
    """A control total as JSON; decimals are text in plain notation."""
    return {**asdict(total), "amount": f"{total.amount:f}", "conversion_delta": f"{total.conversion_delta:f}"}


def _read_control(entry: dict[str, Any]) -> ControlTotal:
    return ControlTotal(**{**entry, "amount": Decimal(entry["amount"]), "conversion_delta": Decimal(entry["conversion_delta"])})
