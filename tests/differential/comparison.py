"""What is published against what the reference says, and against what must be true of any history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import psycopg
from tests.differential.expected import Expected
from tests.differential.histories import Row
from tests.reference import day_by_day
from tests.reference.identity import OPEN_END
from tests.reference.kpi_tables import PERIODS, kpi_tables

ROWS_SHOWN = 5
# Nobody may have come back yet, no event may have four whole weeks before it, no day the files of the same weekday.
TELL_OF_FEW = {"reactivation_90d", "member_day_effect", "sales_decomposition_weekly"}
LEGAL = {
    "S02": {"S03"},
    "S03": {"S04", "S08"},
    "S04": {"S05", "S06", "S08"},
    "S05": {"S04", "S06", "S08"},
    "S06": {"S04", "S05", "S08"},
    "S07": {"S04", "S05", "S06", "S08"},
    "S08": {"S04", "S05", "S06", "S07", "S09"},
    "S09": {"S07", "S10"},
    "S10": {"S07"},
}


@dataclass
class Mismatch:
    """One comparison that failed: the first rows that differ, and whose they are."""

    what: str
    differing: int
    rows: list[str]
    members: list[str] = field(default_factory=list)

    def told(self, landed: Iterable[tuple[Row, Any]]) -> str:
        """With the landed rows of the first member whose it is."""
        lines = [f"{self.what}: {self.differing} differ", *(f"    {row}" for row in self.rows)]
        for member in self.members[:1]:
            family = member.partition("C")[0].partition("A")[0].partition("-")[0]
            lines.append(f"  member {member}; what was landed of its family {family}:")
            lines += sorted(f"    [{batch}] {row}" for row, batch in landed if row.family == family)
        return "\n".join(lines)


def mismatches(conn: psycopg.Connection, expected: Expected) -> list[Mismatch]:
    """Every comparison of the visible release with the reference that does not hold; of members before sums."""
    checks: list[Callable[[psycopg.Connection, Expected], Iterable[Mismatch]]] = [
        _members,
        _receipts,
        _thresholds,
        _stages,
        _legal_moves,
        _mix,
        _migration,
        _kpi,
        _complete,
        _stocktake,
        _adaptive,
        _stage_at,
        _tiers,
        _tier_migration,
        _sums,
    ]
    return [found for check in checks for found in check(conn, expected)]


# ------------------------------------------------------------------------------------------- against the reference


def _members(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    published = _read(conn, "select member_id, enrolled_on, merged_on from bi.dim_member")
    said = pd.DataFrame(
        [
            (member.member_id, _or_none(member.enrolled_on), _or_none(member.merged_on))
            for member in expected.identity.members()
        ],
        columns=["member_id", "enrolled_on", "merged_on"],
    )
    yield from differences("dim_member", published, said, ["member_id"])
    if len(expected.daily):
        last = expected.daily[expected.daily["day"] == expected.as_of]
        stores = last[["card_no", "service_store_id"]].rename(columns={"card_no": "member_id"})
        published = _read(conn, "select member_id, service_store_id from bi.dim_member")
        yield from differences("dim_member's service store", published, stores, ["member_id"])


def _receipts(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    published = _read(
        conn,
        "select store_id, business_date, receipt_no, receipt_type, member_id, is_member_receipt, qualifies_at_sale,"
        " case when qualifies_at_sale then unqualified_on end as stopped_on, units, net_sales_amount"
        " from bi.fct_receipt",
    )
    facts = expected.facts
    # pandas would make a missing member a NaN of its own
    standing = day_by_day._standing(facts, expected.daily)["of_member"]
    said = pd.DataFrame(
        {
            **{column: facts[column] for column in ("store_id", "business_date", "receipt_no", "receipt_type")},
            "member_id": [card or None for card in facts["card_no"]],
            "is_member_receipt": [
                of and not staff and not wholesale
                for of, staff, wholesale in zip(standing, facts["is_staff_sale"], facts["is_wholesale"], strict=True)
            ],
            "qualifies_at_sale": facts["qualifies_at_sale"],
            "stopped_on": facts["stopped_on"],
            "units": [Decimal(int(units)) / 1000 for units in facts["units"]],
            "net_sales_amount": [_amount(cents) for cents in facts["net_cents"]],
        }
    )
    yield from differences("fct_receipt", published, said, ["store_id", "business_date", "receipt_no", "receipt_type"])


def _thresholds(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    published = _read(conn, "select quarter_start, loyal_threshold_amount from bi.loyal_threshold")
    daily = expected.daily.drop_duplicates("day").set_index("day")["loyal_threshold_cents"]
    rows = [
        (quarter, None if pd.isna(daily[quarter]) else _amount(daily[quarter]))
        for quarter in published["quarter_start"]
        if quarter in daily.index
    ]
    said = pd.DataFrame(rows, columns=["quarter_start", "loyal_threshold_amount"])
    known = published[published["quarter_start"].isin(said["quarter_start"])]
    yield from differences("loyal_threshold", known, said, ["quarter_start"])


def _stages(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    published = _read(conn, "select member_id, stage_code, valid_from, valid_to from bi.member_stage_history")
    said = day_by_day.intervals(expected.daily).rename(columns={"card_no": "member_id"})
    yield from differences("member_stage_history", published, said, ["member_id", "valid_from"])
    figures = _read(
        conn,
        "select member_id, valid_from, days_since_purchase, purchase_days, purchase_days_365, spend_365_amount"
        " from bi.member_stage_history",
    )
    days = expected.daily
    said = pd.DataFrame(
        {
            "member_id": days["card_no"],
            "valid_from": days["day"],
            "days_since_purchase": [None if pd.isna(r) else int(r) for r in days["r"]],
            "purchase_days": days["n"],
            "purchase_days_365": days["n365"],
            "spend_365_amount": [_amount(cents) for cents in days["spend365_cents"]],
        }
    )
    began = figures[["member_id", "valid_from"]].merge(said, on=["member_id", "valid_from"])
    yield from differences("the figures of stage intervals", figures, began, ["member_id", "valid_from"])


def _mix(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    published = _read(
        conn,
        "select week_start, store_id, stage_code, sum(members)::int as members from bi.stage_mix_weekly"
        " group by 1, 2, 3",
    )
    said = day_by_day.stage_mix_weekly(expected.daily)
    said = said[said["week_start"] >= expected.since]
    yield from differences("stage_mix_weekly", published, said, ["week_start", "store_id", "stage_code"])


def _migration(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    key = ["week_start", "from_stage", "to_stage"]
    published = _read(conn, "select week_start, from_stage, to_stage, members from bi.stage_migration_weekly")
    said = day_by_day.stage_migration_weekly(expected.daily)
    yield from differences("stage_migration_weekly", published, said[said["week_start"] >= expected.since], key)


def _kpi(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    recruited_by = {member.member_id: member.service_store_id for member in expected.identity.members()}
    tables = kpi_tables(
        expected.daily,
        expected.facts,
        expected.stores,
        recruited_by,
        expected.moments,
        expected.landed,
        expected.closures,
        expected.calendar,
        profiles=expected.profiles.on,
    )
    for table, said, key in tables:
        published = _read(conn, f"select * from bi.{table}")
        if len(said) or len(published) or table not in TELL_OF_FEW:
            yield from differences(table, published[said.columns], said, key)


def _complete(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    published = _read(
        conn, "select week_start, level_id as store_id, is_complete from bi.kpi_weekly where level = 'store'"
    )
    closures = pd.DataFrame(columns=["store_id", "closed_from", "closed_to"])
    rows = [
        (
            monday,
            store_id,
            day_by_day.week_is_complete(
                monday, expected.landed, pd.DataFrame([{"store_id": store_id}]), closures, expected.as_of
            ),
        )
        for monday, store_id in published[["week_start", "store_id"]].itertuples(index=False)
    ]
    said = pd.DataFrame(rows, columns=["week_start", "store_id", "is_complete"])
    yield from differences("is_complete of kpi_weekly", published, said, ["week_start", "store_id"])


def _stocktake(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    columns = ["week_start", "store_id", *day_by_day.STOCKTAKE]
    published = _read(conn, f"select {', '.join(columns)} from bi.member_stocktake_weekly")
    said = day_by_day.stocktake_weekly(expected.daily, expected.stores, since=expected.since)

    def with_something(table: pd.DataFrame) -> pd.DataFrame:
        return table[(table[day_by_day.STOCKTAKE] != 0).any(axis=1)]

    key = ["week_start", "store_id"]
    yield from differences("member_stocktake_weekly", with_something(published), with_something(said), key)


def _adaptive(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    published = _read(
        conn,
        "select member_id, adaptive_band, valid_from, valid_to, cycle_days, cycle_basis"
        " from bi.member_adaptive_history where adaptive_band is not null",
    )
    by_day = expected.adaptive.rename(columns={"card_no": "member_id"})
    said = _stretches(by_day, expected.as_of)
    wanted = ["member_id", "adaptive_band", "valid_from", "valid_to"]
    joined = _joined(published[wanted])
    yield from differences("member_adaptive_history", joined, said, ["member_id", "valid_from"])
    cycles = by_day.rename(columns={"day": "valid_from"})[["member_id", "valid_from", "cycle_days", "cycle_basis"]]
    cycles["cycle_days"] = [Decimal(cycle.numerator) / cycle.denominator for cycle in cycles["cycle_days"]]
    published["cycle_days"] = [Decimal(str(cycle)) for cycle in published["cycle_days"]]
    key = ["member_id", "valid_from"]
    began = published[key].merge(cycles, on=key)
    yield from differences("the cycles of adaptive intervals", published[[*began.columns]], began, key)


def _stage_at(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    bands = expected.adaptive.set_index(["day", "card_no"])["adaptive_band"]
    for back in (0, 1, 30, 90, 366):
        day = max(expected.as_of - timedelta(days=back), expected.since)
        rows = expected.daily[expected.daily["day"] == day]
        said = pd.DataFrame(
            {
                "member_id": rows["card_no"],
                "stage_code": rows["stage_code"],
                "store_id": rows["service_store_id"],
                "adaptive_band": [bands.get((day, card)) for card in rows["card_no"]],
            }
        )
        columns = ", ".join(said.columns)
        published = _read(conn, f"select {columns} from bi.stage_at('{day}')")
        yield from differences(f"stage_at({day})", published, said, ["member_id"])


def _tiers(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    values = ["tier", "expected_tier", "in_grace", "expected_reason", "expected_since", "next_review_on", "receipt_no"]
    published = _read(
        conn,
        "select history.member_id, tier, expected_tier, in_grace, expected_reason, expected_since, next_review_on,"
        " receipt.receipt_no, valid_from, valid_to from bi.tier_history as history left join bi.fct_receipt as receipt"
        " on history.promoted_by_receipt_id = receipt.receipt_id",
    )
    rows = [
        (
            member_id,
            standing.tier,
            due and due.tier,
            bool(due and due.in_grace),
            due and due.reason,
            due and due.since,
            due and due.next_review_on,
            due and due.receipt_no,
            day,
            OPEN_END if day == expected.as_of else day + timedelta(days=1),
        )
        for member_id in expected.tiers.members
        for day, standing in expected.tiers.by_day(member_id)
        for due in (standing.expected,)
    ]
    said = pd.DataFrame(rows, columns=["member_id", *values, "valid_from", "valid_to"])
    yield from differences("tier_history", _joined(published), _joined(said), ["member_id", "valid_from"])


def _tier_migration(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    key = ["month_start", "from_tier", "to_tier"]
    published = _read(conn, "select month_start, from_tier, to_tier, members from bi.tier_migration_monthly")
    moves = expected.tiers.migration_monthly()
    said = pd.DataFrame([(*place, members) for place, members in moves.items()], columns=[*key, "members"])
    yield from differences("tier_migration_monthly", published, said, key)


# ---------------------------------------------------------------------------------------- what is always true


def _legal_moves(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    """Only a return that takes a purchase day away moves a member elsewhere, on its day."""
    stopped = {
        (row.card_no, row.stopped_on)
        for row in expected.facts[expected.facts["qualifies_at_sale"]].itertuples()
        if row.stopped_on is not None
    }
    rows = conn.execute(
        "select member_id, valid_from, lag(stage_code) over (partition by member_id order by valid_from), stage_code"
        " from bi.member_stage_history order by member_id, valid_from"
    ).fetchall()
    wrong = [
        (member, day, before, now)
        for member, day, before, now in rows
        if before in LEGAL and now != "X" and now not in LEGAL[before] and (member, day) not in stopped
    ]
    if wrong:
        yield Mismatch("illegal moves", len(wrong), [str(row) for row in wrong[:ROWS_SHOWN]], [wrong[0][0]])


IDENTITIES = {
    "intervals that overlap, leave a gap or do not end open": """
        select member_id, valid_from, valid_to, next_from from (
            select *, lead(valid_from, 1, date '9999-12-31') over (partition by member_id order by valid_from)
                as next_from
            from bi.member_stage_history
        ) as h where valid_to <> next_from or valid_to <= valid_from
    """,
    "weeks whose migration does not end with the mix": """
        select * from (select week_start, to_stage, sum(members) from bi.stage_migration_weekly group by 1, 2) as a
        full join (select week_start, stage_code as to_stage, sum(members) as n from bi.stage_mix_weekly group by 1, 2)
            as b using (week_start, to_stage)
        where a.sum is distinct from b.n
    """,
    "weeks whose migration does not begin with the mix of the week before": """
        select * from (
            select week_start, from_stage, sum(members) from bi.stage_migration_weekly where from_stage <> 'NEW'
            group by 1, 2
        ) as a full join (
            select week_start + 7 as week_start, stage_code as from_stage, sum(members) as n from bi.stage_mix_weekly
            where week_start < (select max(week_start) from bi.week_close) group by 1, 2
        ) as b using (week_start, from_stage)
        -- the first week begins with who was there before
        where a.sum is distinct from b.n and week_start > (select min(week_start) from bi.week_close)
    """,
    "periods whose stores do not add up to head office": """
        select level, period_type, period_start, part, hq from (
            select level, period_type, period_start, {sums} as part, first_value({sums}) over (
                partition by period_type, period_start order by level = 'hq' desc
            ) as hq
            from ({every_period}) as kpi group by 1, 2, 3
        ) as levels where part is distinct from hq
    """,
    "stores and weeks whose stocktake does not add up": """
        select * from bi.member_stocktake_weekly
        where opening + {into} - {out} <> closing
    """,
    "stores and weeks that do not open with the stock with which the week before closed": """
        select a.week_start, a.store_id, a.opening, b.closing from bi.member_stocktake_weekly as a
        join bi.member_stocktake_weekly as b on a.store_id = b.store_id and a.week_start = b.week_start + 7
        where a.opening <> b.closing
    """,
    "stores and weeks whose stocktake is not the one of the key figures": """
        select * from bi.member_stocktake_weekly as a
        join bi.kpi_weekly as b on a.week_start = b.week_start and a.store_id = b.level_id and b.level = 'store'
        where (a.opening, a.closing) is distinct from (b.opening_members, b.closing_members)
    """,
    "weeks whose new members are not those who enrolled by the stocktake": """
        select * from (select week_start, sum(enrolled) as enrolled from bi.member_stocktake_weekly group by 1) as a
        join bi.kpi_weekly as b using (week_start) where b.level = 'hq' and a.enrolled <> b.new_members
    """,
    "stores and weeks whose transfers are not those of the stocktake": """
        select * from bi.member_stocktake_weekly as a
        join bi.kpi_weekly as b on a.week_start = b.week_start and a.store_id = b.level_id and b.level = 'store'
        where a.transfer_in - a.transfer_out <> b.net_transfers
    """,
    "weeks in which transfers do not cancel out": """
        select week_start, sum(transfer_in), sum(transfer_out) from bi.member_stocktake_weekly group by 1
        having sum(transfer_in) <> sum(transfer_out)
    """,
}
ADDITIVE = [
    *(column for column in day_by_day.COUNTS if not column.endswith("_cents")),
    *(column for column in day_by_day.KPI_MONEY if column.startswith(("sale_", "net_sales_"))),
]


def _sums(conn: psycopg.Connection, expected: Expected) -> Iterable[Mismatch]:
    sums = ", ".join(f"sum({column})" for column in ADDITIVE)
    texts = {
        "sums": f"row({sums})::text",
        "every_period": " union all ".join(
            f"select {', '.join(['level', 'period_type', 'period_start', *ADDITIVE])} from bi.{table}"
            for table in PERIODS.values()
        ),
        "into": " + ".join(day_by_day.BECOMES_VALID),
        "out": " - ".join(day_by_day.CEASES_TO_BE),
    }
    for what, statement in IDENTITIES.items():
        rows = conn.execute(statement.format(**texts).encode()).fetchall()
        if rows:
            yield Mismatch(what, len(rows), [str(row) for row in rows[:ROWS_SHOWN]])


# ---------------------------------------------------------------------------------------------- how to compare


def differences(what: str, published: pd.DataFrame, said: pd.DataFrame, key: list[str]) -> Iterable[Mismatch]:
    """Rows that only one side has, and cells that differ, with both values."""
    columns = list(said.columns)
    left = {tuple(row[: len(key)]): row for row in _cells(published, [*key, *_rest(columns, key)])}
    right = {tuple(row[: len(key)]): row for row in _cells(said, [*key, *_rest(columns, key)])}
    wrong = []
    for place in sorted(left.keys() | right.keys(), key=str):
        one, other = left.get(place), right.get(place)
        if one == other:
            continue
        named = dict(zip(key, map(str, place), strict=True))
        if one is None or other is None:
            wrong.append(
                (place, f"{named}: only {'the reference says' if one is None else 'published:'} {other or one}")
            )
        else:
            cells = {
                column: f"published {a}, expected {b}"
                for column, a, b in zip([*key, *_rest(columns, key)], one, other, strict=True)
                if a != b
            }
            wrong.append((place, f"{named}: {cells}"))
    if not left:
        yield Mismatch(f"{what}: nothing is published", len(right), [])
    elif wrong:
        whose = [str(place[key.index("member_id")]) for place, _ in wrong] if "member_id" in key else []
        if "receipt_no" in key:
            whose = [str(place[key.index("receipt_no")]) for place, _ in wrong]
        yield Mismatch(what, len(wrong), [text for _, text in wrong[:ROWS_SHOWN]], whose)


def _rest(columns: Sequence[str], key: Sequence[str]) -> list[str]:
    return [column for column in columns if column not in key]


def _cells(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    lists = [[None if _is_missing(value) else value for value in frame[column].tolist()] for column in columns]
    return list(zip(*lists, strict=True))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def _joined(table: pd.DataFrame) -> pd.DataFrame:
    """Neighbouring intervals (their last two columns) of the same values as one."""
    rows: list[list[Any]] = []
    for *values, begin, end in table.sort_values(["member_id", "valid_from"]).itertuples(index=False):
        if rows and rows[-1] == [*values, rows[-1][-2], begin]:
            rows[-1][-1] = end
        else:
            rows.append([*values, begin, end])
    return pd.DataFrame(rows, columns=list(table.columns))


def _stretches(by_day: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Days with a band, one after the other, as intervals; one that holds on the last day is open."""
    one_day = timedelta(days=1)
    table = pd.DataFrame(
        {
            "member_id": by_day["member_id"],
            "adaptive_band": by_day["adaptive_band"],
            "valid_from": by_day["day"],
            "valid_to": [OPEN_END if day == as_of else day + one_day for day in by_day["day"]],
        }
    )
    return _joined(table)


def _read(conn: psycopg.Connection, statement: str) -> pd.DataFrame:
    cursor = conn.execute(statement.encode())
    columns = [column.name for column in cursor.description or ()]
    frame = pd.DataFrame(cursor.fetchall(), columns=columns)
    return frame.astype(object)


def _or_none(day: date) -> date | None:
    return None if day == OPEN_END else day


def _amount(cents: Any) -> Decimal:
    return Decimal(int(cents)) / 100
