"""A picture of idle GPUs: GPU x day, as one SVG file without script or font.

Belongs here: drawing of fct_gpu_utilization_daily. Does not: what is idle (the models).

Colours: one hue from light to dark (ColorBrewer YlOrBr, safe for the colour-blind and in print), so that darker is always more idle; what is not known is
hatched grey, never a colour of the scale.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from pipelines.errors import UsageError
from pipelines.idle import Span
from pipelines.report import open_release, usd
from pipelines.rows import rows_of
from pipelines.settings import Settings

SCALE = ("#ffffe5", "#fee391", "#fe9929", "#cc4c02", "#662506")  # idle up to 20, 40, 60, 80, 100 %
CELL_WIDTH, CELL_HEIGHT, LEFT, TOP = 22, 12, 260, 86
MOST_DAYS = 92
LONGEST_NODE, LONGEST_DEVICE = 32, 10  # characters of a line's name


def heatmap(settings: Settings, span: Span, out: Path, *, most_gpus: int = 200) -> dict[str, Any]:
    """Write the SVG for ``span`` (at most its last 92 days) to ``out``; the GPUs with most idle dollars where there are too many to draw.

    Returns what was drawn. Raises UsageError where nothing is published for the span or the folder does not exist.
    """
    with open_release(settings) as connection:
        rows = rows_of(
            connection,
            # of days without a bill the measured activity has to do
            "select usage_date, node, pool, gpu_key, coalesce(idle_ratio, 1 - activity_ratio) as idle, activity_ratio, known_ratio, cost_usd,"  # noqa: S608
            " coalesce(held_idle_cost_usd + unallocated_idle_cost_usd + stranded_cost_usd, 0) as idle_usd"
            f" from fct_gpu_utilization_daily where {span.where} and gpu_key not like '%|unplaced'"  # noqa: S608
            " order by coalesce(pool, ''), node, gpu_key, usage_date",
            span.values,
        )
    if not rows:
        raise UsageError("no GPU day of this span is published", remedy="ask for days that `apportion nightly` has computed")
    days = sorted({row["usage_date"] for row in rows})[-MOST_DAYS:]
    wasted: dict[str, Any] = {}
    for row in rows:
        wasted[row["gpu_key"]] = wasted.get(row["gpu_key"], 0) + row["idle_usd"]
    drawn = set(sorted(wasted, key=lambda key: (-wasted[key], key))[:most_gpus])
    kept = [row for row in rows if row["gpu_key"] in drawn and row["usage_date"] >= days[0]]
    try:
        out.write_text(svg(kept, days, len(wasted)), encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"cannot write the picture: {error.strerror}", where=str(out), remedy="name a file in a folder that exists"
        ) from error
    return {"heatmap": str(out), "gpus_drawn": len(drawn), "gpus": len(wasted), "days": len(days)}


def svg(rows: Sequence[dict[str, Any]], days: Sequence[dt.date], gpu_count: int) -> str:
    """The picture of ``rows`` (usage_date, node, pool, gpu_key, idle, known_ratio, idle_usd), already in the order of its lines."""
    lines: dict[str, int] = {}
    pools: dict[str, int] = {}
    for row in rows:
        if row["gpu_key"] not in lines:
            pools.setdefault(row["pool"] or "(no pool)", len(lines) + len(pools))
            lines[row["gpu_key"]] = len(lines) + len(pools)
    width = max(LEFT + CELL_WIDTH * len(days) + 20, 640)
    height = TOP + CELL_HEIGHT * (len(lines) + len(pools) + 1) + 8
    column = {day: LEFT + CELL_WIDTH * number for number, day in enumerate(days)}
    top = {key: TOP + CELL_HEIGHT * number for key, number in lines.items()}
    shown = f"{len(lines)} GPUs" if len(lines) == gpu_count else f"the {len(lines)} dearest of {gpu_count} GPUs"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif"'
        ' font-size="10" fill="#1b2733">',
        '<defs><pattern id="unknown" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="5" height="5" fill="#e4e7eb"/><rect width="1.6" height="5" fill="#8a94a0"/></pattern></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="600">Idle GPUs, {days[0]} to {days[-1]} (UTC), {shown}</text>',
        *_legend(),
        *[_day(day, x) for day, x in column.items()],
        *[f'<text x="12" y="{TOP + CELL_HEIGHT * place + 9}" font-weight="600">{escape(pool)}</text>' for pool, place in pools.items()],
        *[_label(row, top[row["gpu_key"]]) for row in {row["gpu_key"]: row for row in rows}.values()],
        *[_cell(row, column[row["usage_date"]], top[row["gpu_key"]]) for row in rows],
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def colour(idle: float) -> str:
    """The step of the scale for an idle ratio of 0 to 1."""
    return SCALE[min(int(idle * len(SCALE)), len(SCALE) - 1)]


def _legend() -> list[str]:
    parts = ['<text x="12" y="47">idle part of the known time of a day:</text>']
    for number, step in enumerate(SCALE):
        x = 190 + 62 * number
        parts.append(f'<rect x="{x}" y="38" width="14" height="11" fill="{step}" stroke="#b8bfc8" stroke-width="0.5"/>')
        parts.append(f'<text x="{x + 18}" y="47">{20 * number}-{20 * number + 20} %</text>')
    parts.append('<rect x="505" y="38" width="14" height="11" fill="url(#unknown)"/><text x="523" y="47">unknown</text>')
    return parts


def _day(day: dt.date, x: int) -> str:
    weight = ' font-weight="600"' if day.weekday() == 0 else ""  # Mondays: the week is what repeats
    return f'<text transform="translate({x + 14} {TOP + 4}) rotate(-60)"{weight}>{day:%m-%d}</text>'


def _label(row: dict[str, Any], y: int) -> str:
    device = row["gpu_key"].rsplit("|", 1)[-1]
    node = row["node"] if len(row["node"]) <= LONGEST_NODE else f"{row['node'][: LONGEST_NODE - 1]}…"
    short = f"{node} {device if len(device) <= LONGEST_DEVICE else '…' + device[1 - LONGEST_DEVICE :]}"
    return f'<text x="{LEFT - 6}" y="{y + 9}" text-anchor="end" font-size="9">{escape(short)}</text>'


def _cell(row: dict[str, Any], x: int, y: int) -> str:
    """A day of a GPU: its colour, and from below as much hatching as of it is unknown."""
    box = f'x="{x}" width="{CELL_WIDTH - 1}"'
    idle, known = row["idle"], row["known_ratio"]
    if idle is None:
        told, marks = "unknown", f'<rect {box} y="{y}" height="{CELL_HEIGHT - 1}" fill="url(#unknown)"/>'
    else:
        hidden = round((1 - known) * (CELL_HEIGHT - 1), 1) if known is not None else 0
        told = f"{idle:.0%} idle of what is known" + (f", {1 - known:.0%} unknown" if hidden else "")
        marks = f'<rect {box} y="{y}" height="{CELL_HEIGHT - 1}" fill="{colour(idle)}" stroke="#d5dae0" stroke-width="0.5"/>'
        marks += f'<rect {box} y="{y + CELL_HEIGHT - 1 - hidden:g}" height="{hidden:g}" fill="url(#unknown)"/>' if hidden else ""
    title = escape(f"{row['node']} {row['gpu_key'].rsplit('|', 1)[-1]}, {row['usage_date']}: {told}; idle {usd(row['idle_usd'])}")
    return f"<g>{marks}<title>{title}</title></g>"
