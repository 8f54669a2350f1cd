"""``make bench``: measures, prints the ratios, and writes the page, its chart and the JSON to docs/benchmarks."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
from tests.bench import alternatives, builds, loading, orchestration, page, reading
from tests.bench.figures import Figure

from memberhouse import db
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings

PARTS = ("B1", "B2", "B3", "B4", *builds.PARTS, "B9", "B10", "B11")
OUT = PROJECT_ROOT / "docs" / "benchmarks"
_COMMENTS = Path(__file__).with_name("comments.md")


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when everything was measured, whatever came out."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--lines", type=int, default=2_000_000, help="receipt lines (default 2,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of each comparison (default 5)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="B", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the page (default docs/benchmarks)")
    asked = parser.parse_args(arguments)

    begun = time.monotonic()

    def tell(line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - begun), 60)
        print(f"[{minutes:2d}:{seconds:02d}] {line}", file=sys.stderr, flush=True)

    folder = Path(tempfile.mkdtemp(prefix="memberhouse-bench-"))
    folder.chmod(0o755)
    home = folder / "home"
    home.mkdir()
    postgres.ensure_running(home)
    try:
        settings = _settings(home, asked.lines, asked.rounds)
        figures: list[Figure] = []
        if "B1" in asked.only:
            figures += loading.speed(home, folder, asked.lines, asked.rounds, tell)
        if "B2" in asked.only:
            figures += alternatives.speed(home, folder, asked.lines // 10, min(asked.rounds, 3), tell)
        if "B3" in asked.only:
            figures += loading.events(home, folder, asked.lines // 4, asked.rounds, tell)
        if "B4" in asked.only:
            figures += loading.memory(home, folder, asked.lines, tell)
        if set(builds.PARTS) & set(asked.only):
            figures += builds.compare(home, folder, asked.lines, asked.rounds, asked.only, tell)
        if "B9" in asked.only:
            figures += reading.publishing(home, folder, tell)
        if "B10" in asked.only:
            figures += reading.through_validity(home, folder, asked.lines // 4, asked.rounds, tell)
        if "B11" in asked.only:
            figures += orchestration.overhead(folder, days=3, tell=tell)
    finally:
        postgres.stop(home)
        shutil.rmtree(folder, ignore_errors=True)
    tell(f"measured in {time.monotonic() - begun:.0f} s")
    _write(asked.out, asked.lines, asked.only, figures, settings)
    print("\n".join(page.table(figures)))
    return 0


def _settings(home: Path, lines: int, rounds: int) -> dict[str, str]:
    with db.connect(Settings(home, None, PROJECT_ROOT)) as conn:
        names = ("server_version", "wal_level", "fsync", "shared_buffers", "max_wal_size", "work_mem")
        server = {name: conn.execute("select current_setting(%s)", (name,)).fetchall()[0][0] for name in names}
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {lines:,} lines, {rounds} counted rounds after one more",
        "machine": f"{psutil.cpu_count()} processors, {psutil.virtual_memory().total / 2**30:.0f} GB,"
        f" {platform.system()} on {platform.machine()}, Python {platform.python_version()};"
        f" load when it began {psutil.getloadavg()[0]:.1f}",
        "PostgreSQL": ", ".join(f"{name} {value}" for name, value in server.items()),
        "WAL": "on for every table but the floor's of B1",
    }


def _write(out: Path, lines: int, parts: Sequence[str], figures: Sequence[Figure], settings: dict[str, str]) -> None:
    """The page is README.md when everything was measured; a part of it is a page of its own beside that."""
    out.mkdir(parents=True, exist_ok=True)
    measured = [] if len(parts) == len(PARTS) else parts
    name = "-".join([f"{datetime.now(UTC):%Y-%m-%d}-{lines / 1e6:g}m", *(part.lower() for part in measured)])
    (out / f"{name}.json").write_text(
        json.dumps({"settings": settings, "figures": [figure.as_json() for figure in figures]}, indent=1) + "\n"
    )
    (out / f"{name}.svg").write_text(page.chart(figures))
    others = sorted(path.name for path in out.glob("*.md") if path.name != "README.md")
    (out / (f"{name}.md" if measured else "README.md")).write_text(
        page.page(figures, settings, f"{name}.svg", _COMMENTS.read_text(encoding="utf-8"), [] if measured else others)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
