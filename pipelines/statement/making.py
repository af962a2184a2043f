"""Making a statement from an archived release, and checking one against it.

Belongs here: which release, the file, what differs. Does not: figures (figures.py), layout (lines.py).

A statement is a function of (release, team, month, format): no clock, no other release. So a statement that somebody hands in is
checked by making it again.
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from pipelines.errors import ApportionError, UsageError
from pipelines.history.archive import Archived, archived
from pipelines.history.finding import find
from pipelines.landing import write_atomically
from pipelines.settings import Settings
from pipelines.statement.figures import digest, month_figures
from pipelines.statement.lines import IDENTITY, LAYOUT, text_lines, write_statement_csv
from pipelines.statement.month import opened

FORMATS = ("text", "csv")


def make_statement(
    settings: Settings,
    team: str,
    month: str,
    *,
    release: str | None = None,
    file_format: str | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """The statement of ``team`` for ``month`` (YYYY-MM).

    release: an id or a time; None = the release that was published last. out: written atomically. file_format: text or csv; None = by the
    ending of ``out``. Returns ``identity`` (team, month, release, sha256 of the figures, format, layout) and ``bytes``. Raises UsageError
    where the release has no such month or no dollar of the team in it.
    """
    chosen = file_format or ("csv" if out is not None and out.suffix.lower() == ".csv" else "text")
    if chosen not in FORMATS:
        raise UsageError(f"format {chosen!r} is neither of {', '.join(FORMATS)}", remedy="name it with --format")
    first = _month(month)
    releases = archived(settings)
    made = _made(settings, find(releases, release or (releases[-1].release_id if releases else "")), team, first, chosen)
    if out is not None:
        if not out.parent.is_dir():
            raise UsageError("the folder does not exist", where=str(out.parent), remedy="create it, or name another --out")
        write_atomically(out, made["bytes"].decode("utf-8"))
    return made


def verify_statement(settings: Settings, path: Path) -> dict[str, Any]:
    """Make the statement in ``path`` again from its release and compare: ``is_equal``, and ``differences`` as (line, in the file, in the release)."""
    try:
        found = path.read_bytes()
        text = found.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the statement cannot be read: {error}", where=str(path), remedy="name a file that `apportion statement` wrote"
        ) from None
    told = _identity(text, path)
    if told.get("layout") != LAYOUT:
        raise UsageError(
            f"the statement has layout {told.get('layout')}, this version makes {LAYOUT}",
            where=str(path),
            remedy="check it with the version that made it",
        )
    named = [r for r in archived(settings) if r.release_id == told["release"]]
    if not named:
        raise ApportionError(
            f"release {told['release']} is not in the archive",
            where=str(path),
            remedy="`apportion releases` lists what can be checked against",
        )
    made = _made(settings, named[-1], told["team"], _month(told["month"]), told["format"])
    differences = [] if made["bytes"] == found else _differences(text, made["bytes"].decode("utf-8"))
    return {
        "identity": told,
        "is_equal": made["bytes"] == found,
        "differences": differences,
        "sha256_of_the_release": made["identity"]["sha256"],
    }


def verification_lines(result: dict[str, Any]) -> list[str]:
    """The outcome of a check in words."""
    told = result["identity"]
    what = f"team {json.dumps(told['team'], ensure_ascii=True)}, {told['month']}, release {told['release']}"
    if result["is_equal"]:
        return [f"equal: {what}: every byte is what the release says"]
    lines = [f"NOT equal: {what}: {len(result['differences'])} line(s) differ"]
    for line, in_file, in_release in result["differences"]:
        lines += [f"  line {line}", f"    the file says    {_shown(in_file)}", f"    the release says {_shown(in_release)}"]
    return lines


def _shown(text: str | None) -> str:
    return "(nothing)" if text is None else " ".join(json.dumps(text, ensure_ascii=False)[1:-1].split())


def _made(settings: Settings, release: Archived, team: str, first: dt.date, file_format: str) -> dict[str, Any]:
    with opened(settings, release, team, first) as connection:
        days = connection.execute("select count(*) from dim_date where date_trunc('month', usage_date) = ?", [first]).fetchone()
        if not days or not days[0]:
            raise UsageError(
                f"{first:%Y-%m} is not in release {release.release_id}", remedy=f"it holds {release.days[0]} to {release.days[-1]}"
            )
        known = connection.execute("select count(*) from shown where month = ?", [first]).fetchone()
        if not known or not known[0]:
            query = "select distinct team from fct_showback where team_kind = 'team' and usage_month = ? order by 1 limit 20"
            teams = ", ".join(name for (name,) in connection.execute(query, [first]).fetchall())
            raise UsageError(f"no dollar of team {team!r} in {first:%Y-%m}", remedy=f"teams of that month: {teams or 'none'}")
        figures = month_figures(connection, team, first)
    identity = {
        "team": team, "month": f"{first:%Y-%m}", "release": release.release_id, "sha256": digest(figures), "format": file_format, "layout": LAYOUT,
    }  # fmt: skip
    if file_format == "text":
        return {"identity": identity, "bytes": ("\n".join(text_lines(identity, figures)) + "\n").encode()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "statement.csv"
        write_statement_csv(identity, figures, path)
        return {"identity": identity, "bytes": path.read_bytes()}


def _month(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(f"{text}-01")
    except ValueError:
        raise UsageError(f"{text!r} is not a month", remedy="write it as YYYY-MM") from None


def _identity(text: str, path: Path) -> dict[str, Any]:
    """What the last line or row of a statement says it is."""
    lines = text.rstrip("\n").rsplit("\n", 1)
    try:
        if lines[-1].startswith(IDENTITY):
            told = json.loads(lines[-1].removeprefix(IDENTITY))
        else:
            told = json.loads(list(csv.reader(io.StringIO(text)))[-1][-1])
        if {"team", "month", "release", "format", "layout"} <= set(told) and told["format"] in FORMATS:
            return dict(told)
    except (ValueError, IndexError, TypeError, csv.Error):
        pass
    raise UsageError("the file does not say which statement it is", where=str(path), remedy="name a file that `apportion statement` wrote")


def _differences(found: str, expected: str) -> list[tuple[int, str | None, str | None]]:
    """(line in the file, what it says, what the release says) of every line that differs."""
    left, right = found.splitlines(), expected.splitlines()
    told: list[tuple[int, str | None, str | None]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for n in range(max(b - a, d - c)):
            told.append((a + n + 1, left[a + n] if a + n < b else None, right[c + n] if c + n < d else None))
    return told or [(0, "line ends or the end of the file", "other line ends")]
