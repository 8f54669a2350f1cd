"""Each reconciliation is nought on sound tables, and sees the one damage that it is there for; the gate holds on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from tests.chain import Chain
from tests.conftest import new_warehouse

from memberhouse import db, gate
from memberhouse import warehouse as building

pytestmark = pytest.mark.services

OPENED = date(2026, 1, 5)  # a Monday
AS_OF = date(2026, 1, 18)
MODELS = {"core": "int_audit__reconciliations", "programme": "int_audit__points"}

LEVELS = "stores and regions add up to head office"
DAMAGES = [
    (LEVELS, "update history.kpi_weekly__open set purchasing_members = purchasing_members + 1 where level_id = 'S1'"),
    (
        LEVELS,
        "update intermediate.int_kpi__period_figures set net_sales_amount = net_sales_amount + 0.01"
        " where period_type = 'month' and level = 'region'",
    ),
    (
        LEVELS,
        "update intermediate.int_kpi__period_figures set repeat_purchasers_365 = repeat_purchasers_365 + 1"
        " where period_type = 'year' and level_id = 'S1'",
    ),
    ("stage mix adds up to valid members", "update history.stage_mix_weekly__open set members = members + 1"),
    (
        "migration columns are the stage mix at close",
        "update history.stage_migration_weekly__open set members = members + 1",
    ),
    (
        "members at close are those at opening, who came and who left",
        "update history.member_stocktake_weekly__open set transfer_in = transfer_in + 1",
    ),
    (
        "the parts of a change in net sales add up to it",
        "update history.sales_decomposition_weekly__open set ticket_effect_amount = ticket_effect_amount + 0.01",
    ),
    (
        "members and their money by channel are those of the week",
        "delete from history.channel_mix_weekly__open where channel_mix = 'app_only'",
    ),
    (
        "head office net sales are the receipts of the weeks",
        "update history.fct_receipt__open set net_sales_amount = net_sales_amount + 1 where receipt_no = 'a1'",
    ),
    (
        "open points of a holder are the sum of its entries",
        "update history.fct_points_entry__open set points = points + 1 where entry_id = 'e1'",
    ),
    (
        "the balance of a day is that of the day before and what was entered",
        "update history.points_daily__open set balance_points = balance_points - 1 where business_date = '2026-01-13'",
    ),
    (
        "points given in a month were redeemed, expired, deducted or are open",
        "update history.points_cohort__open set redeemed_points = redeemed_points + 1",
    ),
]


@pytest.fixture(scope="module")
def chain(server_home: Path) -> Iterator[Chain]:
    """Two members of two stores who buy in stores and by app and pay with points, over two weeks; built."""
    with new_warehouse(server_home) as settings:
        chain = Chain(settings, OPENED)
        enrolments = [
            {"card_no": card, "enrolled_at": f"{OPENED}T09:00:00", "store_id": store, "channel": "store"}
            for card, store in (("A", "S1"), ("B", "S2"))
        ]
        chain.deliver("pos", "enrolments", OPENED, *enrolments)
        for week in (0, 7):
            day = OPENED + timedelta(days=week)
            chain.sell(f"a{week}", day, amount=100 + week, member_card_no="A")
            chain.sell(f"b{week}", day + timedelta(days=1), store="S2", amount=50, member_card_no="B")
            chain.sell(f"c{week}", day + timedelta(days=2), amount=20 + week)
        chain.sell("a1", OPENED + timedelta(days=8), store="APP", amount=30, member_card_no="B", channel="app")
        chain.sell("d1", OPENED + timedelta(days=8), store="APP", amount=30, member_card_no="A", channel="app")
        chain.deliver(
            "pos",
            "enrolments",
            OPENED + timedelta(days=9),
            {"card_no": "C", "enrolled_at": f"{OPENED + timedelta(days=9)}T09:00:00", "store_id": "S1"},
        )
        chain.sell("e1", OPENED + timedelta(days=9), store="APP", amount=30, member_card_no="C", channel="app")
        for entry_id, kind, points, later in (("e1", "earn", 100, 0), ("e2", "earn", 50, 7), ("e3", "redeem", -120, 8)):
            moment = f"{OPENED + timedelta(days=later)}T12:00:00+08:00"
            entry = {"entry_id": entry_id, "card_no": "A", "type": kind, "points": points, "at": moment}
            chain.deliver("app", "points_entries", OPENED + timedelta(days=later), entry)
        building.build(settings, AS_OF)
        yield chain


def gaps(chain: Chain, group: str, damage: str | None = None) -> dict[str, bool]:
    """Of each reconciliation, by the SQL that the build ran: is there a gap, with that damage?"""
    (compiled,) = (chain.settings.home / "dbt" / "target" / "compiled").rglob(f"{MODELS[group]}.sql")
    with db.connect(chain.settings) as conn:
        if damage:
            assert conn.execute(damage.encode()).rowcount > 0
        found = conn.execute(f"select reconciliation, gap from ({compiled.read_text()}) as audit".encode()).fetchall()
        conn.rollback()
    return {name: gap != 0 for name, gap in found}


def test_sound_tables_have_no_gap_and_every_reconciliation_is_damaged_below(chain: Chain) -> None:
    found = gaps(chain, "core") | gaps(chain, "programme")
    assert set(found) == {name for name, _ in DAMAGES}
    assert not any(found.values())


@pytest.mark.parametrize(("reconciliation", "damage"), DAMAGES)
def test_each_reconciliation_sees_its_damage(chain: Chain, reconciliation: str, damage: str) -> None:
    assert gaps(chain, "programme" if "points" in damage else "core", damage)[reconciliation]


@pytest.mark.parametrize(("group", "rests_on"), [("core", ()), ("programme", ("core",))])
def test_the_gate_holds_on_a_gap_and_names_it(chain: Chain, group: str, rests_on: Sequence[str]) -> None:
    for base in rests_on:
        assert [verdict.verdict for verdict in gate.evaluate(chain.settings, group=base)] == ["passed"]
    reconciliation = DAMAGES[-1 if rests_on else 0][0]

    def open_gap(by: int) -> None:
        with db.connect(chain.settings) as conn:
            statement = f"update intermediate.{MODELS[group]} set gap = gap + %s where reconciliation = %s"
            conn.execute(statement.encode(), (by, reconciliation))

    open_gap(1)
    (verdict,) = gate.evaluate(chain.settings, group=group)
    open_gap(-1)
    assert verdict.verdict == "held"
    assert any(reconciliation in check.sentence for check in verdict.checks if check.holds)
