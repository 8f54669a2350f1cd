"""Fits the models to what is published, proves them on days that were held out, and scores every member.

Of a published release, because a candidate's facts may yet be held or discarded: a model would outlive what it was made
of. Under the build lock, because an erasure in between would be undone by scores written under the erased name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO

import pandas as pd
import psycopg
from psycopg import sql

from memberhouse import db, ledger
from memberhouse.errors import MemberhouseError
from memberhouse.settings import Settings
from memberhouse.value.likelihood import NoModel
from memberhouse.value.model import Model, calibrate, fit_model, score
from memberhouse.warehouse import build_lock

# What is expected is told of so many days.
HORIZON_DAYS = 365
# Of the history the newer half is held out, and no more than this; of less than that there is no model.
MOST_HOLDOUT_WEEKS = 26
LEAST_WEEKS = 26
# Of so many models the scores are kept: a build may be as of a date some weeks back.
KEPT_SCORES = 5

# A row a valid member who bought by `until`: what `memberhouse.value.model` calls a history, and what came after it.
_HISTORIES = """
copy (
    select
        days.member_id,
        count(*) filter (where days.business_date <= %(until)s) - 1 as repeat_days,
        max(days.business_date) filter (where days.business_date <= %(until)s) - min(days.business_date)
            as recency_days,
        %(until)s - min(days.business_date) as age_days,
        round(avg(days.net_amount) filter (where days.business_date <= %(until)s), 6) as average_amount,
        count(*) filter (where days.business_date > %(until)s) as holdout_days,
        coalesce(sum(days.net_amount) filter (where days.business_date > %(until)s), 0) as holdout_amount
    from bi.fct_purchase_day as days
    inner join bi.dim_member as members on days.member_id = members.member_id
    where members.is_valid and days.business_date <= %(as_of)s
    group by days.member_id
    having min(days.business_date) <= %(until)s
) to stdout (format csv, header)
"""


@dataclass(frozen=True)
class Fit:
    """What became of a fit. model_version: None when the data bear no model. summary: one sentence, which says why."""

    model_version: int | None
    summary: str


def fit(settings: Settings, as_of: date) -> Fit:
    """Fit the models as of a date to the release that readers see, and store the model, its calibration and the score
    of every valid member who has bought; builds as of that date or later take it.

    A model of this date and release is there only once: the same again changes nothing. Raises MemberhouseError when
    nothing is published that knows the date.
    """
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
    with build_lock(settings), ledger.step(settings, "value", f"as of {as_of}") as step, db.connect(settings) as conn:
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        release_id, weeks = _read_release(conn, as_of)
        done = _fitted(conn, as_of, release_id)
        if done is None:
            try:
                done = _fit(conn, as_of, release_id, weeks)
            except NoModel as reason:
                done = Fit(None, f"No model as of {as_of}: {reason}. What was fitted before stands.")
        step.summary = done.summary
        step.detail["model_version"] = done.model_version
    return done


def is_fitted(settings: Settings, as_of: date) -> bool:
    """Whether there is a model as of this very date."""
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        return conn.execute("select 1 from scoring.model where as_of_date = %s", (as_of,)).fetchone() is not None


def _read_release(conn: psycopg.Connection, as_of: date) -> tuple[int, int]:
    """The release that the rest of the transaction reads, and how many whole weeks of history it has as of the date."""
    row = conn.execute(
        "select c.release_id, r.as_of_date from release.current as c"
        " inner join release.release as r on c.release_id = r.release_id where c.group_name = 'core'"
    ).fetchone()
    if row is None or row[1] < as_of:
        known = "Nothing is published" if row is None else f"What is published ends on {row[1]}"
        raise MemberhouseError(
            f"{known}: there is nothing to fit as of {as_of}.", "publish first: “memberhouse run DIR --as-of DATE”"
        )
    conn.execute("select set_config('memberhouse.release', %s, true)", (str(row[0]),))
    period = conn.execute("select observed_from from bi.reporting_period").fetchone()
    first = period[0] if period and period[0] else as_of
    return row[0], ((as_of - first).days + 1) // 7


def _fitted(conn: psycopg.Connection, as_of: date, release_id: int) -> Fit | None:
    row = conn.execute(
        "select model_version from scoring.model where as_of_date = %s and release_id = %s", (as_of, release_id)
    ).fetchone()
    return (
        Fit(row[0], f"Model {row[0]} as of {as_of}, fitted on release {release_id}, is there already.") if row else None
    )


def _fit(conn: psycopg.Connection, as_of: date, release_id: int, weeks: int) -> Fit:
    if weeks < LEAST_WEEKS:
        raise NoModel(f"the history has {max(weeks, 0)} weeks, and a model takes {LEAST_WEEKS}")
    holdout_weeks = min(MOST_HOLDOUT_WEEKS, weeks // 2)
    until = as_of - timedelta(weeks=holdout_weeks)
    calibration = calibrate(_histories(conn, until, as_of), 7 * holdout_weeks)
    histories = _histories(conn, as_of, as_of)
    model = fit_model(histories)
    scores = score(model, histories, HORIZON_DAYS).rename(
        columns={"expected_purchases": "expected_purchases_12m", "expected_value": "expected_value_12m"}
    )
    version = _write_model(conn, as_of, release_id, model, until, holdout_weeks)
    _copy(conn, "calibration", calibration.assign(model_version=version))
    _copy(conn, "member_score", scores.assign(member_id=histories["member_id"], model_version=version))
    conn.execute("delete from scoring.member_score where model_version <= %s", (version - KEPT_SCORES,))
    conn.execute("analyze scoring.member_score")
    return Fit(version, _told(version, as_of, release_id, model, calibration, holdout_weeks))


def _histories(conn: psycopg.Connection, until: date, as_of: date) -> pd.DataFrame:
    with conn.cursor().copy(_HISTORIES, {"until": until, "as_of": as_of}) as rows:
        content = b"".join(rows)
    return pd.read_csv(
        BytesIO(content), dtype={"member_id": str}, keep_default_na=False, na_values={"average_amount": ""}
    )


def _write_model(
    conn: psycopg.Connection, as_of: date, release_id: int, model: Model, until: date, holdout_weeks: int
) -> int:
    purchases, amounts = model.purchases, model.amounts
    row = conn.execute(
        """
        insert into scoring.model (
            model_version, as_of_date, release_id, members, repeaters, r, alpha, a, b, log_likelihood,
            p, q, v, amounts_log_likelihood, calibrated_until, holdout_weeks
        )
        select coalesce(max(m.model_version), 0) + 1, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
        from scoring.model as m
        returning model_version
        """,
        (
            as_of, release_id, model.members, model.repeaters,
            purchases.r, purchases.alpha, purchases.a, purchases.b, purchases.log_likelihood,
            amounts.p, amounts.q, amounts.v, amounts.log_likelihood,
            until, holdout_weeks,
        ),
    ).fetchone()  # fmt: skip
    assert row is not None  # noqa: S101  (an insert ... returning has a row)
    return int(row[0])


def _copy(conn: psycopg.Connection, table: str, rows: pd.DataFrame) -> None:
    """Write a frame to the table that has its columns."""
    statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
        sql.Identifier("scoring", table), sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    )
    with conn.cursor().copy(statement) as lines:
        # a part at a time: the text of a million members is not held at once
        for begin in range(0, len(rows), 100_000):
            lines.write(rows.iloc[begin : begin + 100_000].to_csv(index=False, header=False))


def _told(
    version: int, as_of: date, release_id: int, model: Model, calibration: pd.DataFrame, holdout_weeks: int
) -> str:
    purchases, amounts = model.purchases, model.amounts
    predicted, actual = (
        (calibration[column] * calibration["members"]).sum() for column in ("predicted_days", "actual_days")
    )
    return (
        f"Model {version} as of {as_of}, fitted on release {release_id} to {model.members:,} members,"
        f" {model.repeaters:,} of whom bought again: r {purchases.r:.4f}, alpha {purchases.alpha:.4f},"
        f" a {purchases.a:.4f}, b {purchases.b:.4f}, log-likelihood {purchases.log_likelihood:,.1f};"
        f" p {amounts.p:.4f}, q {amounts.q:.4f}, v {amounts.v:.4f}. In {holdout_weeks} weeks held out it predicted"
        f" {predicted:,.0f} purchase days, and {actual:,.0f} came. The next build publishes its scores."
    )
