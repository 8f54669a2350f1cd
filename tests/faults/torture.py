"""Sittings of the kill campaign: `make torture N=60`, and the long one of `make test-full`, whose log is kept.

A seed always stands for the same plan: `make torture N=1 SEED=417` is fault 417 again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.campaign import Night, Tried, night
from tests.faults.plans import plan_of

from memberhouse.settings import PROJECT_ROOT
from memberhouse.simulate import complete_journey

EVIDENCE = PROJECT_ROOT / "docs" / "evidence"
# what a fault could come from, and what looks for it
_TRIED = ("src/memberhouse", "dbt_project", "expectations", "tests/faults")


def sitting(prepared: Night, seeds: Iterable[int]) -> Iterator[Tried]:
    """Try the plans of these seeds, one after the other."""
    for seed in seeds:
        yield prepared.try_plan(plan_of(seed))


class Log:
    """A campaign's log: a line what was tried, then a line a fault.

    It is of one state of the code: begun on another one, it is begun anew.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        code = _fingerprint()
        of_this_code = [path for path in sorted(folder.glob("faults-*.jsonl")) if _begun_on(path) == code]
        if of_this_code:
            self.path = of_this_code[-1]
        else:
            self.path = folder / f"faults-{datetime.now(UTC):%Y-%m-%d}.jsonl"
            self.path.write_text(json.dumps({"code": code}) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """What was tried so far; a line that was cut short by a kill does not count."""
        records = []
        for line in self.path.read_text().splitlines()[1:]:
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return records

    def left(self, seeds: Iterable[int]) -> list[int]:
        """The seeds that are not in it."""
        done = {record["seed"] for record in self.records()}
        return [seed for seed in seeds if seed not in done]

    def add(self, tried: Tried) -> None:
        whole = self.path.read_text().endswith("\n")
        with self.path.open("a") as file:
            record = json.dumps(tried.record(), ensure_ascii=False)
            # the log is committed: it says nothing of the machine that it was made on
            record = record.replace(str(PROJECT_ROOT), ".").replace(tempfile.gettempdir(), "tmp")
            file.write(("" if whole else "\n") + record + "\n")

    def summarise(self) -> Path:
        """Write the page for people beside the log."""
        page = self.path.with_suffix(".md")
        page.write_text(summary(self.records(), self.path.name), encoding="utf-8")
        return page


def summary(records: list[dict[str, Any]], log: str) -> str:
    """One page on a campaign."""
    kinds: Counter[tuple[str, str]] = Counter()
    for record in records:
        for fault in record["faults"]:
            kinds[fault["site"], fault["kind"]] += 1
    names = sorted({kind for _, kind in kinds})
    seconds = sorted(record["seconds"] for record in records)
    struck = sum(len(record["reached"]) for record in records)
    late = sum(kinds.values()) - struck
    violated = [record for record in records if record["outcome"] != "held"]
    lines = [
        f"# The kill campaign of {log.removeprefix('faults-').removesuffix('.jsonl')}",
        "",
        f"{len(records)} plans, {struck} faults that struck, {len(violated)} violated invariants."
        f"{f' {late} more came when the step had ended.' if late else ''}"
        f" Each fault and what came of it: [{log}]({log}).",
        f"Seconds a plan: {seconds[0]:.0f} to {seconds[-1]:.0f}, the middle one {seconds[len(seconds) // 2]:.0f}.",
        "",
        f"| Site | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
        *(
            f"| {site} | {' | '.join(str(kinds[site, kind] or '') for kind in names)} |"
            for site in sorted({site for site, _ in kinds})
        ),
        "",
        *(f"- seed {record['seed']}: {record['plan']}: {record['outcome']}" for record in violated),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _begun_on(log: Path) -> str | None:
    with log.open() as file:
        first = file.readline()
    return json.loads(first).get("code") if first.endswith("\n") else None


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for room in _TRIED:
        for path in sorted((PROJECT_ROOT / room).rglob("*")):
            if path.suffix in {".py", ".sql", ".yml", ".csv"}:
                digest.update(path.relative_to(PROJECT_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Faults in the nightly step, and whether anything is amiss afterwards."
    )
    parser.add_argument("--faults", type=int, default=60, help="how many plans (60)")
    parser.add_argument("--seed", type=int, default=None, help="the first plan's seed (the time)")
    parser.add_argument("--log", type=Path, help="keep a log in this folder; go on with it if it is of this code")
    asked = parser.parse_args()
    first = int(time.time()) if asked.seed is None else asked.seed
    seeds = list(range(first, first + asked.faults))
    log = Log(asked.log) if asked.log else None
    left = log.left(seeds) if log else seeds
    print(f"{len(left)} plans, seeds {first} to {seeds[-1]}; preparing the night (a minute or two) ...", flush=True)
    violated = 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="memberhouse-sample-") as folder:
        complete_journey.write_sample(Path(folder))
        with night(Path(folder)) as prepared:
            for number, tried in enumerate(sitting(prepared, left), 1):
                print(f"[{number}/{len(left)}] {tried}", flush=True)
                violated += not tried.held
                if log:
                    log.add(tried)
    if log:
        print(log.summarise())
    took = time.monotonic() - begun
    print(f"{len(left)} plans in {took / 60:.0f} minutes, {violated} violated invariants", flush=True)
    sys.exit(1 if violated else 0)


if __name__ == "__main__":
    main()
