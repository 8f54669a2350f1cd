"""Who is who, the slow way: whose card, account or phone it was on a day, and who the members are.

Nothing here knows the warehouse's SQL. Who is one person is found by joining sets until none touch any more, whose
something was on a day by going through everything that was recorded, and since when two ids are one by trying every
day on which a link began.

How to use it::

    identity = Identity(stores, as_of, enrolments=…, accounts=…, identity_links=…, receipt_claims=…)
    identity.whose("account", "A1", day)
    named = identity.without_tests(identity.named(receipts), member_status)
    facts = judge_receipts(named, lines)
    daily = stages_by_day(facts, enrolments, member_status, stores, as_of, identity=identity)

Rows are those of the landed feeds, as dictionaries; those of persons carry ``phone_token`` and
``wechat_openid_token`` as the raw tables do. An enrolment may say when it was entered (``entered_on``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

Row = Mapping[str, Any]
Id = tuple[str, str]  # ("card" or "account", number)

OPEN_END = date(9999, 12, 31)
APP = {"timezone": "Asia/Shanghai", "day_cutoff": None}
CLAIM_DAYS = 30
BACKDATING_DAYS = 30
FLAGS = ("closed", "blocked", "staff", "test")


@dataclass(frozen=True)
class Member:
    """A member: a prospect while enrolled_on (OPEN_END: never) lies ahead, excluded from merged_on on."""

    member_id: str
    known_from: date
    enrolled_on: date
    service_store_id: str
    merged_on: date = OPEN_END


@dataclass(frozen=True)
class Said:
    """What was said of an id on a day: that a flag is set or lifted."""

    day: date
    member_id: str
    of: Id
    flag: str
    is_set: bool


def local_day(moment: Any, store: Mapping[str, Any] | None) -> date:
    """The business date of a moment in a store's zone: ((at in the zone) − day cut-off)::date."""
    when = pd.Timestamp(moment)
    if when.tzinfo is not None:
        when = when.tz_convert((store or {}).get("timezone") or "UTC").tz_localize(None)
    cutoff = (store or {}).get("day_cutoff")
    if cutoff is not None and not pd.isna(cutoff):
        when -= pd.Timedelta(f"{cutoff}:00" if str(cutoff).count(":") == 1 else str(cutoff))
    return when.date()


class Identity:
    """What all feeds together say of who is who, as known at the close of ``as_of``."""

    def __init__(
        self,
        stores: Sequence[Row],
        as_of: date,
        *,
        enrolments: Sequence[Row] = (),
        accounts: Sequence[Row] = (),
        identity_links: Sequence[Row] = (),
        receipt_claims: Sequence[Row] = (),
    ) -> None:
        self._as_of = as_of
        self._stores = {str(row["store_id"]): row for row in stores}
        self._app = self._stores.get("APP", APP)
        self._enrolments = self._counted(enrolments)
        self._accounts = sorted(
            (
                dict(row) | {"changed_at": pd.Timestamp(row["updated_at"])}
                for row in accounts
                if self.app_day(row["created_at"]) <= as_of
            ),
            key=lambda row: row["changed_at"],
        )
        self._links = self._in_their_last_version(identity_links)
        self._claims = list(receipt_claims)
        self._in_force = [link for link in self._links if link["in_force"]]
        self._own = self._memberships()
        self._gone = {link["account_id"] for link in self._in_force if link.get("survivor_account_id")}
        self._person_of = self._joined(self._in_force)

    # ------------------------------------------------------------------ what counts at all

    def app_day(self, moment: Any) -> date:
        """The business date of a moment by the app's clock."""
        return local_day(moment, self._app)

    def _counted(self, enrolments: Sequence[Row]) -> list[dict[str, Any]]:
        """Enrolments that took effect, unless they were entered long after; the first delivery brings the old ones."""
        entered = [row["entered_on"] for row in enrolments if row.get("entered_on")]
        counted = []
        for row in enrolments:
            day = local_day(row["enrolled_at"], self._stores.get(str(row["store_id"])))
            entry = row.get("entered_on")
            held = entry is not None and entry > min(entered) and entry - day > timedelta(days=BACKDATING_DAYS)
            if day <= self._as_of and not held:
                counted.append(dict(row) | {"day": day})
        return sorted(counted, key=lambda row: row["day"])

    def enrolments(self) -> list[dict[str, Any]]:
        """The enrolment of each card that counts, the earliest one, with its ``day``."""
        first: dict[str, dict[str, Any]] = {}
        for row in self._enrolments:
            first.setdefault(row["card_no"], row)
        return list(first.values())

    def _in_their_last_version(self, links: Sequence[Row]) -> list[dict[str, Any]]:
        last: dict[Any, Row] = {}
        for row in sorted(links, key=lambda row: pd.Timestamp(row["recorded_at"])):
            last[row["account_id"], row.get("card_no"), row["valid_from"]] = row
        kept = []
        for row in last.values():
            begin = self.app_day(row["valid_from"])
            end = self.app_day(row["valid_to"]) if row.get("valid_to") else OPEN_END
            if begin <= self._as_of and begin < end:
                kept.append(dict(row) | {"begin": begin, "end": end, "in_force": end > self._as_of})
        return kept

    # ------------------------------------------------------------------ who is one person

    def _memberships(self) -> dict[Id, tuple[date, date]]:
        """(known from, enrolled on) of each id that is a membership of its own; accounts by their newest version."""
        own: dict[Id, tuple[date, date]] = {}
        for row in self._accounts:
            since = self.app_day(row["member_since"]) if row.get("member_since") else OPEN_END
            enrolled = since if since <= self._as_of else OPEN_END
            own["account", row["account_id"]] = (min(self.app_day(row["created_at"]), enrolled), enrolled)
        for row in self._enrolments:
            own.setdefault(("card", row["card_no"]), (row["day"], row["day"]))
        return own

    def _joined(self, links: Iterable[Row]) -> dict[Id, set[Id]]:
        """Each id with all ids that links join it with, whatever way round."""
        person_of: dict[Id, set[Id]] = {id_: {id_} for id_ in self._own}
        for link in links:
            one = ("account", link["account_id"])
            for other in (("card", link.get("card_no")), ("account", link.get("survivor_account_id"))):
                if other[1]:
                    joined = person_of.get(one, {one}) | person_of.get(other, {other})
                    person_of |= dict.fromkeys(joined, joined)
        return person_of

    def _is_merged_away(self, id_: Id) -> bool:
        """An account that a merge ends; a card that only such accounts have."""
        if id_[0] == "account":
            return id_[1] in self._gone
        holders = {link["account_id"] for link in self._in_force if link.get("card_no") == id_[1]}
        return bool(holders) and holders <= self._gone

    def _known_by(self, person: set[Id]) -> Id | None:
        """The id by which a person is known: not merged away, a card rather than an account, enrolled first."""
        ranked = [
            (self._is_merged_away(id_), id_[0] == "account", self._own[id_][1], self._own[id_][0], id_[1], id_)
            for id_ in person
            if id_ in self._own
        ]
        return min(ranked)[-1] if ranked else None

    def member_of(self, id_: Id) -> str | None:
        """The member to whom an id belongs now."""
        name = self._known_by(self._person_of.get(id_, set()))
        return name[1] if name else None

    def _joined_on(self, id_: Id, name: Id) -> date:
        """The first day on which the links that began by then lead from the one to the other."""
        for day in sorted({link["begin"] for link in self._in_force}):
            together = self._joined(link for link in self._in_force if link["begin"] <= day)
            if name in together.get(id_, set()):
                return day
        raise AssertionError(f"{id_} and {name} are not joined")

    def members(self) -> list[Member]:
        """Members, and the memberships that ended in another one; in the order of their ids."""
        found = []
        for id_, dates in self._own.items():
            name = self._known_by(self._person_of[id_])
            if id_ == name:
                own = [self._own[other] for other in self._person_of[id_] if other in self._own]
                known, enrolled = (min(column) for column in zip(*own, strict=True))
                found.append(Member(id_[1], known, enrolled, self._store_of(id_)))
            elif name and self._was_a_member_by_itself(id_):
                found.append(Member(id_[1], *dates, self._store_of(id_), self._joined_on(id_, name)))
        return sorted(found, key=lambda member: member.member_id)

    def _was_a_member_by_itself(self, id_: Id) -> bool:
        """Cards are; an account that was merged is, if it had no card. Other accounts are a way to their member."""
        if id_[0] == "card":
            return True
        cards = [link["card_no"] for link in self._in_force if link["account_id"] == id_[1]]
        return self._is_merged_away(id_) and not any(("card", card) in self._own for card in cards)

    def _store_of(self, id_: Id) -> str:
        if id_[0] == "account":
            return "APP"
        return next(str(row["store_id"]) for row in self._enrolments if row["card_no"] == id_[1])

    # ------------------------------------------------------------------ whose it was on a day

    def whose(self, kind: str, value: str | None, day: date) -> str | None:
        """The member whose card, account, phone_token or openid_token it was on a day."""
        if not value:
            return None
        if kind in ("card", "account"):
            return self._whose_id((kind, value), day)
        return self._whose_token(kind, value, day)

    def holders(self, card_no: str) -> set[str]:
        """Every member whose the card was on some day."""
        links = [link for link in self._links if link.get("card_no") == card_no]
        days = {self._as_of, *(day for link in links for day in (link["begin"], link["end"]) if day <= self._as_of)}
        days |= {day - timedelta(days=1) for day in days}
        return {member for day in days if (member := self.whose("card", card_no, day))}

    def turns(self, id_: Id) -> list[date]:
        """The days, in order, from which on a card or an account may be another member's than on the day before."""
        kind, number = id_
        column = "card_no" if kind == "card" else "account_id"
        links = [link for link in self._links if link.get(column) == number]
        return sorted({day for link in links for day in (link["begin"], link["end"])})

    def _whose_id(self, id_: Id, day: date) -> str | None:
        kind, number = id_
        if kind == "card" and id_ in self._own:
            return self.member_of(id_)
        column, other_kind, other = ("card_no", "account", "account_id")
        if kind == "account":
            column, other_kind, other = ("account_id", "card", "card_no")
        that_day = [
            (link["begin"], pd.Timestamp(link["recorded_at"]), self.member_of((other_kind, link[other])), link)
            for link in self._links
            if link[column] == number
            and link.get("card_no")
            and not link.get("survivor_account_id")
            and link["begin"] <= day < link["end"]
            and self.member_of((other_kind, link[other]))
        ]
        if that_day:
            *_, member, link = max(that_day, key=lambda entry: entry[:3])
            if not link["in_force"]:
                return member
        return self.member_of(id_)

    def _whose_token(self, kind: str, token: str, day: date) -> str | None:
        """Go through what was seen, in order: the last one seen with it has it, until giving it up."""
        seen: list[tuple[date, Any, int, Id, bool]] = []
        for row in self._enrolments:
            if kind == "phone_token" and row.get("phone_token") == token:
                moment = pd.Timestamp(row["enrolled_at"])
                if moment.tzinfo is None:
                    moment = moment.tz_localize(self._stores[str(row["store_id"])]["timezone"])
                seen.append((row["day"], moment, 1, ("card", row["card_no"]), True))
        column = {"phone_token": "phone_token", "openid_token": "wechat_openid_token"}[kind]
        before: dict[str, bool] = {}
        for row in self._accounts:
            account, moment = row["account_id"], row["changed_at"]
            proved = kind != "phone_token" or row.get("phone_verified") is not False
            has = proved and row.get(column) == token
            if has != before.get(account, False):
                seen.append((self.app_day(moment), moment, int(has), ("account", account), has))
            before[account] = has
        holder: Id | None = None
        for on, _, _, id_, has in sorted(seen):
            if on <= min(day, self._as_of):
                if has:
                    holder = id_
                elif holder == id_:
                    holder = None
        return self.whose(*holder, day) if holder else None

    # ------------------------------------------------------------------ what follows for receipts and flags

    def named(self, receipts: pd.DataFrame) -> pd.DataFrame:
        """The receipts with their member's id for card number; empty where nobody is named."""
        members = [self._named(row) or "" for row in receipts.to_dict("records")]
        return receipts.assign(member_card_no=pd.Series(members, index=receipts.index, dtype=object))

    def _named(self, row: Row) -> str | None:
        day = pd.Timestamp(row["business_date"]).date()
        for kind, column in (
            ("card", "member_card_no"),
            ("account", "account_id"),
            ("phone_token", "member_phone_token"),
        ):
            value = row.get(column)
            member = None if value is None or pd.isna(value) else self.whose(kind, str(value), day)
            if member:
                return member
        key = ("store_id", "register_id", "business_date", "receipt_no")
        for claim in sorted(self._claims, key=lambda claim: (pd.Timestamp(claim["claimed_at"]), claim["account_id"])):
            on = local_day(claim["claimed_at"], self._stores.get(str(claim["store_id"])))
            if (
                all(str(claim[column]) == str(row[column]) for column in key)
                and (claim.get("receipt_type") or "sale") == row["receipt_type"]
                and 0 <= (on - day).days <= CLAIM_DAYS
                and on <= self._as_of
            ):
                member = self.whose("account", claim["account_id"], on)
                if member:
                    return member
        return None

    def without_tests(self, receipts: pd.DataFrame, member_status: pd.DataFrame) -> pd.DataFrame:
        """Named receipts without those of whoever was marked ``test`` on their day: as if they had never been."""
        marks = [said for said in self.said(member_status) if said.flag == "test"]

        def is_test(row: Row) -> bool:
            day, ids = pd.Timestamp(row["business_date"]).date(), set()
            for said in marks:
                if said.member_id == row["member_card_no"] and said.day <= day:
                    (ids.add if said.is_set else ids.discard)(said.of)
            return bool(ids) and row["receipt_type"] != "void"

        return receipts[[not is_test(row) for row in receipts.to_dict("records")]].reset_index(drop=True)

    def said(self, member_status: pd.DataFrame) -> list[Said]:
        """What was said of members, in order: by the id they are known by, and if it is not "closed", by any id."""
        found: list[tuple[date, Any, Id, str, bool]] = []
        first_store = {row["card_no"]: str(row["store_id"]) for row in reversed(self._enrolments)}
        for row in member_status.to_dict("records"):
            card, status = str(row["card_no"]), row["status"]
            if card in first_store:
                day = local_day(row["at"], self._stores.get(first_store[card]))
                flag = {"reopened": "closed", "unblocked": "blocked", "not_staff": "staff"}.get(status, status)
                found.append((day, pd.Timestamp(row["at"]), ("card", card), flag, status in FLAGS))
        for row in self._accounts:
            moment = row.get("status_at") or row["updated_at"]
            for flag in FLAGS:
                found.append(
                    (
                        self.app_day(moment),
                        row["changed_at"],
                        ("account", row["account_id"]),
                        flag,
                        row.get("status") == flag,
                    )
                )
        said = []
        for day, _, id_, flag, is_set in sorted(found, key=lambda entry: (entry[0], entry[2], entry[1])):
            name = self._known_by(self._person_of.get(id_, set()))
            if name is None or day > self._as_of:
                continue
            if id_ != name and self._is_merged_away(id_):
                said.append(Said(day, id_[1], id_, flag, is_set))
            elif id_ == name or flag != "closed":
                said.append(Said(day, name[1], id_, flag, is_set))
        return said
