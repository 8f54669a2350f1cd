"""A small language for members' histories: what was bought, returned, enrolled and said, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pandas as pd

from . import day_by_day

DAY_0 = date(2018, 1, 10)  # a Wednesday, not at a quarter's edge


def day(number: int) -> date:
    """The ``number``-th day after day 0."""
    return DAY_0 + timedelta(days=number)


@dataclass
class Story:
    """Collects landed rows; ``daily(as_of)`` tells what the reference makes of them."""

    receipts: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    enrolments: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    stores: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"store_id": "A", "region": "north", "timezone": "Asia/Shanghai", "day_cutoff": "04:00"},
            {"store_id": "B", "region": None, "timezone": "Asia/Shanghai", "day_cutoff": "04:00"},
        ]
    )

    def enrols(self, card: str, on: date, store: str = "A") -> Story:
        self.enrolments.append({"card_no": card, "store_id": store, "enrolled_at": f"{on}T12:00:00"})
        return self

    def says(self, card: str, status: str, on: date) -> Story:
        self.statuses.append({"card_no": card, "status": status, "at": f"{on}T12:00:00"})
        return self

    def buys(self, card: str, on: date, amount: float = 10, **more: Any) -> str:
        """A sale of one unit (``units=``, ``lines=`` for more); answers the receipt's number."""
        return self._receipt("sale", card, on, amount, more.pop("units", 1), more)

    def gives_back(self, card: str, receipt_no: str, sold_on: date, on: date, amount: float = 10, **more: Any) -> str:
        """A return of one unit (``units=``) of the receipt sold on ``sold_on``."""
        more = {"original_receipt_no": receipt_no, "original_business_date": sold_on} | more
        return self._receipt("return", card, on, -amount, -more.pop("units", 1), more)

    def _receipt(self, kind: str, card: str, on: date, amount: float, units: float, more: dict[str, Any]) -> str:
        number = more.pop("receipt_no", f"{len(self.receipts) + 1:04d}")
        lines = more.pop("lines", [{"quantity": units, "net_amount": amount}])
        key = {
            "store_id": more.pop("store", "A"),
            "register_id": "1",
            "business_date": on,
            "receipt_no": number,
            "receipt_type": kind,
        }
        self.receipts.append(key | {"member_card_no": card, "net_amount": amount} | more)
        self.lines.extend(key | {"line_no": i} | line for i, line in enumerate(lines, 1))
        return str(number)

    def exchanges(self, card: str, on: date, given: float, taken: float) -> None:
        lines = [{"quantity": -1, "net_amount": -given}, {"quantity": 1, "net_amount": taken}]
        self._receipt("exchange", card, on, taken - given, 0, {"lines": lines})

    def voids(self, receipt_no: str, sold_on: date) -> None:
        self._receipt("void", "", sold_on, 0, 0, {"receipt_no": receipt_no})

    # ------------------------------------------------------------------ what the reference makes of it

    @property
    def facts(self) -> pd.DataFrame:
        if not self.receipts:
            nothing = pd.DataFrame(columns=[*day_by_day.RECEIPT_KEY, "member_card_no", "quantity", "net_amount"])
            return day_by_day.judge_receipts(nothing, nothing)
        return day_by_day.judge_receipts(pd.DataFrame(self.receipts), pd.DataFrame(self.lines))

    @property
    def store_frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.stores)

    def daily(self, as_of: date, **more: Any) -> pd.DataFrame:
        return day_by_day.stages_by_day(
            self.facts,
            pd.DataFrame(self.enrolments),
            pd.DataFrame(self.statuses, columns=["card_no", "status", "at"]),
            self.store_frame,
            as_of,
            **more,
        )

    def stage(self, card: str, on: date, as_of: date | None = None) -> str | None:
        """The stage of a card at the close of a day; None before its enrolment."""
        rows = self.daily(as_of or on)
        found = rows.loc[(rows["card_no"] == card) & (rows["day"] == on), "stage_code"].tolist()
        return found[0] if found else None

    def path(self, card: str, as_of: date) -> list[tuple[str, date]]:
        """(stage, from) of a card's intervals."""
        rows = day_by_day.intervals(self.daily(as_of))
        mine = rows[rows["card_no"] == card]
        return list(zip(mine["stage_code"], mine["valid_from"], strict=True))

    def kpi(self, as_of: date) -> pd.DataFrame:
        """The KPI rows of the week that holds ``as_of``; the last one is head office's."""
        return day_by_day.kpi_weekly(
            self.daily(as_of), self.facts, self.store_frame, since=day_by_day.week_start(as_of)
        )
