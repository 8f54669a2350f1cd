"""The weekly report as one HTML page: a pure function of its figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from memberhouse.reports import charts
from memberhouse.reports.weekly_data import SMALLEST_SLICE, Kpi, Move, Store, WeeklyReport
from memberhouse.reports.wording import Language, Wording

ACTIVE = ("S03", "S04", "S05", "S06", "S07")
ASLEEP = ("S08", "S09", "S10")
STORES_RANKED = 8
MOVES_SHOWN = 12

_TEMPLATES = Environment(
    loader=PackageLoader("memberhouse.reports", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(report: WeeklyReport, lang: Language) -> str:
    """The page: self-contained HTML without scripts. The same figures and language give the same bytes."""
    wording = Wording(lang)
    page = _Page(report, wording)
    return _TEMPLATES.get_template("weekly.html.j2").render(
        lang=lang,
        text=wording.text,
        definitions=page.definitions(),
        report=report,
        header=page.header(),
        banners=page.banners(),
        summary=page.summary(),
        cards=page.cards(),
        strip=page.strip(),
        mix=page.mix(),
        sales=page.sales(),
        movement=page.movement(),
        stores=page.stores(),
        quality=page.quality(),
        smallest=SMALLEST_SLICE,
    )


@dataclass(frozen=True)
class _Metric:
    """One of the five: how it is read from a row, written, and compared."""

    key: str
    value: Callable[[Kpi], Decimal | None]
    base: Callable[[Kpi], int]
    write: Callable[[Decimal], str]
    compare: Callable[[Decimal, Decimal], str]


class _Page:
    """What the template shows, put into words and numbers."""

    def __init__(self, report: WeeklyReport, wording: Wording) -> None:
        self.report, self.wording, self.kpi = report, wording, report.kpi
        self.text = wording.text

    def _stage(self, code: str) -> str:
        if code == "NEW":
            return self.text("new_member")
        stage = next((stage for stage in self.report.stages if stage.stage_code == code), None)
        if stage is None:
            return code
        return stage.name_zh if self.wording.lang == "zh" else stage.name_en

    # ------------------------------------------------------------------------------------------ the head

    def header(self) -> dict[str, str]:
        monday, release = self.report.monday, self.report.release
        closes = monday + timedelta(days=6)
        return {
            "title": self.text("title", iso_week=self.report.iso_week),
            "days": self.wording.days(monday, closes),
            "as_of": self.text("as_of", as_of=self.wording.day(release.as_of_date)),
            "release": self.text("release", release=release.release_id),
            "published": self.text("published", published_at=self.wording.moment(release.published_at)),
            "chart_note": self.text(
                "chart_note", as_of=self.wording.day(release.as_of_date), release=release.release_id
            ),
        }

    def banners(self) -> list[dict[str, str]]:
        """What must be known before a figure is believed; empty for a complete week of the newest data."""
        release, found = self.report.release, []
        as_of = self.wording.day(release.as_of_date)
        if self.report.held_reason is not None:
            found.append(
                {
                    "title": self.text("held_title"),
                    "text": self.text("held_text", release=release.release_id, as_of=as_of),
                    "quote": self.report.held_reason,
                }
            )
        if self.kpi.days_elapsed < 7:
            title = self.text("unfinished_title", days=self.kpi.days_elapsed)
            found.append({"title": title, "text": self.text("unfinished_text", as_of=as_of), "quote": ""})
        elif not self.kpi.is_complete:
            title, text = self.text("incomplete_title"), self.text("incomplete_text")
            found.append({"title": title, "text": text, "quote": ""})
        return found

    def _comparable(self, before: Kpi | None) -> bool:
        return before is not None and before.is_complete and self.kpi.is_complete

    def summary(self) -> list[str]:
        """The week in three sentences."""
        now, before = self.kpi, self.report.last_week
        buyers = sales = activity = ""
        if before is not None and self._comparable(before):
            buyers = self._by_count(now.purchasing_members, before.purchasing_members)
            sales = self._by_amount(now.net_sales_amount, before.net_sales_amount)
            if now.activity_rate is not None and before.activity_rate is not None:
                activity = self._by_points(now.activity_rate, before.activity_rate)
        sentences = [self.text("summary_buyers", members=self.wording.count(now.purchasing_members), change=buyers)]
        share = _share(now.net_sales_member_amount, now.net_sales_amount)
        if share is not None:
            amount = self.wording.amount(now.net_sales_amount)
            sentences.append(self.text("summary_sales", amount=amount, change=sales, share=self.wording.rate(share)))
        if now.activity_rate is not None:
            rate = self.wording.rate(now.activity_rate)
            sentences.append(self.text("summary_activity", share=rate, change=activity))
        return sentences

    def _by_count(self, now: int, before: int) -> str:
        if now == before or before == 0:
            return self.text("same_as_last_week") if now == before else ""
        change = self.wording.rate(Decimal(abs(now - before)) / before)
        return self.text("more_than_last_week" if now > before else "less_than_last_week", change=change)

    def _by_amount(self, now: Decimal, before: Decimal) -> str:
        if now == before or before <= 0:
            return self.text("same_as_last_week") if now == before else ""
        change = self.wording.rate(abs(now - before) / before)
        return self.text("up_on_last_week" if now > before else "down_on_last_week", change=change)

    def _by_points(self, now: Decimal, before: Decimal) -> str:
        change = self.wording.change_of_rate(abs(now - before))
        if change == self.text("unchanged"):
            return self.text("same_as_last_week")
        change = change.removeprefix("+")
        return self.text("up_on_last_week" if now > before else "down_on_last_week", change=change)

    # ------------------------------------------------------------------------------------- five key metrics

    def cards(self) -> list[dict[str, Any]]:
        """Growth, churn, repurchase, average ticket and activity, in this order."""
        now, wording = self.kpi, self.wording
        rate = wording.rate

        def fine(value: Decimal) -> str:
            return wording.rate(value, 2)

        def fine_change(value: Decimal, before: Decimal) -> str:
            return wording.change_of_rate(value - before, 2)

        def change(value: Decimal, before: Decimal) -> str:
            return wording.change_of_rate(value - before)

        net = _share(Decimal(now.closing_members - now.opening_members), Decimal(now.opening_members))
        spend = _share(now.net_sales_member_amount, Decimal(now.purchasing_members))
        lapses_unseen = now.churned_lapse is None
        return [
            self._card(
                _Metric("growth", lambda kpi: kpi.growth_rate, lambda kpi: kpi.opening_members, fine, fine_change),
                self._parts("growth_parts", now.new_members, now.opening_members),
                self.text(
                    "growth_beside",
                    rate=self.text("nobody_to_measure") if net is None else fine(net),
                    opening=wording.count(now.opening_members),
                    closing=wording.count(now.closing_members),
                ),
            ),
            self._card(
                _Metric("churn", lambda kpi: kpi.churn_rate, lambda kpi: kpi.churn_base, fine, fine_change),
                self.text(
                    "churn_unknown_parts",
                    closed=wording.count(now.churned_closed or 0),
                    under=wording.count(now.churn_base),
                )
                if now.churned_lapse is None
                else self._parts("churn_parts", now.churned_lapse + (now.churned_closed or 0), now.churn_base),
                "",
            ),
            self._card(
                _Metric(
                    "repurchase",
                    lambda kpi: kpi.repurchase_rate,
                    lambda kpi: kpi.purchasers_365,
                    rate,
                    change,
                ),
                self._parts("repurchase_parts", now.repeat_purchasers_365, now.purchasers_365),
                self.text("repurchase_short_history") if lapses_unseen else "",
            ),
            self._card(
                _Metric(
                    "ticket",
                    lambda kpi: kpi.average_ticket_member_amount,
                    lambda kpi: kpi.sale_receipts_member,
                    wording.amount,
                    wording.relative_change,
                ),
                self.text(
                    "ticket_parts",
                    over=wording.amount(now.sale_net_amount_member),
                    under=wording.count(now.sale_receipts_member),
                ),
                self.text(
                    "ticket_beside",
                    ticket=self._amount_or_nobody(now.average_ticket_amount),
                    spend=self._amount_or_nobody(spend),
                ),
            ),
            self._card(
                _Metric("activity", lambda kpi: kpi.activity_rate, lambda kpi: kpi.valid_members, rate, change),
                self._parts("activity_parts", now.active_members, now.valid_members),
                self.text("activity_beside", stages=wording.listed(self._stage(stage) for stage in ACTIVE)),
            ),
        ]

    def _amount_or_nobody(self, amount: Decimal | None) -> str:
        return self.text("nobody_to_measure") if amount is None else self.wording.amount(amount)

    def _parts(self, key: str, over: int, under: int) -> str:
        return self.text(key, over=self.wording.count(over), under=self.wording.count(under))

    def _card(self, metric: _Metric, parts: str, beside: str) -> dict[str, Any]:
        name = self.text(metric.key)
        before, year = self.report.last_week, self.report.last_year
        if year is not None and not year.is_complete:
            year = None  # the few days that the data begins with are no year to look back on
        return {
            "key": metric.key,
            "name": name,
            "value": self._written(metric, self.kpi),
            "is_known": metric.value(self.kpi) is not None,
            "parts": parts,
            "beside": beside,
            "last_week": self._written(metric, before),
            "change": self._change(metric, before),
            "last_year": self._written(metric, year),
            "trend": self._trend(metric, name),
        }

    def _written(self, metric: _Metric, kpi: Kpi | None) -> str:
        """The value, or in words why there is none. Never a 0 that nobody counted."""
        if kpi is None:
            return self.text("not_observable_yet")
        value = metric.value(kpi)
        if value is not None:
            return metric.write(value)
        return self.text("nobody_to_measure" if metric.base(kpi) == 0 else "not_observable_yet")

    def _change(self, metric: _Metric, before: Kpi | None) -> str:
        now = metric.value(self.kpi)
        then = metric.value(before) if before is not None else None
        if now is None or then is None:
            return self.text("not_observable_yet")
        if not self._comparable(before):
            return self.text("not_compared")
        return metric.compare(now, then)

    def _trend(self, metric: _Metric, name: str) -> dict[str, Any] | None:
        values = [value for kpi in self.report.kpis if kpi.is_complete and (value := metric.value(kpi)) is not None]
        if len(values) < 3:
            return None
        alternative = self.text(
            "trend_alt",
            metric=name,
            weeks=len(values),
            first=metric.write(values[0]),
            last=metric.write(values[-1]),
        )
        caption = self.text("trend_caption", weeks=len(values))
        return {"svg": Markup(charts.trend(values, alternative)), "caption": caption}  # noqa: S704  (drawn here)

    def strip(self) -> list[tuple[str, str, str]]:
        """(name, value, change) of the week's plain quantities."""
        now, before, wording = self.kpi, self.report.last_week, self.wording
        rows: list[tuple[str, Decimal | None, Decimal | None, Callable[[Decimal], str], bool]] = [
            (
                "net_sales",
                now.net_sales_amount,
                before.net_sales_amount if before else None,
                wording.amount,
                True,
            ),
            (
                "member_share",
                _share(now.net_sales_member_amount, now.net_sales_amount),
                _share(before.net_sales_member_amount, before.net_sales_amount) if before else None,
                wording.rate,
                False,
            ),
            (
                "receipts",
                Decimal(now.sale_receipts),
                Decimal(before.sale_receipts) if before else None,
                _whole(wording.count),
                True,
            ),
            (
                "buying_members",
                Decimal(now.purchasing_members),
                Decimal(before.purchasing_members) if before else None,
                _whole(wording.count),
                True,
            ),
        ]
        found = []
        for key, value, earlier, write, is_relative in rows:
            if value is None or earlier is None:
                change = self.text("not_observable_yet")
            elif not self._comparable(before):
                change = self.text("not_compared")
            elif is_relative:
                change = wording.relative_change(value, earlier) if earlier else self.text("nobody_to_measure")
            else:
                change = wording.change_of_rate(value - earlier)
            shown = self.text("nobody_to_measure") if value is None else write(value)
            found.append((self.text(key), shown, change))
        return found

    # ---------------------------------------------------------------------------------------------- charts

    def mix(self) -> dict[str, Any]:
        """Where members stand: the chart, its key with this week's figures, and who is left out."""
        report, wording = self.report, self.wording
        before = report.monday - timedelta(days=7)
        counts = {(row.week_start, row.stage_code): row.members for row in report.mix}
        present = {row.stage_code for row in report.mix if row.members} - {"X"}
        stages = [stage.stage_code for stage in report.stages if stage.stage_code in present]
        total = sum(counts.get((report.monday, stage), 0) for stage in stages)
        total_before = sum(counts.get((before, stage), 0) for stage in stages)
        key = []
        for stage in reversed(stages):  # as they lie in the bar: the last one on top
            members = counts.get((report.monday, stage), 0)
            share = _share(Decimal(members), Decimal(total))
            share_before = _share(Decimal(counts.get((before, stage), 0)), Decimal(total_before))
            if share is None or share_before is None:
                change = self.text("not_observable_yet")
            elif not self._comparable(report.last_week):
                change = self.text("not_compared")
            else:
                change = wording.change_of_rate(share - share_before)
            key.append(
                {
                    "colour": charts.STAGE_COLOURS[stage],
                    "stage": self._stage(stage),
                    "members": wording.count(members),
                    "share": "" if share is None else wording.rate(share),
                    "change": change,
                }
            )
        alternative = self.text(
            "mix_alt",
            iso_week=report.iso_week,
            parts=wording.listed(
                self.text("mix_alt_part", stage=row["stage"], share=row["share"]) for row in reversed(key)
            ),
        )
        shares = [(row.week_start, row.stage_code, row.members) for row in report.mix]
        excluded = counts.get((report.monday, "X"), 0)
        # where the loyal threshold was set anew between two of the closes shown
        closes = [kpi.week_start + timedelta(days=6) for kpi in report.kpis]
        days = [closes[0] + timedelta(days=n) for n in range(1, (closes[-1] - closes[0]).days + 1)]
        quarters = [wording.day(day) for day in days if day.day == 1 and day.month in (1, 4, 7, 10)]
        return {
            "caption": self.text("mix_caption", weeks=len({row.week_start for row in report.mix})),
            "charts": _drawn(charts.BESIDE, lambda size: charts.stage_mix(shares, stages, size, alternative)),
            "key": key,
            "notes": [
                *([self.text("mix_quarters", days=wording.listed(quarters))] if quarters else []),
                *([self.text("mix_excluded", members=wording.count(excluded))] if excluded else []),
            ],
        }

    def sales(self) -> dict[str, Any]:
        """Net sales by week, of members and anonymous."""
        report, wording, now = self.report, self.wording, self.kpi
        weeks = [
            (
                kpi.week_start,
                kpi.net_sales_member_amount,
                kpi.net_sales_amount - kpi.net_sales_member_amount,
                kpi.is_complete,
            )
            for kpi in report.kpis
        ]
        complete = [kpi for kpi in report.kpis if kpi.is_complete] or list(report.kpis)
        high = max(complete, key=lambda kpi: (kpi.net_sales_amount, kpi.week_start))
        low = min(complete, key=lambda kpi: (kpi.net_sales_amount, kpi.week_start))
        alternative = self.text(
            "sales_alt",
            iso_week=report.iso_week,
            member=wording.amount(now.net_sales_member_amount),
            anonymous=wording.amount(now.net_sales_amount - now.net_sales_member_amount),
            high_week=f"{high.week_start:%G-W%V}",
            high=wording.amount(high.net_sales_amount),
            low_week=f"{low.week_start:%G-W%V}",
            low=wording.amount(low.net_sales_amount),
        )
        faint = any(not kpi.is_complete for kpi in report.kpis)
        return {
            "caption": self.text("sales_caption", weeks=len(weeks), iso_week=report.iso_week),
            "charts": _drawn(charts.ACROSS, lambda size: charts.net_sales(weeks, size, alternative)),
            "key": [
                {"colour": charts.MEMBER_COLOUR, "name": self.text("sales_member")},
                {"colour": charts.ANONYMOUS_COLOUR, "name": self.text("sales_anonymous")},
            ],
            "faint": self.text("sales_faint") if faint else "",
        }

    # -------------------------------------------------------------------------------------------- movement

    def movement(self) -> dict[str, Any]:
        """Who moved: the main flows, the rest in one line, and every stage's opening, in, out and close."""
        wording = self.wording
        moved = [move for move in self.report.moves if move.from_stage != move.to_stage]
        moved.sort(key=lambda move: (-move.members, move.from_stage, move.to_stage))
        shown = [move for move in moved if move.members >= SMALLEST_SLICE][:MOVES_SHOWN]
        rest = moved[len(shown) :]
        most = max((move.members for move in shown), default=1)
        stayed = sum(move.members for move in self.report.moves) - sum(move.members for move in moved)
        return {
            "stayed": self.text(
                "movement_stayed",
                members=wording.count(stayed),
                moved=wording.count(sum(move.members for move in moved)),
            ),
            "flows": [
                {
                    "from": self._stage(move.from_stage),
                    "to": self._stage(move.to_stage),
                    "members": wording.count(move.members),
                    "percent": round(100 * move.members / most),
                    "kind": _direction(move),
                    "direction": self.text(_direction(move)),
                }
                for move in shown
            ],
            "rest": self.text("small_moves", kinds=len(rest), members=wording.count(sum(move.members for move in rest)))
            if rest
            else "",
            "none": "" if moved else self.text("no_moves"),
            "balance": self._balance(moved),
        }

    def _balance(self, moved: Sequence[Move]) -> list[dict[str, str]]:
        wording, rows = self.wording, []
        for code in [stage.stage_code for stage in self.report.stages]:
            opening = sum(move.members for move in self.report.moves if move.from_stage == code)
            closing = sum(move.members for move in self.report.moves if move.to_stage == code)
            if opening or closing:
                arrived = sum(move.members for move in moved if move.to_stage == code)
                left = sum(move.members for move in moved if move.from_stage == code)
                rows.append((self._stage(code), opening, arrived, left, closing))
        new = sum(move.members for move in moved if move.from_stage == "NEW")
        totals = (self.text("total"), sum(row[1] for row in rows), new, 0, sum(row[4] for row in rows))
        return [
            {
                "stage": stage,
                "opening": wording.count(opening),
                "in": wording.count(arrived),
                "out": wording.count(left),
                "closing": wording.count(closing),
                "net": wording.change_of_count(closing - opening),
            }
            for stage, opening, arrived, left, closing in [*rows, totals]
        ]

    # ---------------------------------------------------------------------------------------------- stores

    def stores(self) -> dict[str, Any]:
        """The highest and lowest stores; those with too few buying members only as a sum."""
        # a store where nobody but anonymous buyers bought shows nobody
        ranked = [row for row in self.report.stores if not 0 < row.buying_members < SMALLEST_SLICE]
        small = [row for row in self.report.stores if 0 < row.buying_members < SMALLEST_SLICE]
        tables = []
        if 0 < len(ranked) <= 2 * STORES_RANKED:
            tables.append(self._ranking(self.text("stores_all"), ranked))
        elif ranked:
            for key, rows in (
                ("stores_top", ranked[:STORES_RANKED]),
                ("stores_bottom", ranked[-STORES_RANKED:]),
            ):
                tables.append(self._ranking(self.text(key, count=STORES_RANKED), rows))
        note = ""
        if small:
            # one small store's sum, or a few of them with few members, would be the slice itself
            hidden = sum(row.buying_members for row in small) < SMALLEST_SLICE or len(small) < 2
            amount = self.wording.amount(sum((row.net_sales_amount for row in small), Decimal(0)))
            note = self.text(
                "stores_small_hidden" if hidden else "stores_small",
                stores=self.wording.count(len(small)),
                smallest=SMALLEST_SLICE,
                amount=amount,
            )
        return {
            "tables": tables,
            "small": note,
            "note": self.text("repurchase_note", smallest=SMALLEST_SLICE),
            "none": "" if ranked else self.text("stores_none", smallest=SMALLEST_SLICE),
        }

    def _ranking(self, title: str, rows: Sequence[Store]) -> dict[str, Any]:
        return {"title": title, "rows": [self._store(row) for row in rows]}

    def _store(self, row: Store) -> dict[str, str]:
        wording, before = self.wording, row.net_sales_amount_before
        if not self._comparable(self.report.last_week):
            change = self.text("not_compared")
        elif before is None or before <= 0:
            change = self.text("not_observable_yet" if before is None else "nobody_to_measure")
        else:
            change = wording.relative_change(row.net_sales_amount, before)
        if row.purchasers_365 < SMALLEST_SLICE:
            repurchase = self.text("under_smallest")
        else:
            repurchase = self.text("nobody_to_measure")
            if row.repurchase_rate is not None:
                repurchase = wording.rate(row.repurchase_rate)
        return {
            "name": row.store_name,
            "net_sales": wording.amount(row.net_sales_amount),
            "change": change,
            "receipts": wording.count(row.sale_receipts),
            "ticket": self._amount_or_nobody(row.average_ticket_amount),
            "repurchase": repurchase,
        }

    # ---------------------------------------------------------------------------------------------- footer

    def definitions(self) -> list[str]:
        """How the numbers are defined; the stages' rules as the warehouse states them."""
        chinese = self.wording.lang == "zh"
        rules = [
            self.text(
                "how_stage",
                stage=self._stage(stage.stage_code),
                rule=stage.rule_zh if chinese else stage.rule_en,
            )
            for stage in self.report.stages
        ]
        return [*self.wording.texts("how"), self.text("how_stages", rules=self.wording.clauses(rules))]

    def quality(self) -> list[str]:
        """What is known about the data behind the page."""
        report, release, now = self.report, self.report.release, self.kpi
        basis = self.text(f"basis_{now.completeness_basis}")
        sentences = [
            self.text(
                "quality_gate",
                checks=self.wording.count(release.checks_evaluated),
                warnings=self.wording.count(release.warnings),
            ),
            self.text("quality_complete", basis=basis)
            if now.is_complete
            else self.text("quality_incomplete", days=now.days_elapsed, basis=basis),
        ]
        if now.caveats:
            sentences.append(self.text("quality_caveats", caveats=self.wording.caveats(now.caveats)))
        sentences.append(self.text("small_slices", smallest=SMALLEST_SLICE))
        sentences.append(
            self.text("reproduce", monday=report.monday, release=release.release_id, lang=self.wording.lang)
        )
        return sentences


def _direction(move: Move) -> str:
    """The catalogue's key of what a move means."""
    if "X" in (move.from_stage, move.to_stage):
        return "excluded_move"
    if move.from_stage == "NEW":
        return "joined"
    if move.to_stage in ASLEEP:
        return "slipping"
    if move.from_stage in ASLEEP and move.to_stage in ACTIVE:
        return "woken"
    if move.from_stage in ("S01", "S02") and move.to_stage in ACTIVE:
        return "first_purchase"
    if move.from_stage in ACTIVE and move.to_stage in ACTIVE:
        return "within_active"
    return "other_direction"


def _drawn(sizes: Sequence[charts.Size], draw: Callable[[charts.Size], str]) -> list[dict[str, Any]]:
    return [{"size": size.name, "svg": Markup(draw(size))} for size in sizes]  # noqa: S704  (drawn here)


def _share(over: Decimal, under: Decimal) -> Decimal | None:
    return over / under if under else None


def _whole(write: Callable[[int], str]) -> Callable[[Decimal], str]:
    return lambda value: write(int(value))
