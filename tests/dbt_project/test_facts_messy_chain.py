"""The facts of a simulated messy chain against its truth: nothing lost, nothing twice, built in parts or at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from tests.chain import publish
from tests.conftest import new_warehouse
from tests.differential.campaign import frozen_thresholds
from tests.differential.comparison import differences
from tests.differential.expected import Expected
from tests.reference import cohorts, day_by_day, points
from tests.reference.campaigns import campaign_performance
from tests.reference.cohorts import quotient, rounded
from tests.reference.contacts import contact_balance_weekly
from tests.reference.identity import local_day
from tests.reference.kpi_tables import kpi_tables

from memberhouse import db, release
from memberhouse.load import load_landed
from memberhouse.settings import Settings
from memberhouse.simulate.chain import DEFAULT_UNTIL, write_chain

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("messy facts") / "landing"
    write_chain(folder, members=1500, days=60, seed=11, messy=True)
    return folder


@pytest.fixture(scope="module")
def built(messy: Path, server_home: Path) -> Iterator[Settings]:
    """Published up to nine days before the end, then to the end; what was refused for unknown stores is tried again."""
    with new_warehouse(server_home) as settings:
        load_landed(settings, messy, until=DEFAULT_UNTIL - timedelta(days=9))
        publish(settings, DEFAULT_UNTIL - timedelta(days=9))
        load_landed(settings, messy)
        load_landed(settings, messy)
        publish(settings, DEFAULT_UNTIL)
        yield settings


def read(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with db.connect(settings) as conn:
        db.as_bi_role(conn)
        return conn.execute(statement.encode()).fetchall()


def truth(messy: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(messy / "truth" / name, dtype=str, keep_default_na=False)


def test_each_fact_has_the_rows_that_were_landed_sound(messy: Path, built: Settings) -> None:
    landed = truth(messy, "feeds.csv.gz").set_index("feed")["rows"].astype(int)
    facts = {
        "contacts": "select count(*) from bi.fct_contact",
        "events": "select sum(events) from bi.fct_app_event_day",
        "points_entries": "select count(*) from bi.fct_points_entry",
        "referrals": "select count(*) from bi.fct_referral",
        "campaigns": "select count(*) from bi.dim_campaign",
        "templates": "select count(*) from bi.dim_template",
        "event_catalogue": "select count(*) from bi.dim_app_event",
    }
    assert {feed: read(built, statement)[0][0] for feed, statement in facts.items()} == dict(landed[list(facts)])
    versions = {"coupons": "coupon_id", "feedback": "ticket_id"}
    for feed, key in versions.items():
        ((distinct, held),) = read_raw(
            built,
            f"select count(distinct fed.{key}), (select count(*) from marts.fct_{feed.removesuffix('s')})"
            f" from raw.app__{feed} as fed inner join ops.batch on batch_id = _batch_id and state = 'loaded'",
        )
        assert distinct == held < landed[feed]


def read_raw(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with db.connect(settings) as conn:
        return conn.execute(statement.encode()).fetchall()


def test_what_was_paid_is_what_was_sold(messy: Path, built: Settings) -> None:
    totals = truth(messy, "totals.csv.gz").set_index("what")["value"].map(Decimal)
    ((receipts, tenders, amount),) = read(
        built, "select count(distinct receipt_id), count(*), sum(amount) from bi.fct_tender"
    )
    assert (receipts, amount) == (totals["receipts"], totals["z_net"])
    assert tenders > receipts
    days = truth(messy, "store_days.csv.gz")
    days = days[days["receipts"] != "0"]
    paid = read(built, "select business_date::text, store_id, sum(amount) from bi.fct_tender group by 1, 2")
    assert sorted(paid) == sorted(zip(days["business_date"], days["store_id"], days["z_net"].map(Decimal), strict=True))
    assert read_raw(built, "select 1 from intermediate.int_audit__tenders where abs(gap_amount) > 0.01") == []


def test_points_are_all_there_and_nobody_is_overdrawn(built: Settings) -> None:
    """The simulated ledger names its lots and lets none fall below zero."""
    ((entered,),) = read_raw(
        built,
        "select sum(points) from raw.app__points_entries inner join ops.batch on batch_id = _batch_id"
        " where state = 'loaded'",
    )
    ((open_points, overdrawn, redeemed),) = read(
        built,
        "select sum(open_points), count(*) filter (where open_points < 0), sum(redeemed_points) from bi.points_lot",
    )
    assert (open_points, overdrawn) == (entered, 0)
    assert redeemed == -read(built, "select sum(points) from bi.fct_points_entry where entry_type = 'redeem'")[0][0]
    # paid with: a hundred points a yuan
    assert redeemed == 100 * read(built, "select sum(amount) from bi.fct_tender where tender_type = 'points'")[0][0]


def test_every_member_is_enrolled_once(messy: Path, built: Settings) -> None:
    enrolled = read(
        built,
        "select member_id, enrolled_on from bi.dim_member where enrolled_on is not null and merged_on is null"
        " order by 1",
    )
    assert (
        read(built, "select member_id, enrolled_on from bi.fct_enrolment where is_members_first order by 1") == enrolled
    )
    faults = truth(messy, "ledger.csv")
    late = faults[(faults["kind"] == "backdated") & (faults["remark"].isin(["by 5 days", "by 29 days", "by 30 days"]))]
    backdated = dict(read(built, "select identifier, days_backdated from bi.fct_enrolment"))
    assert [f"by {backdated[card]} days" for card in late["key"]] == list(late["remark"])
    assert len(late) == 3


def test_the_shared_card_is_flagged(messy: Path, built: Settings) -> None:
    faults = truth(messy, "ledger.csv")
    shared = faults[faults["kind"] == "shared_card"][["key", "business_date"]].itertuples(index=False, name=None)
    flagged = read(built, "select member_id, first_suspect_on::text from bi.member_flags where is_suspect_shared")
    assert flagged == list(shared)


def test_redeemed_coupons_lead_to_their_receipt(built: Settings) -> None:
    ((redeemed, found),) = read(
        built,
        "select count(*), count(receipt.receipt_id) from bi.fct_coupon as coupon"
        " left join bi.fct_receipt as receipt on coupon.receipt_id = receipt.receipt_id"
        " where is_redeemed",
    )
    assert redeemed == found > 50


def delivered_days(conn: psycopg.Connection) -> set[tuple[str, date]]:
    """(store or ``all``, business date) of which both receipts and their lines are in force."""
    places = {
        feed: set(
            conn.execute(
                "select store_id, business_date from ops.batch where state = 'loaded' and source = 'pos' and feed = %s",
                (feed,),
            ).fetchall()
        )
        for feed in ("receipts", "receipt_lines")
    }
    return places["receipts"] & places["receipt_lines"]


class Landed(Expected):
    """The slow reference over what stands in raw, in batches that are in force."""

    def __init__(self, settings: Settings) -> None:
        with db.connect(settings) as conn:
            super().__init__((), DEFAULT_UNTIL, frozen_thresholds(settings), {})
            self._feeds = {
                table.partition("__")[2]: self._read(conn, table)
                for (table,) in conn.execute(
                    "select table_name from information_schema.tables where table_schema = 'raw'"
                ).fetchall()
            }
            self._landed = delivered_days(conn)
            self.birthdays = dict(
                conn.execute(
                    "select token, value from vault.personal_value where what = 'birthday' and value <> '1900-01-01'"
                ).fetchall()
            )
        # 1900-01-01 is what tills write for unknown
        for row in (*self._feeds["accounts"], *self._feeds["enrolments"]):
            if row["birthday_token"] not in self.birthdays:
                row["birthday_token"] = None

    @staticmethod
    def _read(conn: psycopg.Connection, table: str) -> list[dict[str, Any]]:
        cursor = conn.execute(
            f"select fed.*, batch.business_date as entered_on from raw.{table} as fed inner join ops.batch"
            " on fed._batch_id = batch.batch_id and batch.state = 'loaded'"
            " order by batch.business_date, fed._batch_id, fed._line_no".encode()
        )
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def rows(self, feed: str) -> list[dict[str, Any]]:
        # nobody feeds the app as a store
        app = [{"store_id": "APP", "timezone": "Asia/Shanghai", "region": None}] if feed == "stores" else []
        return [*app, *self._feeds[feed]]

    @cached_property
    def landed(self) -> set[tuple[str, date]]:
        return self._landed

    def latest(self, feed: str, key: str) -> list[dict[str, Any]]:
        """A feed's rows in the version that was changed last."""
        by_change = sorted(self.rows(feed), key=lambda row: pd.Timestamp(row["updated_at"]))
        return list({row[key]: row for row in by_change}.values())

    def deeds(self) -> set[tuple[str, date]]:
        """(member, day) of every deliberate event in the app and first reply to a contact."""
        deliberate = {row["name"] for row in self.newest("event_catalogue", "name") if row["is_deliberate"]}
        found = set()
        for event in self.newest("events", "event_id"):
            day = self.app_day(event["at"])
            if event["name"] in deliberate:
                found.add((self.identity.whose("account", event["account_id"], day), day))
        first_reply: dict[str, Any] = {}
        for state in self.rows("contact_states"):
            if state["state"] == "replied":
                at = pd.Timestamp(state["at"])
                first_reply[state["contact_id"]] = min(at, first_reply.get(state["contact_id"], at))
        for contact in self.newest("contacts", "contact_id"):
            if contact["contact_id"] in first_reply:
                day = self.app_day(contact["created_at"])
                found.add((self.whose(contact["member"], day), self.app_day(first_reply[contact["contact_id"]])))
        return {(member, day) for member, day in found if member and day <= self.as_of}

    def app_day(self, moment: Any) -> date:
        return local_day(moment, self.rows("stores")[0])

    def whose(self, identifier: str | None, day: date) -> str | None:
        """To whom a card or an account belonged on a day."""
        return self.identity.whose("card", identifier, day) or self.identity.whose("account", identifier, day)

    @cached_property
    def contacts(self) -> list[dict[str, Any]]:
        """Contacts as `contact_balance_weekly` asks for them, by the first moment of each of their states."""
        reached: dict[str, dict[str, pd.Timestamp]] = {}
        for state in self.rows("contact_states"):
            moment = pd.Timestamp(state["at"])
            if self.app_day(moment) <= self.as_of:
                of_contact = reached.setdefault(state["contact_id"], {})
                of_contact[state["state"]] = min(moment, of_contact.get(state["state"], moment))
        found = []
        for contact in self.newest("contacts", "contact_id"):
            at = reached.get(contact["contact_id"], {})
            made = at.get("sent", at.get("arrived"))
            found.append(
                contact
                | {
                    "member_id": self.whose(contact["member"], self.app_day(contact["created_at"])),
                    "made_on": None if made is None else self.app_day(made),
                    "made_at": made,
                    "is_reached": bool(at.keys() & {"delivered", "read", "replied", "arrived"}),
                    "is_sent": "sent" in at,
                    "arrived_on": self.app_day(at["arrived"]) if "arrived" in at else None,
                }
            )
        return found

    def points(self) -> dict[str, list[dict[str, Any]]]:
        """The entries of the points ledger by whose they are."""
        by_holder: dict[str, list[dict[str, Any]]] = {}
        for entry in self.newest("points_entries", "entry_id"):
            day = self.app_day(entry["at"])
            if day > self.as_of:
                continue
            whose = self.identity.whose("card", entry["card_no"], day)
            whose = whose or self.identity.whose("account", entry["account_id"], day)
            holder = whose or entry["card_no"] or entry["account_id"]
            by_holder.setdefault(holder, []).append(entry | {"at": pd.Timestamp(entry["at"]), "day": day})
        return by_holder


@pytest.fixture(scope="module")
def landed(built: Settings) -> Landed:
    return Landed(built)


def differing(built: Settings, table: str, said: pd.DataFrame, key: list[str]) -> list[str]:
    """The first rows in which a published table is not what is said."""
    with db.connect(built) as conn:
        db.as_bi_role(conn)
        cursor = conn.execute(f"select {', '.join(said.columns)} from bi.{table}".encode())
        published = pd.DataFrame(cursor.fetchall(), columns=list(said.columns))
    wrong = [row for found in differences(table, published, said, key) for row in (found.what, *found.rows)]
    print(*wrong, sep="\n")  # whole, if the test fails
    return wrong


def test_every_kpi_table_is_what_raw_says_by_the_slow_reference(built: Settings, landed: Landed) -> None:
    recruited_by = {member.member_id: member.service_store_id for member in landed.identity.members()}
    deeds = landed.deeds()
    tables = kpi_tables(
        landed.daily,
        landed.facts,
        landed.stores,
        recruited_by,
        landed.moments,
        landed.landed,
        landed.closures,
        landed.calendar,
        deeds,
        landed.profiles.on,
    )
    wrong, empty = [], set()
    for table, said, key in tables:
        if said.empty:
            empty.add(table)
            assert read(built, f"select count(*) from bi.{table}") == [(0,)]
        else:
            wrong += differing(built, table, said, key)
    assert wrong == []
    assert len(deeds) > 100
    profiles = landed.profiles.on(landed.as_of).values()
    assert {profile.is_contactable for profile in profiles} == {True, False}
    assert len({len(profile.filled) for profile in profiles}) > 2
    # no loyal threshold to score money by yet, nobody away for half a year, no four weeks without an event
    assert empty == {"rfm_grid", "reactivation_90d", "member_day_effect"}


def test_a_member_is_of_the_gender_and_the_age_that_it_said_last(built: Settings, landed: Landed) -> None:
    statements = {("card", row["card_no"]): (row["day"], row) for row in landed.identity.enrolments()}
    for row in sorted(landed.rows("accounts"), key=lambda row: pd.Timestamp(row["updated_at"])):
        if (day := landed.app_day(row["updated_at"])) <= landed.as_of:
            statements["account", row["account_id"]] = (day, row)
    said: dict[str, dict[str, Any]] = {}
    # what was said last is believed; of one day, the account
    for (kind, id_), (_, row) in sorted(statements.items(), key=lambda one: (-one[1][0].toordinal(), one[0])):
        if member := landed.identity.whose(kind, id_, landed.as_of):
            of_member = said.setdefault(member, {})
            for column in ("gender", "birthday_token"):
                if row[column]:
                    of_member.setdefault(column, row[column])

    with db.connect(built) as conn:
        db.as_bi_role(conn)
        published = conn.execute("select member_id, gender, age_band, birth_month from bi.dim_member").fetchall()
    assert {(member, *_gender_and_age(landed, said.get(member, {}))) for member, *_ in published} == set(published)
    assert {gender for _, gender, *_ in published} == {"female", "male", "unknown"}
    assert {"unknown", "18-24", "25-34", "35-44", "45-54"} <= {band for _, _, band, _ in published}


def _gender_and_age(landed: Landed, said: dict[str, Any]) -> tuple[str, str, int | None]:
    birthday = landed.birthdays.get(said.get("birthday_token", ""), "")
    if not birthday:
        return said.get("gender", "unknown"), "unknown", None
    year, month = birthday[:-6], int(birthday[-5:-3])
    age = landed.as_of.year - int(year) - (landed.as_of.month < month) if year != "-" else -1
    bands = {0: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-54", 55: "55-64", 65: "65+"}
    band = next((bands[first] for first in sorted(bands, reverse=True) if age >= first), "unknown")
    return said.get("gender", "unknown"), band, month


def test_points_by_day_and_by_month_of_issue_are_what_raw_says(built: Settings, landed: Landed) -> None:
    (rule,) = landed.newest("points_rules", "valid_from")
    cost = Fraction(rule["unit_cost"]) * (1 - Fraction(rule["breakage_rate"]))
    days: dict[date, dict[str, int]] = {}
    months: dict[date, dict[str, int]] = {}
    owed: dict[date, int] = {}
    names = {"earn": "issued", "redeem": "redeemed", "expire": "expired", "adjust": "adjusted", "reverse": "reversed"}
    for entries in landed.points().values():
        day_of = {entry["at"]: entry["day"] for entry in entries}
        for entry in entries:
            of_day = days.setdefault(entry["day"], dict.fromkeys([*names.values(), "balance"], 0))
            sign = -1 if entry["type"] in ("redeem", "expire") else 1
            of_day[names[entry["type"]]] += sign * entry["points"]
            of_day["balance"] += entry["points"]
        for name, lot in points.lots(entries).items():
            assert name != points.OVERDRAWN
            opened = day_of[lot.opened]
            of_month = months.setdefault(
                opened.replace(day=1), dict.fromkeys(("issued", "redeemed", "expired", "deducted"), 0)
            )
            of_month["issued"] += lot.given
            owed[opened] = owed.get(opened, 0) + lot.given
            for kind, at, taken in lot.taken:
                of_month[names[kind] if kind in ("redeem", "expire") else "deducted"] += taken
                owed[day_of[at]] = owed.get(day_of[at], 0) - taken
    first, balance, liability, said = min(days), 0, 0, []
    for number in range((DEFAULT_UNTIL - first).days + 1):
        day = first + timedelta(days=number)
        of_day = days.get(day, dict.fromkeys([*names.values(), "balance"], 0))
        balance += of_day["balance"]
        liability += owed.get(day, 0)
        said.append((day, *(of_day[name] for name in names.values()), balance, rounded(liability * cost, 2)))
    columns = ["business_date", *(f"{name}_points" for name in names.values()), "balance_points", "liability_amount"]
    assert differing(built, "points_daily", pd.DataFrame(said, columns=columns), ["business_date"]) == []

    hq = dict(read(built, "select period_start, net_sales_member_amount from bi.kpi_monthly where level = 'hq'"))
    rows = []
    for month, of_month in months.items():
        left = of_month["issued"] - of_month["redeemed"] - of_month["expired"] - of_month["deducted"]
        spent = rounded(of_month["issued"] * cost, 2)
        rows.append(
            (
                month,
                *of_month.values(),
                left,
                rounded(left * cost, 2),
                spent,
                quotient(of_month["redeemed"], of_month["issued"], 6),
                rounded(Fraction(spent) / Fraction(hq[month]), 6) if hq.get(month) else None,
            )
        )
    columns = ["cohort_month", "issued_points", "redeemed_points", "expired_points", "deducted_points", "open_points"]
    columns += ["liability_amount", "cost_amount", "redemption_rate", "cost_ratio"]
    assert differing(built, "points_cohort", pd.DataFrame(rows, columns=columns), ["cohort_month"]) == []


def test_coupons_feedback_and_referrals_are_what_raw_says(built: Settings, landed: Landed) -> None:
    as_of = landed.as_of
    coupons = pd.DataFrame(landed.latest("coupons", "coupon_id")).astype(object)
    coupons = coupons[coupons["issued_at"].map(landed.app_day) <= as_of]
    coupons["campaign_id"] = coupons["campaign_id"].map(lambda campaign: campaign or "(none)")
    rows = []
    for key, of_campaign in coupons.groupby(["campaign_id", "funding"]):
        used = of_campaign["redeemed_at"].map(lambda at: not pd.isna(at) and landed.app_day(at) <= as_of)
        over = of_campaign["valid_to"].map(lambda day: day is not None and day < as_of)
        matured = int((used | over).sum())
        rows.append((*key, len(of_campaign), int(used.sum()), matured, quotient(int(used.sum()), matured, 6)))
    columns = ["campaign_id", "funding", "issued", "redeemed", "matured", "redemption_rate"]
    assert differing(built, "coupon_performance", pd.DataFrame(rows, columns=columns), columns[:2]) == []

    tickets = [row | {"day": landed.app_day(row["opened_at"])} for row in landed.latest("feedback", "ticket_id")]
    weeks: dict[tuple[date, str], list[bool]] = {}
    for ticket in tickets:
        closed = ticket["closed_at"] and pd.Timestamp(ticket["closed_at"]) - pd.Timestamp(ticket["opened_at"])
        weeks.setdefault((day_by_day.week_start(ticket["day"]), ticket["kind"]), []).append(
            bool(closed) and closed <= pd.Timedelta(hours=72)
        )
    rows = [(*key, len(quick), sum(quick), quotient(sum(quick), len(quick), 6)) for key, quick in weeks.items()]
    columns = ["week_start", "kind", "opened", "closed_72h", "closure_rate"]
    assert differing(built, "feedback_weekly", pd.DataFrame(rows, columns=columns), columns[:2]) == []

    scores: dict[tuple[date, str], tuple[Any, str, int]] = {}
    for ticket in tickets:
        day, member = ticket["day"], ticket["member"]
        whose = landed.whose(member, day)
        if ticket["kind"] == "nps" and ticket["score"] is not None and whose:
            place, answer = (
                (day_by_day.quarter_start(day), whose),
                (pd.Timestamp(ticket["opened_at"]), ticket["ticket_id"]),
            )
            scores[place] = max(scores.get(place, (*answer, ticket["score"])), (*answer, ticket["score"]))
    rows = []
    for quarter in {quarter for quarter, _ in scores}:
        given = [score for (of, _), (_, _, score) in scores.items() if of == quarter]
        promoters, detractors = sum(score >= 9 for score in given), sum(score <= 6 for score in given)
        nps = quotient(promoters - detractors, len(given), 6) if len(given) >= 30 else None
        rows.append((quarter, len(given), promoters, detractors, nps))
    columns = ["quarter_start", "answers", "promoters", "detractors", "nps"]
    assert differing(built, "nps_quarterly", pd.DataFrame(rows, columns=columns), columns[:1]) == []

    reasons: dict[tuple[date, str], int] = {}
    for ticket in tickets:
        if ticket["kind"] == "lapse_reason":
            place = (ticket["day"].replace(day=1), ticket["reason_code"] or "unknown")
            reasons[place] = reasons.get(place, 0) + 1
    rows = [(*place, count) for place, count in reasons.items()]
    columns = ["month_start", "reason_code", "tickets"]
    assert differing(built, "lapse_reasons", pd.DataFrame(rows, columns=columns), columns[:2]) == []


def test_referrals_are_what_raw_says(built: Settings, landed: Landed) -> None:
    recruited_by = {member.member_id: member.service_store_id for member in landed.identity.members()}
    observed_from = min(landed.facts["business_date"])
    lives = {
        life.member_id: life
        for life in cohorts.lives(landed.daily, landed.facts, observed_from, recruited_by, landed.moments)
    }
    staff = {said.member_id for said in landed.identity.said(landed.statuses) if said.flag == "staff" and said.is_set}

    brought = set()
    for referral in landed.newest("referrals", "referral_id"):
        day = landed.app_day(referral["at"])
        referrer, referee = landed.whose(referral["referrer"], day), landed.whose(referral["referee"], day)
        if (
            day <= landed.as_of
            and referrer
            and referee in lives
            and referrer != referee
            and not {referrer, referee} & staff
        ):
            brought.add(referee)
    weeks: dict[tuple[date, str], list[bool]] = {}
    for member in brought:
        life = lives[member]
        bought = any(0 <= (day - life.enrolled_on).days <= 90 for day in life.purchase_days)
        weeks.setdefault((day_by_day.week_start(life.enrolled_on), life.recruited_by), []).append(bought)
    rows = []
    for (week, store), bought_in_time in weeks.items():
        is_final = week + timedelta(days=6 + 90) <= landed.as_of
        rate = quotient(sum(bought_in_time), len(bought_in_time), 6) if is_final else None
        rows.append((week, store, len(bought_in_time), sum(bought_in_time), is_final, rate))
    assert rows
    columns = ["cohort_week", "store_id", "referees", "purchased_90d", "is_final", "conversion_rate"]
    assert differing(built, "referral_weekly", pd.DataFrame(rows, columns=columns), columns[:2]) == []


def test_contacts_and_campaigns_are_what_raw_says(built: Settings, landed: Landed) -> None:
    # a store that nobody has fed a region of
    stores = {row["store_id"]: row["region"] or "not_fed" for row in landed.newest("stores", "store_id")}
    said = contact_balance_weekly(landed.contacts, stores, landed.as_of, min(landed.facts["business_date"]))
    assert differing(built, "contact_balance_weekly", said, ["week_start", "level", "level_id"]) == []

    stage_on = {
        (card, day): stage
        for card, day, stage in landed.daily[["card_no", "day", "stage_code"]].itertuples(index=False)
    }
    spent: dict[tuple[str, date], Decimal] = {}
    own = landed.facts[~landed.facts["is_staff_sale"].astype(bool) & ~landed.facts["is_wholesale"].astype(bool)]
    for card, day, cents in own[["card_no", "business_date", "net_cents"]].itertuples(index=False):
        spent[card, day] = spent.get((card, day), Decimal(0)) + Decimal(cents) / 100
    assignments = []
    for row in landed.newest("campaign_assignments", "campaign_id", "member"):
        day = landed.app_day(row["assigned_at"])
        assignments.append((row["campaign_id"], row["member"], row["arm"], day, landed.whose(row["member"], day)))
    said = campaign_performance(
        {row["campaign_id"]: (row["starts_on"], row["ends_on"]) for row in landed.latest("campaigns", "campaign_id")},
        assignments,
        {(row["campaign_id"], row["member_id"]) for row in landed.contacts if row["made_on"]},
        lambda member, day: stage_on.get((member, day)),
        {card: set(days) for card, days in cohorts.purchase_days(landed.facts, landed.as_of).items()},
        spent,
        landed.as_of,
    )
    assert set(said["arm"]) == {"treated", "hold_out"}
    assert differing(built, "campaign_performance", said, ["campaign_id", "arm"]) == []


def test_built_in_parts_or_anew_it_is_the_same(built: Settings) -> None:
    with db.connect(built) as conn:
        before = release.content_hash(conn)
    publish(built, DEFAULT_UNTIL, full_refresh=True)
    with db.connect(built) as conn:
        assert release.content_hash(conn) == before
