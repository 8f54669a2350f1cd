"""Member value on a small chain: the fit reads what is published, and a build publishes what was fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tests.chain import Chain
from tests.conftest import new_warehouse
from tests.erase.conftest import where_left

from memberhouse import cli, db
from memberhouse.erase import erase
from memberhouse.errors import MemberhouseError
from memberhouse.value import Fit, fit, is_fitted, model

pytestmark = pytest.mark.services

OPENED, SUNDAY, LAST_DAY = date(2025, 1, 6), date(2026, 6, 21), date(2026, 6, 28)
MEMBERS = 120


def purchases() -> pd.DataFrame:
    """A row a receipt: card, day, amount. Rates, drop-outs and amounts differ by member; the first one comes last."""
    random = np.random.default_rng(11)
    rows = []
    for number in range(MEMBERS):
        day = OPENED + timedelta(days=int(random.integers(0, 400))) if number else SUNDAY + timedelta(days=2)
        scale, rate, leaves = random.gamma(4, 1 / 90), random.gamma(1, 1 / 40), random.beta(1, 4)
        while day <= LAST_DAY:
            rows.append((f"card-{number:06d}", day, round(float(random.gamma(6, 1 / scale)) + 1, 2)))
            if random.uniform() < leaves:
                break
            day += timedelta(days=1 + int(random.exponential(1 / rate)))
    return pd.DataFrame(rows, columns=["card", "day", "amount"])


@dataclass
class World:
    chain: Chain
    sold: pd.DataFrame
    fitted: Fit
    # what the fit left, and the same fit once more
    stored: list[list[tuple[Any, ...]]]
    # before the model and after it: member_value
    seen: dict[str, list[tuple[Any, ...]]]

    def sell(self, after: date, until: date) -> None:
        rows = self.sold[(self.sold["day"] > after) & (self.sold["day"] <= until)]
        receipts, lines = [], []
        for number, (card, day, amount) in enumerate(rows.itertuples(index=False)):
            key = {
                "store_id": "S1",
                "register_id": "1",
                "business_date": day,
                "receipt_no": f"{until}-{number}",
                "receipt_type": "sale",
            }
            receipts.append(key | {"sold_at": f"{day}T12:00:00", "net_amount": amount, "member_card_no": card})
            lines.append(
                key | {"line_no": 1, "sku": "shirt", "quantity": 1, "unit_price": amount, "net_amount": amount}
            )
        self.chain.deliver("pos", "receipts", until, *receipts, of_store="S1")
        self.chain.deliver("pos", "receipt_lines", until, *lines, of_store="S1")

    def scoring(self) -> list[tuple[Any, ...]]:
        with db.connect(self.chain.settings) as conn:
            return [
                row
                for table in ("model", "calibration", "member_score")
                for row in conn.execute(f"select * from scoring.{table} order by 1, 2").fetchall()
            ]


VALUE = (
    "select member_id, net_amount_365, decile, p_alive, expected_purchases_12m, expected_value_12m, model_version"
    " from bi.member_value order by member_id"
)
CALIBRATION = "select * from bi.value_calibration order by 1, 2"


@pytest.fixture(scope="module")
def world(server_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Published before there is a model, and a day after it."""
    with new_warehouse(server_home) as database, pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "LEAST_MEMBERS", 50)
        patch.setattr(model, "LEAST_REPEATERS", 20)
        home = tmp_path_factory.mktemp("home")
        chain = Chain(replace(database, home=home, vault_key="0123456789abcdef0123456789abcdef"), OPENED)
        cards = [f"card-{number:06d}" for number in range(MEMBERS)]
        enrolled = [{"card_no": card, "store_id": "S1", "enrolled_at": f"{OPENED}T12:00:00+08:00"} for card in cards]
        chain.deliver("pos", "enrolments", OPENED, *enrolled)
        world = World(chain, purchases(), Fit(None, ""), [], {})
        world.sell(date.min, SUNDAY)
        chain.releases.append(chain.publish(SUNDAY))
        world.seen["before"] = chain.read(VALUE)
        for _ in range(2):
            world.fitted = fit(chain.settings, SUNDAY)
            world.stored.append(world.scoring())
        chain.releases.append(chain.publish(SUNDAY + timedelta(days=1)))
        world.seen["after"] = chain.read(VALUE)
        yield world


def test_a_fit_is_stored_whole_and_the_same_again_changes_nothing(world: World) -> None:
    once, again = world.stored
    assert once == again
    assert len([row for row in once if row[1] in set(world.sold["card"])]) == MEMBERS - 1
    assert world.fitted == Fit(1, f"Model 1 as of {SUNDAY}, fitted on release 1, is there already.")
    assert is_fitted(world.chain.settings, SUNDAY)
    assert not is_fitted(world.chain.settings, SUNDAY + timedelta(days=1))


def test_before_the_first_model_there_are_amounts_and_deciles_and_no_scores(world: World) -> None:
    year = world.sold[(world.sold["day"] <= SUNDAY) & (world.sold["day"] > SUNDAY - timedelta(days=365))]
    spent = year.groupby("card")["amount"].sum().round(2)
    rows = {row[0]: row for row in world.seen["before"]}
    assert len(rows) == world.sold[world.sold["day"] <= SUNDAY]["card"].nunique()
    assert {card: float(row[1]) for card, row in rows.items() if row[1]} == pytest.approx(spent.to_dict())
    assert {row[3:] for row in rows.values()} == {(None, None, None, None)}
    ordered = sorted(rows.values(), key=lambda row: (-row[1], row[2]))
    assert [row[2] for row in ordered] == sorted(row[2] for row in ordered)
    assert {row[2] for row in ordered} == set(range(1, 11))
    assert world.chain.read(CALIBRATION, world.chain.releases[0]) == []


def test_the_next_build_publishes_what_the_model_says_of_each_member(world: World) -> None:
    days = world.sold[world.sold["day"] <= SUNDAY].groupby("card")
    first, last = days["day"].min(), days["day"].max()
    histories = pd.DataFrame(
        {
            "repeat_days": days.size() - 1,
            "recency_days": (last - first).map(lambda gap: gap.days),
            "age_days": first.map(lambda day: (SUNDAY - day).days),
            "average_amount": days["amount"].mean(),
        }
    )
    scores = model.score(model.fit_model(histories), histories, 365)
    scored = {row[0]: row for row in world.seen["after"] if row[6]}
    assert set(scored) == set(histories.index)
    for card, score in scores.iterrows():
        row = scored[card]
        assert (float(row[3]), float(row[4])) == pytest.approx((score.p_alive, score.expected_purchases), abs=1e-4)
        assert float(row[5]) == pytest.approx(score.expected_value, abs=0.02)
        assert row[6] == 1


def test_the_calibration_says_what_was_held_out(world: World) -> None:
    rows = world.chain.read(
        "select model_version, as_of_date, calibrated_until, holdout_weeks, sum(members), sum(actual_days * members)"
        " from bi.value_calibration group by 1, 2, 3, 4"
    )
    until = SUNDAY - timedelta(weeks=26)
    first = world.sold.groupby("card")["day"].transform("min")
    held_out = world.sold[(world.sold["day"] > until) & (world.sold["day"] <= SUNDAY) & (first <= until)]
    ((*told, members, days),) = rows
    assert told == [1, SUNDAY, until, 26]
    assert members == world.sold[first <= until]["card"].nunique()
    assert float(days) == pytest.approx(len(held_out), abs=0.01 * members)


def test_building_what_changed_gives_what_a_full_build_gives(world: World) -> None:
    """Back to before the model, where there are no scores; and a week on: days leave the 365 and others come."""
    world.sell(SUNDAY, LAST_DAY)
    world.chain.publish(SUNDAY - timedelta(days=1))
    assert {row[6] for row in world.chain.read(VALUE)} == {None}
    world.chain.publish(LAST_DAY)
    content = world.chain.content()
    assert {row[0] for row in world.chain.read(VALUE) if row[6] is None} == {"card-000000"}
    again = world.chain.publish(LAST_DAY, full_refresh=True)
    assert world.chain.written_by(again) == {}
    assert world.chain.content() == content
    assert world.chain.read(VALUE, world.chain.releases[1]) == world.seen["after"]


def test_an_erased_member_has_no_name_in_the_scores_and_nobodys_change(world: World) -> None:
    def nameless() -> list[tuple[Any, ...]]:
        return sorted((row[1:] for row in world.chain.read(VALUE)), key=str)

    before = nameless()
    card = world.seen["after"][0][0]
    done = erase(world.chain.settings, card)
    assert done.found["scoring.member_score"] == 1
    assert where_left(world.chain.settings, {card}) == set()
    again = world.chain.publish(LAST_DAY)
    assert world.chain.written_by(again) == {}
    assert nameless() == before


def test_without_enough_history_nothing_is_fitted_and_the_command_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", world.chain.settings.database_url or "")
    monkeypatch.setenv("MEMBERHOUSE_HOME", str(world.chain.settings.home))
    before = world.scoring()
    early = str(OPENED + timedelta(weeks=20))
    said = CliRunner().invoke(cli.cli, ["value", "--as-of", early], catch_exceptions=False).output
    assert said.startswith(f"No model as of {early}: the history has ")
    assert "weeks, and a model takes 26" in said
    monkeypatch.setattr(model, "LEAST_MEMBERS", MEMBERS + 1)
    few = fit(world.chain.settings, SUNDAY - timedelta(days=7))
    assert few.model_version is None
    assert f"a model takes {MEMBERS + 1}" in few.summary
    assert world.scoring() == before
    with pytest.raises(MemberhouseError, match="What is published ends on"):
        fit(world.chain.settings, SUNDAY + timedelta(days=30))
