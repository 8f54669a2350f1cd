"""An order of arrival through the real load, the real dbt project and publication, and what does not hold of it."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from psycopg import sql
from tests import chain
from tests.differential.comparison import ROWS_SHOWN, Mismatch, mismatches
from tests.differential.deliveries import Order, land
from tests.differential.erasures import as_stored, erase_all, families_to_erase
from tests.differential.expected import Expected

from memberhouse import db, release
from memberhouse import warehouse as building
from memberhouse.load import load_landed
from memberhouse.settings import PROJECT_ROOT, Settings

CATEGORY_CYCLES = {"baby": 28, "shoes": 95, "toys": 33}
Progress = Callable[[str], None]


@dataclass
class Tried:
    """An order of arrival and what came of it."""

    seed: int
    number: int
    members: int
    as_of: list[str]
    rows: int = 0
    batches: int = 0
    published_members: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)  # families, a member of each
    # a fingerprint of each view that does not depend on when a loyal threshold was fixed
    content: dict[str, str] = field(default_factory=dict)

    @property
    def held(self) -> bool:
        return not self.violations

    def record(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        outcome = "held" if self.held else "\n".join(self.violations)
        return (
            f"seed {self.seed}, order {self.number} ({self.published_members} members, {self.rows} rows in"
            f" {self.batches} batches, as of {', '.join(self.as_of)}): {outcome} [{self.seconds:.0f} s]"
        )


def try_order(
    settings: Settings,
    landing: Path,
    order: Order,
    *,
    members: int,
    looks: Sequence[int],
    erasures: int = 0,
    progress: Progress = print,
) -> Tried:
    """Deliver, build and publish step by step; compare after the steps ``looks`` (the last one always).

    erasures: how many members are erased before the first comparison; of their families nothing more is told.

    settings: of an empty warehouse, with a project of `project_with_cycles`. A full build is compared in the same
    steps; it is not published, so what was published stays what builds of what changed have made.
    """
    begun = time.monotonic()
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
    tried = Tried(
        order.seed,
        order.number,
        members,
        [day.isoformat() for day in order.as_of],
        rows=sum(len(batch.rows) for batch in order.batches),
        batches=len(order.batches),
    )
    looks = sorted({*looks, len(order.as_of) - 1})
    for step, as_of in enumerate(order.as_of):
        folder = landing / f"step {step}"
        folder.mkdir(parents=True)
        arriving = order.arriving(step)
        land(arriving, folder)
        report = load_landed(settings, folder)
        shutil.rmtree(folder)
        assert not report.refused, report.refused
        frozen = frozen_thresholds(settings)
        release_id = chain.publish(settings, as_of)
        progress(f"step {step}: {len(arriving)} batches, release {release_id} as of {as_of} published")
        if step not in looks:
            continue
        where = f"seed {order.seed}, order {order.number}, step {step}, as of {as_of}"
        wrong = []
        with db.connect(settings) as conn:
            if step == looks[0] and erasures:
                rows = [row for row, _ in order.in_force(step)]
                members = families_to_erase(conn, random.Random(where), rows, erasures)  # noqa: S311  (seeded, no secret)
                conn.commit()
                wrong += erase_all(settings, members.values())
                order = order.without(members, step)
                tried.erased = list(members)
                progress(f"step {step}: {erasures} members erased, {len(wrong)} differences")
            in_force = as_stored(conn, order.in_force(step), tried.erased)
            expected = Expected(in_force, as_of, frozen, CATEGORY_CYCLES)
            wrong += mismatches(conn, expected)
        progress(f"step {step}: compared with the reference, {len(wrong)} differences")
        wrong += full_build_differs(settings, as_of)
        progress(f"step {step}: compared with a full build, {len(wrong)} differences in all")
        tried.violations += [f"{where}: {found.told(in_force)}" for found in wrong]
        tried.published_members = len(expected.identity.members())
        if wrong:
            break
    tried.seconds = time.monotonic() - begun
    tried.content = content_but_thresholds(settings)
    return tried


def frozen_thresholds(settings: Settings) -> dict[date, int | None]:
    """The loyal thresholds that were fixed so far, in cents."""
    with db.connect(settings) as conn:
        rows = conn.execute(
            "select quarter_start, loyal_threshold_amount from release.frozen_loyal_threshold"
        ).fetchall()
    return {quarter: None if amount is None else int(amount * 100) for quarter, amount in rows}


def project_with_cycles(folder: Path) -> Path:
    """A copy of the dbt project in which some categories have a purchase cycle of their own; answers its root."""
    source = PROJECT_ROOT / "dbt_project"
    shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"))
    rows = "".join(f"{category},{cycle},Of the campaign\n" for category, cycle in CATEGORY_CYCLES.items())
    seed = folder / source.name / "seeds" / "category_cycles.csv"
    seed.write_text(f"category,cycle_days,rationale\n{rows}", encoding="utf-8")
    return folder


def full_build_differs(settings: Settings, as_of: date) -> Iterator[Mismatch]:
    """What a build that computes every row anew would write: nothing, if the builds before it were right."""
    release_id = building.build(settings, as_of, full_refresh=True)
    with db.connect(settings) as conn:
        tables = [table for (table,) in conn.execute("select table_name from release.versioned_table order by 1")]
        for table in tables:
            statement = sql.SQL(
                "select to_jsonb(h) - '_from_release' - '_to_release', _from_release = {release} as is_new"
                " from {table} as h where {release} in (_from_release, _to_release) order by 1::text, 2"
            ).format(release=sql.Literal(release_id), table=sql.Identifier("history", table))
            rows = conn.execute(statement).fetchall()
            if rows:
                told = [
                    f"{'only a full build has' if is_new else 'a full build has not'} {row}" for row, is_new in rows
                ]
                members = [row.get("member_id") or row.get("receipt_no") for row, _ in rows]
                yield Mismatch(
                    f"{table}: a full build writes rows",
                    len(rows),
                    told[: 2 * ROWS_SHOWN],
                    [member for member in members if member],
                )


# Views of what was sold and of who is who; the others depend on when a loyal threshold was fixed.
OF_FACTS = (
    "bridge_identity",
    "dim_date",
    "dim_product",
    "dim_store",
    "fct_purchase_day",
    "fct_receipt",
    "fct_receipt_line",
)


def content_but_thresholds(settings: Settings) -> dict[str, str]:
    """Fingerprints that are the same in whatever order things arrived."""
    with db.connect(settings) as conn:
        content = release.content_hash(conn)
    return {view: content[view] for view in OF_FACTS}
