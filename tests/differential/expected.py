"""What must be published: the slow reference over the rows that are in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cached_property
from typing import Any

import pandas as pd
from tests.differential.deliveries import Batch
from tests.differential.histories import Row
from tests.reference import day_by_day, tiers
from tests.reference.identity import Identity
from tests.reference.profiles import Profiles

TOKENS = {"phone": "phone_token", "wechat_openid": "wechat_openid_token", "member_phone": "member_phone_token"}
LINE_KEY = [*day_by_day.RECEIPT_KEY, "line_no"]


@dataclass
class Expected:
    """The reference's answers at the close of a date.

    in_force: the rows that count, each with its batch. frozen: loyal thresholds in cents that earlier releases fixed.
    """

    in_force: Sequence[tuple[Row, Batch]]
    as_of: date
    frozen: Mapping[date, int | None]
    category_cycles: Mapping[str, int]

    def rows(self, feed: str) -> list[dict[str, Any]]:
        """A feed's rows, the older before the newer; a personal value stands for its token."""
        found = sorted(
            ((batch.business_date, row.content) for row, batch in self.in_force if row.feed == feed),
            key=lambda dated: dated[0],
        )
        return [
            {TOKENS.get(name, name): value for name, value in content.items()} | {"entered_on": on}
            for on, content in found
        ]

    def newest(self, feed: str, *key: str) -> list[dict[str, Any]]:
        """A feed's rows, of those with the same key the one that was delivered for the latest date."""
        by_key = {tuple(row[column] for column in key): row for row in self.rows(feed)}
        return list(by_key.values())

    @cached_property
    def stores(self) -> pd.DataFrame:
        return pd.DataFrame(self.newest("stores", "store_id"))

    @cached_property
    def identity(self) -> Identity:
        feeds = ("enrolments", "accounts", "identity_links", "receipt_claims")
        return Identity(self.newest("stores", "store_id"), self.as_of, **{feed: self.rows(feed) for feed in feeds})

    @cached_property
    def profiles(self) -> Profiles:
        return Profiles(self.identity, self.rows("accounts"), self.rows("consents"))

    @cached_property
    def lines(self) -> pd.DataFrame:
        columns = [*LINE_KEY, "sku", "quantity", "net_amount", "is_merchandise"]
        return pd.DataFrame(self.newest("receipt_lines", *LINE_KEY), columns=columns)

    @cached_property
    def statuses(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows("member_status"), columns=["card_no", "status", "at"])

    @cached_property
    def facts(self) -> pd.DataFrame:
        receipts = pd.DataFrame(row for row in self.rows("receipts") if row["business_date"] <= self.as_of)
        named = self.identity.without_tests(self.identity.named(receipts), self.statuses)
        return day_by_day.judge_receipts(named, self.lines)

    @cached_property
    def assignments(self) -> pd.DataFrame:
        rows = self.newest("member_assignments", "card_no", "valid_from")
        return pd.DataFrame(rows, columns=["card_no", "service_store_id", "valid_from"])

    @cached_property
    def daily(self) -> pd.DataFrame:
        return day_by_day.stages_by_day(
            self.facts,
            pd.DataFrame(),
            self.statuses,
            self.stores,
            self.as_of,
            member_assignments=self.assignments,
            frozen_thresholds=self.frozen,
            identity=self.identity,
        )

    @cached_property
    def moments(self) -> dict[tuple[Any, ...], pd.Timestamp]:
        """When each receipt was rung up, by its key."""
        zones = dict(zip(self.stores["store_id"], self.stores["timezone"], strict=True))
        moments = {}
        for row in self.rows("receipts"):
            moment = pd.Timestamp(row["sold_at"])
            if moment.tzinfo is None:
                moment = moment.tz_localize(zones[row["store_id"]])
            moments[tuple(row[column] for column in day_by_day.RECEIPT_KEY)] = moment
        return moments

    @cached_property
    def tiers(self) -> tiers.Members:
        rules = [
            tiers.Rule(
                row["tier"],
                row["valid_from"],
                row["spend_365"] * 100,
                row.get("purchase_days_365") or 0,
                row.get("tenure_days") or 0,
                grace_days=row["grace_days"],
            )
            for row in self.newest("tier_rules", "tier", "valid_from")
        ]
        return tiers.Members(
            self.identity,
            self.facts,
            self.as_of,
            tiers.Book(rules),
            sold_at=self.moments,
            told=[
                tiers.Told(row["card_no"], row["tier"], row["valid_from"], row["reason"])
                for row in self.rows("member_tiers")
            ],
            said=self.identity.said(self.statuses),
        )

    @cached_property
    def landed(self) -> set[tuple[str, date]]:
        """(store or ``all``, business date) of which both receipts and their lines were delivered."""
        places = {
            feed: {(batch.store_id, batch.business_date) for _, batch in self.in_force if batch.feed == feed}
            for feed in ("receipts", "receipt_lines")
        }
        return places["receipts"] & places["receipt_lines"]

    @cached_property
    def closures(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows("store_closures"), columns=["store_id", "closed_from", "closed_to"])

    @cached_property
    def calendar(self) -> pd.DataFrame:
        """The newest list of events."""
        rows = self.rows("calendar")
        newest = [row for row in rows if row["entered_on"] == rows[-1]["entered_on"]]
        return pd.DataFrame(newest, columns=["date", "event_type", "event_name", "scope"])

    @cached_property
    def since(self) -> date:
        """The first week that is published: the one of the first receipt."""
        return day_by_day.week_start(min(self.facts["business_date"]))

    @cached_property
    def adaptive(self) -> pd.DataFrame:
        products = pd.DataFrame(self.newest("products", "sku"))
        return day_by_day.adaptive_by_day(
            self.daily, self.facts, self.lines, products, self.category_cycles, Fraction(45)
        )
