"""What the measurements say, as lines. Belongs here: ratios and their wording. Does not: measuring."""

from __future__ import annotations

from typing import Any

MEBIBYTE = 1 << 20


def lines(size: str, first: dict[str, Any], later: dict[str, dict[str, Any]]) -> list[str]:
    """A table of the first night's stages and layers as ratios to the scan, then each later night against the first.

    Every ratio is between CPU seconds of one run on one machine: absolute times say little elsewhere.
    """
    scan = first["scan"]["cpu_seconds"]
    text = [
        f"{size}; DuckDB {first['duckdb']}, {first['threads']} threads, memory_limit {first['memory_limit']}",
        f"scan: {first['scan']['rows']:,} rows, {first['scan']['columns']} columns, {scan:.2f} CPU s = 1.0",
        "",
        f"{'first night':<24}{'CPU s':>9}{'x scan':>9}{'peak MiB':>10}",
    ]
    text += [
        f"{s['stage']:<24}{s['cpu_seconds']:>9.2f}{s['cpu_seconds'] / scan:>9.1f}{s['peak_bytes'] / MEBIBYTE:>10.0f}"
        for s in first["stages"]
    ]
    text += [f"  {layer:<22}{cost:>9.2f}{cost / scan:>9.1f}" for layer, cost in first["layers"].items()]
    base = later.get("2") or first
    for nights, report in sorted(later.items(), key=lambda item: int(item[0])):
        cost, reference = (sum(s["cpu_seconds"] for s in r["stages"] if s["stage"] != "publish") for r in (report, base))
        publish = next(s["cpu_seconds"] for s in report["stages"] if s["stage"] == "publish")
        text.append(
            f"night {nights}: {cost:.2f} CPU s before publication, {cost / reference:.2f} x night 2; publication {publish:.2f} CPU s"
        )
    text += ["", f"facts: {first['facts']}"]
    return text
