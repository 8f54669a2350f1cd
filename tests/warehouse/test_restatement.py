"""What the log of restatements tells, cell by cell: late batches of two stores, a merge, a return, other rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from tests.chain import Chain
from tests.conftest import new_warehouse

from memberhouse import db

pytestmark = pytest.mark.services

MONDAY = date(2025, 6, 2)
OPENED = MONDAY - timedelta(days=28)
CLOSED = MONDAY + timedelta(days=6)  # the week that is restated
MONTH_LATER = MONDAY + timedelta(days=34)  # a Sunday

Log = dict[tuple[str, tuple[Any, ...], str], tuple[str | None, str | None]]


def at(day: date) -> str:
    return f"{day}T12:00:00+08:00"


def enrol(chain: Chain, card: str, store: str, day: date) -> None:
    chain.deliver("pos", "enrolments", day, {"card_no": card, "store_id": store, "enrolled_at": at(day)})


def last_batches(chain: Chain, number: int) -> list[int]:
    with db.connect(chain.settings) as conn:
        found = conn.execute("select batch_id from ops.batch order by batch_id desc limit %s", (number,)).fetchall()
    return sorted(batch_id for (batch_id,) in found)


def logged(chain: Chain, release_id: int) -> list[dict[str, Any]]:
    names = ("table_name", "grain_key", "column_name", "old_value", "new_value", "cause", "source_batch_ids")
    rows = chain.read(f"select {', '.join(names)} from bi.restatement_log where release_id = {release_id}")
    return [dict(zip(names, row, strict=True)) for row in rows]


def cells(log: list[dict[str, Any]]) -> Log:
    return {
        (row["table_name"], tuple(row["grain_key"].values()), row["column_name"]): (row["old_value"], row["new_value"])
        for row in log
    }


def differences(chain: Chain, table: str, key: list[str], over_by: str, until: date, releases: tuple[int, int]) -> Log:
    """The cells of rows up to a day that differ between two releases, found by reading all of both."""

    def rows(release_id: int) -> dict[tuple[Any, ...], dict[str, Any]]:
        found = chain.read(f"select to_jsonb(t) from bi.{table} as t where {over_by} <= '{until}'", release_id)
        return {tuple(row[column] for column in key): row for (row,) in found}

    before, after = map(rows, releases)
    found: Log = {}
    for place in before.keys() | after.keys():
        old, new = before.get(place, {}), after.get(place, {})
        for column in (old | new).keys() - set(key):
            values = tuple(_text(side.get(column)) for side in (old, new))
            if values[0] != values[1]:
                found[table, place, column] = values
    return found


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.2f}" if isinstance(value, float) else str(value)


@pytest.fixture(scope="module")
def chain(server_home) -> Iterator[Chain]:
    """Two stores, a member of each who bought in the week of MONDAY; published a month later, and once more with
    nothing new."""
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        for card, store in (("C1", "S1"), ("C2", "S2"), ("C3", "S1")):
            enrol(chain, card, store, OPENED)
        chain.sell("0", OPENED, store="S1")
        chain.sell("1", MONDAY, store="S1", member_card_no="C1")
        chain.sell("2", MONDAY, store="S2", member_card_no="C2")
        chain.sell("3", MONDAY + timedelta(days=1), store="S1")
        chain.releases.append(chain.publish(MONTH_LATER))
        chain.releases.append(chain.publish(MONTH_LATER + timedelta(days=1)))
        yield chain


def test_new_days_and_the_passage_of_time_are_no_restatements(chain: Chain) -> None:
    assert [logged(chain, release_id) for release_id in chain.releases] == [[], []]


@pytest.fixture(scope="module")
def late(chain: Chain) -> dict[str, Any]:
    """Late batches of both stores in one build: in S1 the second purchase of C1, in S2 one of nobody."""
    before = chain.releases[-1]
    content = {view: chain.read(f"select * from bi.{view}") for view in ("kpi_weekly", "stage_mix_weekly")}
    chain.sell("late 1", MONDAY + timedelta(days=3), store="S1", amount=70, delivered=MONTH_LATER, member_card_no="C1")
    of_s1 = last_batches(chain, 2)
    chain.sell("late 2", MONDAY + timedelta(days=4), store="S2", amount=500, delivered=MONTH_LATER)
    of_s2 = last_batches(chain, 2)
    release_id = chain.publish(MONTH_LATER + timedelta(days=1))
    return {
        "before": before,
        "content": content,
        "release": release_id,
        "S1": of_s1,
        "S2": of_s2,
        "log": logged(chain, release_id),
    }


KPI = ["week_start", "level", "level_id"]
MONTHLY = ["period_type", "period_start", "level", "level_id"]
LOGGED = {
    "kpi_weekly": (KPI, "week_start + 6", {"period_start", "days_elapsed", "caveats"}),
    "kpi_monthly": (MONTHLY, "(period_start + interval '1 month')::date - 1", {"days_elapsed", "caveats"}),
    "stage_mix_weekly": (["week_start", "store_id", "tier", "stage_code"], "week_start + 6", set()),
    "stage_migration_weekly": (["week_start", "from_stage", "to_stage"], "week_start + 6", set()),
    "fct_receipt": (["receipt_id"], "business_date", set()),
    "fct_receipt_line": (["receipt_id", "line_no"], "business_date", set()),
    "fct_purchase_day": (["member_id", "business_date"], "business_date", set()),
}


@pytest.mark.parametrize("table", LOGGED)
def test_the_log_names_exactly_the_cells_that_changed(chain: Chain, late: dict[str, Any], table: str) -> None:
    key, over_by, left_out = LOGGED[table]
    wanted = differences(chain, table, key, over_by, MONTH_LATER + timedelta(days=1), (late["before"], late["release"]))
    wanted = {cell: values for cell, values in wanted.items() if cell[2] not in left_out}
    told = {
        (row["table_name"], tuple(row["grain_key"][column] for column in key), row["column_name"]): (
            row["old_value"],
            row["new_value"],
        )
        for row in late["log"]
        if row["table_name"] == table
    }
    assert wanted
    assert told.keys() == wanted.keys()
    if not table.startswith("kpi_"):  # rates have more decimals than a float shows
        sales = {cell for cell in told if cell[2] in ("sold_at", "units", "paid_units", "gross_amount", "line_no")}
        assert {c: v for c, v in told.items() if c not in sales and "amount" not in c[2] and "price" not in c[2]} == {
            c: v for c, v in wanted.items() if c not in sales and "amount" not in c[2] and "price" not in c[2]
        }


def kpi(late: dict[str, Any], level_id: str, week: date = MONDAY) -> dict[str, tuple[Any, ...]]:
    return {
        row["column_name"]: (row["old_value"], row["new_value"], row["cause"], row["source_batch_ids"])
        for row in late["log"]
        if row["table_name"] == "kpi_weekly"
        and (row["grain_key"]["level_id"], row["grain_key"]["week_start"]) == (level_id, str(week))
    }


def test_each_store_names_its_own_late_batches_and_head_office_both(late: dict[str, Any]) -> None:
    s1, s2, hq = (kpi(late, level_id) for level_id in ("S1", "S2", "hq"))
    assert s1["sale_net_amount"] == ("20.00", "90.00", "late batch", late["S1"])
    assert s1["net_sales_member_amount"] == ("10.00", "80.00", "late batch", late["S1"])
    assert s1["repeat_purchasers_365"] == ("0", "1", "late batch", late["S1"])
    assert s2["sale_net_amount"] == ("10.00", "510.00", "late batch", late["S2"])
    assert "sale_net_amount_member" not in s2
    assert not {"active_members", "repeat_purchasers_365"} & s2.keys()
    assert hq["sale_net_amount"] == ("30.00", "600.00", "late batch", sorted(late["S1"] + late["S2"]))
    # only the member of S1 was counted anew
    assert hq["repeat_purchasers_365"] == ("0", "1", "late batch", late["S1"])
    assert hq["net_sales_member_amount"] == ("20.00", "90.00", "late batch", late["S1"])


def test_later_weeks_name_the_batch_that_moved_the_member_in_them(late: dict[str, Any]) -> None:
    next_week = kpi(late, "S1", MONDAY + timedelta(days=7))
    assert next_week["repeat_purchasers_365"] == ("0", "1", "late batch", late["S1"])
    assert kpi(late, "S2", MONDAY + timedelta(days=7)) == {}


def test_facts_and_histories_name_the_batches_of_their_rows(late: dict[str, Any]) -> None:
    facts = [row for row in late["log"] if row["table_name"] in ("fct_receipt", "fct_receipt_line")]
    batches = {
        row["new_value"]: row["source_batch_ids"] for row in facts if row["column_name"] in ("receipt_no", "net_amount")
    }
    assert batches == {
        "late 1": late["S1"],
        "70.00": late["S1"],
        "late 2": late["S2"],
        "500.00": late["S2"],
    }
    others = [
        row["source_batch_ids"]
        for row in late["log"]
        if row["table_name"] in ("fct_purchase_day", "member_stage_history", "stage_mix_weekly")
    ]
    assert others
    assert {tuple(batches) for batches in others} == {tuple(late["S1"])}


def test_the_release_before_answers_as_it_did(chain: Chain, late: dict[str, Any]) -> None:
    for view, rows in late["content"].items():
        assert sorted(map(str, chain.read(f"select * from bi.{view}", late["before"]))) == sorted(map(str, rows))
        assert sorted(map(str, chain.read(f"select * from bi.{view}"))) != sorted(map(str, rows))
    assert chain.read("select count(*) from bi.restatement_log", late["before"]) == [(0,)]


def test_the_same_again_changes_nothing(chain: Chain, late: dict[str, Any]) -> None:
    chain.sell("late 1", MONDAY + timedelta(days=3), store="S1", amount=70, delivered=MONTH_LATER, member_card_no="C1")
    again = chain.publish(MONTH_LATER + timedelta(days=1))
    assert logged(chain, again) == []


def test_a_release_that_is_not_published_leaves_no_line(chain: Chain, late: dict[str, Any]) -> None:
    from memberhouse import warehouse as building

    chain.sell("held", MONDAY, store="S1", amount=5, delivered=MONTH_LATER)
    held = building.build(chain.settings, MONTH_LATER + timedelta(days=1))
    with db.connect(chain.settings) as conn:
        (count,) = conn.execute("select count(*) from release.restatement where release_id = %s", (held,)).fetchone()
        assert count > 0
    assert logged(chain, held) == []
    after = chain.publish(MONTH_LATER + timedelta(days=1))
    with db.connect(chain.settings) as conn:
        (count,) = conn.execute("select count(*) from release.restatement where release_id = %s", (held,)).fetchone()
        assert count == 0
    assert logged(chain, after) != []


def test_a_merge_is_told_with_the_link_that_made_it(chain: Chain, late: dict[str, Any]) -> None:
    """C3 of S1, who never bought, is merged into C2 of S2; C1 goes on as it was."""
    for account, card in (("A2", "C2"), ("A3", "C3")):
        chain.deliver(
            "app", "accounts", MONTH_LATER, {"account_id": account, "created_at": at(OPENED), "updated_at": at(OPENED)}
        )
        chain.deliver(
            "app",
            "identity_links",
            MONTH_LATER,
            {
                "account_id": account,
                "card_no": card,
                "valid_from": at(OPENED),
                "recorded_at": at(OPENED),
                "method": "scan",
            },
        )
    chain.publish(MONTH_LATER + timedelta(days=1))
    chain.sell("of C3", MONDAY + timedelta(days=2), store="S1", amount=33, delivered=MONTH_LATER, member_card_no="C3")
    chain.publish(MONTH_LATER + timedelta(days=1))
    chain.deliver(
        "app",
        "identity_links",
        MONTH_LATER,
        {
            "account_id": "A3",
            "card_no": None,
            "survivor_account_id": "A2",
            "valid_from": at(MONTH_LATER),
            "recorded_at": at(MONTH_LATER),
            "method": "merge",
        },
    )
    merge = last_batches(chain, 1)
    log = logged(chain, chain.publish(MONTH_LATER + timedelta(days=1)))
    assert [row for row in log if row["cause"] != "identity"] == []
    assert {tuple(row["source_batch_ids"]) for row in log} == {tuple(merge)}
    told = cells(log)
    moved = [values for (table, _, column), values in told.items() if (table, column) == ("fct_receipt", "member_id")]
    assert moved == [("C3", "C2")]
    assert told["fct_purchase_day", ("C3", str(MONDAY + timedelta(days=2))), "net_amount"] == ("33.00", None)
    assert told["fct_purchase_day", ("C2", str(MONDAY + timedelta(days=2))), "net_amount"] == (None, "33.00")
    assert ("kpi_weekly", (str(MONDAY), "store", "S1"), "sale_net_amount") not in told
    assert ("kpi_weekly", ("store", "S1", str(MONDAY)), "sale_net_amount") not in told


def test_who_has_moved_since_is_told_under_the_store_of_then_and_a_tier_with_its_batch(
    chain: Chain, late: dict[str, Any]
) -> None:
    enrol(chain, "C4", "S1", MONDAY - timedelta(days=7))
    moved = {"card_no": "C4", "service_store_id": "S2", "valid_from": MONTH_LATER - timedelta(days=3)}
    chain.deliver("pos", "member_assignments", MONTH_LATER, moved)
    chain.publish(MONTH_LATER + timedelta(days=1))
    chain.sell("late 4", MONDAY, store="S1", amount=44, delivered=MONTH_LATER, member_card_no="C4")
    batches = last_batches(chain, 2)
    log = logged(chain, chain.publish(MONTH_LATER + timedelta(days=1)))
    assert {(row["cause"], tuple(row["source_batch_ids"])) for row in log} == {("late batch", tuple(batches))}
    assert {row["grain_key"]["level_id"] for row in log if row["table_name"] == "kpi_weekly"} > {"S1", "hq"}

    told = {"card_no": "C4", "tier": "gold", "valid_from": MONDAY, "reason": "told late"}
    chain.deliver("pos", "member_tiers", MONTH_LATER, told)
    log = logged(chain, chain.publish(MONTH_LATER + timedelta(days=1)))
    assert {row["table_name"] for row in log} == {"stage_mix_weekly"}
    assert {(row["cause"], tuple(row["source_batch_ids"])) for row in log} == {("tier", tuple(last_batches(chain, 1)))}


def test_a_return_takes_back_a_purchase_day_and_is_told_as_such(chain: Chain, late: dict[str, Any]) -> None:
    back = MONTH_LATER + timedelta(days=2)
    chain.take_back("back", back, ("late 1", MONDAY + timedelta(days=3)), amount=70, member_card_no="C1")
    batches = last_batches(chain, 2)
    log = logged(chain, chain.publish(back))
    assert {(row["cause"], tuple(row["source_batch_ids"])) for row in log} == {("return", tuple(batches))}
    assert {row["table_name"] for row in log} == {"fct_receipt", "fct_purchase_day"}
    assert {row["column_name"] for row in log if row["table_name"] == "fct_receipt"} == {
        "is_qualifying",
        "unqualified_on",
    }


def test_rows_that_changed_because_the_rules_did_are_told_in_a_sentence(chain: Chain, late: dict[str, Any]) -> None:
    with db.connect(chain.settings) as conn:
        conn.execute("update release.release set project_sha256 = 'another'")
    chain.sell("by other rules", MONDAY, store="S1", delivered=MONTH_LATER)
    log = logged(chain, chain.publish(MONTH_LATER + timedelta(days=2)))
    assert {(row["cause"], row["column_name"], tuple(row["source_batch_ids"])) for row in log} == {
        ("changed rules", "*", ())
    }
    told = {row["table_name"]: row["new_value"] for row in log}
    assert told["fct_receipt"] == "1 rows came, 0 went, 0 changed"


def test_what_a_member_did_and_said_in_the_app_is_told_with_its_late_batch(server_home) -> None:
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        for card, store in (("C1", "S1"), ("C2", "S2")):
            enrol(chain, card, store, OPENED)
        chain.deliver("reference", "event_catalogue", OPENED, {"name": "wish", "is_deliberate": True})
        account = {"account_id": "A1", "created_at": at(OPENED), "updated_at": at(OPENED)}
        chain.deliver("app", "accounts", OPENED, account | {"wechat_openid_token": "T1"})
        link = {"account_id": "A1", "card_no": "C1", "valid_from": at(OPENED), "recorded_at": at(OPENED)}
        chain.deliver("app", "identity_links", OPENED, link | {"method": "scan"})
        chain.sell("0", OPENED, store="S1")
        chain.publish(MONTH_LATER)
        before = chain.publish(MONTH_LATER + timedelta(days=1))

        consent = {"card_no": "C1", "purpose": "marketing", "channel": "wechat", "granted": True}
        batches = {
            "contactable_members": chain.deliver("app", "consents", MONTH_LATER, consent | {"at": at(CLOSED)}),
            "engaged_members_30": chain.deliver(
                "app", "events", MONTH_LATER, {"event_id": "E1", "account_id": "A1", "name": "wish", "at": at(CLOSED)}
            ),
            "filled_fields": chain.deliver(
                "app",
                "accounts",
                MONTH_LATER,
                account | {"updated_at": at(CLOSED), "wechat_openid_token": "T1", "city": "Suzhou", "gender": "female"},
            ),
        }
        after = chain.publish(MONTH_LATER + timedelta(days=1))
        log = [row for row in logged(chain, after) if row["table_name"] == "kpi_weekly"]
        wanted = differences(
            chain, "kpi_weekly", KPI, "week_start + 6", MONTH_LATER + timedelta(days=1), (before, after)
        )
        key = [(tuple(row["grain_key"][column] for column in KPI), row["column_name"]) for row in log]
        assert set(key) == {(place, column) for _, place, column in wanted}
        rates = {"consent_reach": "contactable_members", "engagement_rate": "engaged_members_30"}
        rates["info_completeness"] = "filled_fields"
        # the event counts for thirty days: the close of its own week and of the four that follow
        assert {column: sum(each == column for _, each in key) for column in batches} == {
            "contactable_members": 3 * 5,
            "engaged_members_30": 3 * 5,
            "filled_fields": 3 * 5,
        }
        for row in log:
            column = rates.get(row["column_name"], row["column_name"])
            # an account that speaks late may be why somebody can be contacted, too
            caused = [batches[column], *([batches["filled_fields"]] if column == "contactable_members" else [])]
            assert (row["cause"], row["source_batch_ids"]) == ("late batch", sorted(caused)), row
