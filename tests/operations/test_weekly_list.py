"""The week's list of members to win back, by hand: who is on it on Sunday, and what the week made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from tests.chain import Chain
from tests.conftest import new_warehouse
from tests.operations.given import expected, table, written

from memberhouse import db
from memberhouse.erase import erase
from memberhouse.erase.person import ERASED
from memberhouse.settings import PROJECT_ROOT

pytestmark = pytest.mark.services

OPENED = date(2025, 11, 3)
SUNDAY = date(2026, 3, 1)
MONDAY, WEDNESDAY, THURSDAY, SATURDAY = (SUNDAY + timedelta(days=days) for days in (1, 3, 4, 6))

STAFF = """
| staff_id | store_id | left_on    |
|----------|----------|------------|
| Li       | S1       |            |
| Wang     | S1       |            |
| Zhao     | S2       |            |
| Olga     | S1       | 2026-02-15 |
"""
# The play for first-time buyers is 30 days long, for members at risk and new ones 7.
GIVEN = """
| member   | enrolled   | in | by   | bought     | contacted  | what is special                                  |
|----------|------------|----|------|------------|------------|--------------------------------------------------|
| Anna     | 2026-02-20 | S1 | Li   | 2026-02-20 |            | bought for the first time                        |
| Bea      | 2026-01-31 | S1 | Li   | 2026-01-31 |            | her 30 days end on Monday                        |
| Ben      | 2026-01-30 | S1 | Li   | 2026-01-30 |            | his ended on Sunday                              |
| Carl     | 2026-02-20 | S1 | Li   | 2026-02-20 | 2026-02-21 | was contacted since                              |
| Cleo     | 2026-02-20 | S1 | Li   | 2026-02-20 | 2026-02-20 | was contacted before she bought, on the same day |
| Dorothea | 2025-12-01 | S1 | Wang | 2025-12-01 |            | at risk since Sunday, her 90th day               |
| Emil     | 2025-11-23 | S1 | Wang | 2025-11-23 |            | at risk for eight days                           |
| Fay      | 2026-02-28 | S1 | Wang |            |            | joined on Saturday and bought nothing            |
| Gus      | 2026-02-20 | S2 | Zhao | 2026-02-20 |            | of the other store                               |
| Hana     | 2026-01-10 | S1 | Li   | 2026-02-20 |            | given into Zhao's care in February               |
| Ida      | 2026-02-20 | S1 | Olga | 2026-02-20 |            | enrolled by who has left                         |
"""
# view -> the query of it in docs/operating-tools.md
GUIDE = {
    re.search(r"bi\.(\w+)", query)[1]: query
    for query in re.findall(
        r"```sql\n(.*?)```", (PROJECT_ROOT / "docs" / "operating-tools.md").read_text(encoding="utf-8"), re.DOTALL
    )
}
LIST = "member_id, store_id, staff_id, stage_code, act_from, act_by"
ON_SUNDAY = """
| member_id | store_id | staff_id | stage_code | act_from   | act_by     |
|-----------|----------|----------|------------|------------|------------|
| Anna      | S1       | Li       | S03        | 2026-02-20 | 2026-03-22 |
| Bea       | S1       | Li       | S03        | 2026-01-31 | 2026-03-02 |
| Cleo      | S1       | Li       | S03        | 2026-02-20 | 2026-03-22 |
| Dorothea  | S1       | Wang     | S08        | 2026-03-01 | 2026-03-08 |
| Fay       | S1       | Wang     | S02        | 2026-02-28 | 2026-03-07 |
| Gus       | S2       | Zhao     | S03        | 2026-02-20 | 2026-03-22 |
| Hana      | S2       | Zhao     | S03        | 2026-02-20 | 2026-03-22 |
| Ida       | S1       | none     | S03        | 2026-02-20 | 2026-03-22 |
"""


@pytest.fixture(scope="module")
def chain(server_home: Path) -> Iterator[Chain]:
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        chain.deliver("reference", "staff", OPENED, *({n: v or None for n, v in row.items()} for row in table(STAFF)))
        # five members of S1 should buy in the week; from Wednesday on seven, which counts for later weeks
        week = {"store_id": "S1", "period_type": "week", "period_start": MONDAY}
        chain.deliver("reference", "targets", SUNDAY, week | {"metric": "repurchased", "value": 5})
        chain.deliver("reference", "targets", SUNDAY, week | {"metric": "net_sales_amount", "value": 1000})
        for row in table(GIVEN):
            enrolled = date.fromisoformat(row["enrolled"])
            card = {"card_no": row["member"], "store_id": row["in"], "staff_id": row["by"]}
            chain.deliver("pos", "enrolments", enrolled, card | {"enrolled_at": f"{enrolled}T09:00:00"})
            if row["bought"]:
                buy(chain, row["member"], date.fromisoformat(row["bought"]), store=row["in"])
            if row["contacted"]:
                contact(chain, row["member"], date.fromisoformat(row["contacted"]), "sent", "delivered")
        moved = {"service_store_id": "S2", "service_staff_id": "Zhao", "valid_from": date(2026, 2, 10)}
        chain.deliver("pos", "member_assignments", date(2026, 2, 10), {"card_no": "Hana"} | moved)
        chain.publish(SUNDAY)
        yield chain


def buy(
    chain: Chain, member: str, day: date, *, store: str = "S1", amount: int = 50, delivered: date | None = None
) -> None:
    chain.sell(f"{member} {day}", day, store=store, amount=amount, delivered=delivered, member_card_no=member)


def contact(chain: Chain, member: str, day: date, *states: str) -> None:
    """A contact of the day and the states that it reached, a minute after the other."""
    contact_id, at = f"{member} {day}", datetime.combine(day, time(10))
    row = {"contact_id": contact_id, "member": member, "store_id": "S1", "channel": "wechat", "intent": "care"}
    chain.deliver("app", "contacts", day, row | {"created_at": at.isoformat()})
    reached = [
        {"contact_id": contact_id, "state": state, "at": (at + timedelta(minutes=number)).isoformat()}
        for number, state in enumerate(("selected", *states))
    ]
    chain.deliver("app", "contact_states", day, *reached)


def listed(chain: Chain, columns: str, where: str = "true") -> list[dict[str, str]]:
    return rows_of(chain, "repurchase_list", columns, where)


def rows_of(chain: Chain, name: str, columns: str, where: str = "true") -> list[dict[str, str]]:
    names = columns.replace(" ", "").split(",")
    rows = chain.read(f"select {columns} from bi.{name} where week_start = '{MONDAY}' and {where}")
    return written(dict(zip(names, row, strict=True)) for row in rows)


def test_who_is_on_the_list_on_sunday(chain: Chain) -> None:
    assert listed(chain, LIST) == expected(ON_SUNDAY)
    assert chain.read("select max(week_start) from bi.repurchase_list") == [(MONDAY,)]


def test_beside_each_member_stands_what_to_do_for_its_stage(chain: Chain) -> None:
    assert listed(chain, "member_id, template_scene, action_en", "member_id in ('Dorothea', 'Fay', 'Gus')") == expected(
        """
        | member_id | template_scene | action_en                                                                      |
        |-----------|----------------|--------------------------------------------------------------------------------|
        | Dorothea  | wake_up        | Call with news of the liked category; voucher from day 120                     |
        | Fay       | welcome        | Call within a week; offer the welcome benefit for one product that fits        |
        | Gus       | after_sales    | Ask after the purchase on day 1 and 7; on day 30 invite with what goes with it |
        """
    )


def test_the_list_is_the_same_on_saturday_and_what_came_stands_beside_it(chain: Chain) -> None:
    """Anna is contacted on Tuesday and buys on Wednesday, by which she is no first-time buyer any more. Bea could not
    be reached. Fay buys by herself on Friday. On Thursday a file comes of last Saturday, when Cleo bought again: had it
    been known, she were not due. Carl is contacted, though on no list."""
    contact(chain, "Anna", MONDAY + timedelta(days=1), "sent", "delivered", "accept", "arrived")
    buy(chain, "Anna", WEDNESDAY)
    chain.publish(WEDNESDAY)
    assert listed(chain, LIST) == expected(ON_SUNDAY)
    revised = {"store_id": "S1", "period_type": "week", "period_start": MONDAY, "metric": "repurchased"}
    chain.deliver("reference", "targets", WEDNESDAY, revised | {"value": 7, "revision": 1})
    notes = [
        {
            "store_id": "S1",
            "staff_id": None,
            "week_start": MONDAY,
            "phase": "plan",
            "text": "call everyone by Wednesday",
        },
        {"store_id": "S1", "staff_id": "Li", "week_start": MONDAY, "phase": "plan", "text": "Anna first"},
        {"store_id": "S1", "staff_id": "Li", "week_start": MONDAY, "phase": "check", "text": "Bea's number is wrong"},
        {"store_id": "S1", "staff_id": "Wang", "week_start": MONDAY, "phase": "act", "text": "write to Dorothea again"},
    ]
    chain.deliver("reference", "ops_notes", WEDNESDAY, *notes)
    contact(chain, "Bea", THURSDAY, "sent", "failed")
    contact(chain, "Carl", THURSDAY, "sent", "delivered")
    buy(chain, "Cleo", SUNDAY - timedelta(days=1), delivered=THURSDAY)
    buy(chain, "Fay", THURSDAY + timedelta(days=1), amount=30)
    chain.publish(SATURDAY)
    assert listed(chain, LIST) == expected(ON_SUNDAY)
    columns = (
        "member_id, contacted_on, is_reached, is_accepted, is_arrived, repurchased_on, net_amount, stage_code_after,"
        " is_still_due"
    )
    assert listed(chain, columns) == expected(
        """
        | member_id | contacted_on | is_reached | is_accepted | is_arrived | repurchased_on | net_amount | stage_code_after | is_still_due |
        |-----------|--------------|------------|-------------|------------|----------------|------------|------------------|--------------|
        | Anna      | 2026-03-03   | yes        | yes         | yes        | 2026-03-04     | 50         | S04              | yes          |
        | Bea       | 2026-03-05   | no         | no          | no         |                | 0          | S03              | yes          |
        | Cleo      |              | no         | no          | no         |                | 0          | S04              | no           |
        | Dorothea  |              | no         | no          | no         |                | 0          | S08              | yes          |
        | Fay       |              | no         | no          | no         | 2026-03-06     | 30         | S03              | yes          |
        | Gus       |              | no         | no          | no         |                | 0          | S03              | yes          |
        | Hana      |              | no         | no          | no         |                | 0          | S03              | yes          |
        | Ida       |              | no         | no          | no         |                | 0          | S03              | yes          |
        """  # noqa: E501  (a table)
    )


def test_the_weekly_table_adds_up_and_a_target_revised_in_the_week_changes_nothing_of_it(chain: Chain) -> None:
    """Five of S1's six are aimed at: Li's three have 2.5 of them, the others 0.83 each; whole ones first, then the
    largest rests."""
    columns = (
        "store_id, staff_id, stage_code, due, still_due, target, contacted, contacted_by_wednesday, reached,"
        " repurchased, repurchased_by_wednesday, moved, net_amount"
    )
    assert rows_of(chain, "repurchase_ops_weekly", columns) == expected(
        """
        | store_id | staff_id | stage_code | due | still_due | target | contacted | contacted_by_wednesday | reached | repurchased | repurchased_by_wednesday | moved | net_amount |
        |----------|----------|------------|-----|-----------|--------|-----------|------------------------|---------|-------------|--------------------------|-------|------------|
        | S1       | Li       | S03        | 3   | 2         | 2      | 2         | 1                      | 1       | 1           | 1                        | 2     | 50         |
        | S1       | Wang     | S02        | 1   | 1         | 1      | 0         | 0                      | 0       | 1           | 0                        | 1     | 30         |
        | S1       | Wang     | S08        | 1   | 1         | 1      | 0         | 0                      | 0       | 0           | 0                        | 0     | 0          |
        | S1       | none     | S03        | 1   | 1         | 1      | 0         | 0                      | 0       | 0           | 0                        | 0     | 0          |
        | S2       | Zhao     | S03        | 2   | 2         |        | 0         | 0                      | 0       | 0           | 0                        | 0     | 0          |
        """  # noqa: E501  (a table)
    )


def test_what_a_store_is_to_sell_is_shared_out_by_what_is_to_be_expected(chain: Chain) -> None:
    """In the quarter before one member who stood in a stage when a week began bought in it: Hana, who had not bought in
    six weeks. So a sixth of those without a purchase are expected, at 50 each: of Fay 8.33. S1 sold 400 in three weeks,
    133.33 a week; 125 beyond Fay's. What came late after the Sunday changes nothing."""
    columns = (
        "store_id, staff_id, stage_code, members, expected_rate, spend_amount, expected_amount, store_target_amount,"
        " target_amount"
    )
    assert rows_of(chain, "segment_target_weekly", columns) == expected(
        """
        | store_id | staff_id | stage_code | members | expected_rate | spend_amount | expected_amount | store_target_amount | target_amount |
        |----------|----------|------------|---------|---------------|--------------|-----------------|---------------------|---------------|
        | S1       | Li       | S03        | 5       | 0             | 0            | 0               | 1000                | 0             |
        | S1       | Wang     | S02        | 1       | 0.166667      | 50           | 8.33            | 1000                | 62.48         |
        | S1       | Wang     | S08        | 2       | 0             | 0            | 0               | 1000                | 0             |
        | S1       | none     | S03        | 1       | 0             | 0            | 0               | 1000                | 0             |
        | S1       | none     | none       |         |               |              | 125             | 1000                | 937.52        |
        | S2       | Zhao     | S03        | 2       | 0             | 0            | 0               |                     |               |
        | S2       | none     | none       |         |               |              | 50              |                     |               |
        """  # noqa: E501  (a table)
    )


def test_notes_are_those_of_the_member_of_staff_else_of_the_store(chain: Chain) -> None:
    columns = "store_id, staff_id, stage_code, plan_note, do_note, check_note, act_note"
    assert rows_of(chain, "repurchase_ops_weekly", columns) == expected(
        """
        | store_id | staff_id | stage_code | plan_note                  | do_note | check_note            | act_note                |
        |----------|----------|------------|----------------------------|---------|-----------------------|-------------------------|
        | S1       | Li       | S03        | Anna first                 |         | Bea's number is wrong |                         |
        | S1       | Wang     | S02        | call everyone by Wednesday |         |                       | write to Dorothea again |
        | S1       | Wang     | S08        | call everyone by Wednesday |         |                       | write to Dorothea again |
        | S1       | none     | S03        | call everyone by Wednesday |         |                       |                         |
        | S2       | Zhao     | S03        |                            |         |                       |                         |
        """  # noqa: E501  (a table)
    )


def test_a_list_that_was_published_stands_in_a_full_build_too(chain: Chain) -> None:
    content = chain.content()
    chain.publish(SATURDAY, full_refresh=True)
    assert chain.content() == content


def test_the_next_list_knows_what_the_week_brought(chain: Chain) -> None:
    """Anna's time began anew when she bought, Carl and Bea were contacted, Dorothea's time is over; Fay bought for the
    first time."""
    chain.publish(SUNDAY + timedelta(days=7))
    found = chain.read(
        f"select member_id, stage_code from bi.repurchase_list where week_start = '{MONDAY + timedelta(days=7)}'"
    )
    assert sorted(found) == [
        ("Anna", "S04"),
        ("Cleo", "S04"),
        ("Fay", "S03"),
        ("Gus", "S03"),
        ("Hana", "S03"),
        ("Ida", "S03"),
    ]
    assert listed(chain, LIST) == expected(ON_SUNDAY)


@pytest.mark.parametrize("view", GUIDE)
def test_each_query_of_the_guide_answers(chain: Chain, view: str) -> None:
    with db.connect(chain.settings) as conn:
        db.as_bi_role(conn)
        rows = conn.execute(GUIDE[view].encode()).fetchall()
    if view in ("repurchase_list", "repurchase_ops_weekly", "segment_target_weekly"):  # of which this story is
        assert rows


def test_who_is_erased_stays_on_the_list_as_a_number_and_leaves_what_people_wrote(chain: Chain) -> None:
    counted = (
        "select week_start, store_id, staff_id, stage_code, due, contacted, net_amount from bi.repurchase_ops_weekly"
        " order by 1, 2, 3, 4"
    )
    before = chain.read(counted)
    erase(chain.settings, "Dorothea")
    notes = [f"write to {ERASED} again"] * 2
    for _ in range(2):
        assert chain.read(counted) == before
        assert chain.read("select act_note from bi.repurchase_ops_weekly where act_note is not null") == [
            (note,) for note in notes
        ]
        assert chain.read("select count(*) from bi.repurchase_list where member_id = 'Dorothea'") == [(0,)]
        chain.publish(SUNDAY + timedelta(days=7), full_refresh=True)
