"""The truth of the simulation, beside the data and out of the loader's sight: <out>/truth/."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from memberhouse.simulate.chain.columns import Columns
from memberhouse.simulate.chain.landing import Lander
from memberhouse.simulate.chain.outreach import HOLD_OUT, Outreach
from memberhouse.simulate.chain.people import CARD, CARD_AND_ACCOUNT, People
from memberhouse.simulate.chain.plan import Array, Plan
from memberhouse.simulate.chain.tills import EXCHANGE, NOBODY, RETURN, SALE, VOID, Day, Tills
from memberhouse.simulate.chain.world import Stores
from memberhouse.simulate.tables import csv_bytes, money

FOLDER = "truth"
_COUNTS = ("receipts", "sales", "returns", "exchanges", "voids", "training", "member_receipts", "lines", "units")
_AMOUNTS = ("z_net", "merchandise_net")


class Truth:
    """Adds up what really happened, day by day, and writes it at the end."""

    def __init__(self, plan: Plan, stores: Stores, people: People, tills: Tills) -> None:
        self.plan, self.stores, self.people, self.tills = plan, stores, people, tills
        self._days: list[dict[str, Any]] = []

    def see(self, day: Day, outreach: Outreach) -> None:
        """The day's receipts as they will be landed, with their voids."""
        receipts, people = day.receipts, self.people
        counted = (receipts["kind"] != VOID) & ~receipts["voided"] & ~receipts["training"]
        mine = counted & (receipts["member"] >= 0)
        np.add.at(people.receipts, receipts["member"][mine], (receipts["kind"][mine] == SALE).astype(np.int32))
        np.add.at(people.net, receipts["member"][mine], receipts["net"][mine])
        bought = np.unique(receipts["member"][mine & (receipts["kind"] == SALE)])
        people.bought_days[bought] += 1
        people.last_buy[bought] = day.number
        for campaign in outreach.running(day.number):
            campaign.bought_treated += int(np.isin(bought, campaign.treated, assume_unique=True).sum())
            campaign.bought_held_out += int(np.isin(bought, campaign.held_out, assume_unique=True).sum())
        self._days.append(self._store_day(day, counted))

    def _store_day(self, day: Day, counted: Array) -> dict[str, Any]:
        """A row a store with receipts: counts and money over receipts that are neither voided nor training."""
        receipts, lines = day.receipts, day.lines
        stores = len(self.stores.ids)

        def count(mask: Array, weights: Array | None = None) -> Array:
            sums = np.zeros(stores, dtype=np.int64)
            np.add.at(sums, receipts["store"][mask], 1 if weights is None else weights[mask])
            return sums

        of = receipts["store"][lines["receipt"]]
        line_counted = counted[lines["receipt"]]
        goods = line_counted & lines["merchandise"]

        def over_lines(mask: Array, values: Array | int) -> Array:
            sums = np.zeros(stores, dtype=np.int64)
            np.add.at(sums, of[mask], values[mask] if isinstance(values, np.ndarray) else values)
            return sums

        kind = receipts["kind"]
        everything = np.ones(len(kind), dtype=bool)
        there = np.flatnonzero(count(everything))
        columns = {
            "receipts": count(counted),
            "sales": count(counted & (kind == SALE)),
            "returns": count(counted & (kind == RETURN)),
            "exchanges": count(counted & (kind == EXCHANGE)),
            "voids": count(kind == VOID),
            "training": count(receipts["training"] & (kind != VOID)),
            "member_receipts": count(counted & (receipts["ident"] != NOBODY)),
            "lines": over_lines(line_counted, 1),
            "units": over_lines(goods, lines["quantity"]),
            "z_net": count(counted, receipts["net"]),
            "merchandise_net": over_lines(goods, lines["net"]),
        }
        return {"day": np.full(len(there), day.number), "store": there} | {
            name: values[there] for name, values in columns.items()
        }

    # ---------------------------------------------------------------- files

    def write(self, out: Path, lander: Lander, outreach: Outreach) -> None:
        folder = out / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        store_days = {name: np.concatenate([each[name] for each in self._days]) for name in self._days[0]}
        _write(folder / "store_days.csv.gz", self._store_day_rows(store_days))
        _write(folder / "members.csv.gz", self._member_rows())
        _write(folder / "campaigns.csv.gz", self._campaign_rows(outreach))
        _write(folder / "feeds.csv.gz", feed_rows(lander))
        _write(folder / "totals.csv.gz", self._totals(store_days))

    def _store_day_rows(self, days: Columns) -> dict[str, Any]:
        return {
            "business_date": self._dates(days["day"]),
            "store_id": self.tills.store_ids.take(pa.array(days["store"])),
            **{name: pa.array(days[name]) for name in _COUNTS},
            **{name: money(days[name]) for name in _AMOUNTS},
        }

    def _totals(self, days: Columns) -> dict[str, Any]:
        people = self.people
        names = ["members", "members_before_the_first_day", "accounts", "purchase_days", *_COUNTS, *_AMOUNTS]
        accounts = int((people.account_day < self.plan.days).sum())
        whole = [people.members, people.existing, accounts, int(people.bought_days.sum())]
        cents = [100 * each for each in whole] + [100 * int(days[name].sum()) for name in _COUNTS]
        cents += [int(days[name].sum()) for name in _AMOUNTS]
        return {"what": names, "value": money(np.array(cents))}

    def _member_rows(self) -> dict[str, Any]:
        people = self.people
        who = np.arange(people.members)
        dropped = people.drop_day[who].astype(np.int64)
        active = dropped >= self.plan.days
        has_account = people.account_day[who] < self.plan.days
        return {
            "member": people.member(who),
            "card_no": people.card_no(who),
            "account_id": pa.array(
                np.where(has_account, people.account_id(who).to_numpy(zero_copy_only=False), None), pa.string()
            ),
            "enrolled_on": self._dates(people.enrol_day[who].astype(np.int64)),
            "has_card": pa.array((people.kind[who] == CARD) | (people.kind[who] == CARD_AND_ACCOUNT)),
            "rate": pa.array(people.rate[who]),
            "dropped_out_on": self._dates(np.where(active, 0, dropped), mask=active),
            "purchase_days": pa.array(people.bought_days[who]),
            "sales": pa.array(people.receipts[who]),
            "net_amount": money(people.net[who]),
        }

    def _campaign_rows(self, outreach: Outreach) -> dict[str, Any]:
        campaigns = outreach.campaigns
        return {
            "campaign_id": pa.array([each.campaign_id for each in campaigns], pa.string()),
            "type": pa.array([each.campaign_type for each in campaigns], pa.string()),
            "starts_on": self._dates(np.array([each.first for each in campaigns], dtype=np.int64)),
            "ends_on": self._dates(np.array([each.last for each in campaigns], dtype=np.int64)),
            "factor": pa.array([each.factor for each in campaigns], pa.float64()),
            "hold_out_share": pa.array([HOLD_OUT] * len(campaigns), pa.float64()),
            "treated": pa.array([len(each.treated) for each in campaigns], pa.int64()),
            "held_out": pa.array([len(each.held_out) for each in campaigns], pa.int64()),
            "purchase_days_treated": pa.array([each.bought_treated for each in campaigns], pa.int64()),
            "purchase_days_held_out": pa.array([each.bought_held_out for each in campaigns], pa.int64()),
        }

    def _dates(self, days: Array, mask: Array | None = None) -> pa.Array:
        return pa.array((np.datetime64(self.plan.first_day) + days).astype("datetime64[D]"), mask=mask)


def feed_rows(lander: Lander) -> dict[str, Any]:
    """By feed: batches, rows and money that were landed sound; what is planted on top is in the ledger."""
    places = sorted(lander.totals)
    return {
        "source": [source for source, _ in places],
        "feed": [feed for _, feed in places],
        "batches": [lander.totals[place].batches for place in places],
        "rows": [lander.totals[place].rows for place in places],
        "amount": [str(lander.totals[place].amount) for place in places],
    }


def _write(path: Path, rows: dict[str, Any]) -> None:
    path.write_bytes(gzip.compress(csv_bytes(pa.table(rows)), mtime=0))
