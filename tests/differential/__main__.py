"""The differential campaign: `python -m tests.differential --orders 12 --members 500 --seed 20261122`.

One seed's histories arrive in many orders; each is built, published and compared. The same arguments try the same
orders. A mismatch is told again with its family alone: `--only f0042 --from-order 3 --orders 1`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from tests.conftest import new_warehouse
from tests.differential.campaign import Tried, project_with_cycles, try_order
from tests.differential.deliveries import order_of
from tests.differential.histories import FIRST, LAST, SHOP, histories

from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT

EVIDENCE = PROJECT_ROOT / "docs" / "evidence"
STEPS = 5
ERASURES = 3


def campaign(
    home: Path,
    seed: int,
    members: int,
    numbers: Sequence[int],
    *,
    steps: int = STEPS,
    only: Sequence[str] = (),
    spoil: Callable[[Path], None] = lambda project: None,
) -> Iterator[Tried]:
    """Try the orders of these numbers, one after the other, each in a database of its own on the server of ``home``.

    What was sold and who is who must be the same in all of them; the first one tells what. spoil: does something to
    the copy of the dbt project that is tried.
    """
    rows = [row for row in histories(seed, members) if not only or row.family in (SHOP, *only)]
    project_root = project_with_cycles(Path(tempfile.mkdtemp(prefix="memberhouse-project-", dir=home)))
    spoil(project_root / "dbt_project")
    first: Tried | None = None
    for number in numbers:
        order = order_of(seed, number, rows, steps)
        with new_warehouse(home, project_root) as settings:
            tried = try_order(
                settings,
                home / "landing",
                order,
                members=members,
                looks=[steps // 2],
                # in every other order; what is told after that is not the same any more
                erasures=ERASURES if number % 2 and not only else 0,
                progress=_say,
            )
        if tried.held and not tried.erased:
            first = first or tried
            differing = {view for view, content in tried.content.items() if content != first.content[view]}
            if differing:
                tried.violations.append(f"not the same as after order {first.number}: {', '.join(sorted(differing))}")
        yield tried


def page(tried: Sequence[Tried], command: str) -> str:
    """One page on a campaign, for people."""
    violated = [each for each in tried if not each.held]
    seconds = sorted(each.seconds for each in tried)
    lines = [
        f"# The differential campaign of {datetime.now(UTC):%Y-%m-%d}",
        "",
        f"{len(tried)} orders of arrival of the same histories, {len(violated)} with a mismatch. In each, builds of"
        " what changed gave row by row what a full build gives, and what a reference says that walks every member"
        f" through every day from {FIRST} to the as-of date: members, receipts, stages, tiers, thresholds, mix,"
        " migration, stocktake, key figures of all periods, cohorts, month ends, changes in sales, channels and"
        " adaptive bands, in the middle of the order and at its end. In every other order members were erased before"
        " the comparison in the middle, and no total of any release"
        " changed. What was sold and who is who was the same after every order without erasures.",
        "",
        f"`{command}`; {seconds[0]:.0f} to {seconds[-1]:.0f} seconds an order, {sum(seconds) / 60:.0f} minutes in all."
        f" The histories end on {LAST}.",
        "",
        "| Order | Members | Rows | Batches | Erased | Built as of | Outcome |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {each.number} | {each.published_members} | {each.rows} | {each.batches} | {len(each.erased)} |"
            f" {', '.join(each.as_of)} |"
            f" {'held' if each.held else f'{len(each.violations)} mismatches'} |"
            for each in tried
        ),
    ]
    for each in violated:
        lines += ["", f"## Order {each.number}", "", "```", *each.violations, "```"]
    return "\n".join(lines) + "\n"


@contextmanager
def server() -> Iterator[Path]:
    """The state folder of an embedded Postgres of its own."""
    with tempfile.TemporaryDirectory(prefix="memberhouse-differential-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        url = postgres.ensure_running(home)
        try:
            with psycopg.connect(url, autocommit=True) as conn:
                # nothing here has to survive a power cut
                conn.execute("alter system set fsync = off")
                conn.execute("select pg_reload_conf()")
            yield home
        finally:
            postgres.stop(home)


def _say(text: str) -> None:
    print(f"  {datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Random histories in random orders of arrival, against the reference.")
    parser.add_argument("--orders", type=int, default=12, help="how many orders of arrival (12)")
    parser.add_argument("--from-order", type=int, default=0, help="the number of the first one (0)")
    parser.add_argument("--members", type=int, default=500, help="how many families of members (500)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"deliveries and builds of an order ({STEPS})")
    parser.add_argument("--seed", type=int, default=None, help="of the histories and orders (the time)")
    parser.add_argument("--only", nargs="*", default=(), help="these families alone, to tell a mismatch again")
    parser.add_argument("--page", type=Path, help=f"write a page of this campaign here, for instance in {EVIDENCE}")
    asked = parser.parse_args()
    seed = int(time.time()) if asked.seed is None else asked.seed
    tried: list[Tried] = []
    with server() as home:
        numbers = range(asked.from_order, asked.from_order + asked.orders)
        for each in campaign(home, seed, asked.members, numbers, steps=asked.steps, only=asked.only):
            print(f"[{len(tried) + 1}/{asked.orders}] {each}", flush=True)
            tried.append(each)
    violated = sum(not each.held for each in tried)
    if asked.page:
        command = f"python -m tests.differential --orders {asked.orders} --members {asked.members} --seed {seed}"
        asked.page.write_text(page(tried, command), encoding="utf-8")
    print(f"{len(tried)} orders, {violated} with a mismatch", flush=True)
    sys.exit(1 if violated else 0)


if __name__ == "__main__":
    main()
