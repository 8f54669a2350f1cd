"""Profiles, the slow way: what each member says of itself, and whether it may be written to or called.

Nothing here knows the warehouse's SQL. It goes through accounts, enrolment slips and consents one by one, looks at
whose each of them was, and answers for every member what is in force at the close of a day.

How to use it::

    profiles = Profiles(identity, accounts, consents)
    profiles.on(day)[member_id].filled, profiles.on(day)[member_id].is_contactable
    kpi(daily, facts, stores, kind, profiles=profiles.on)

``accounts`` and ``consents`` hold the rows in force of the landed feeds, as dictionaries, in the order in which they
were delivered (business date of the batch, batch, line); personal columns are called ``<name>_token``, as in the raw
tables. Which enrolments count, and who is who, ``identity`` knows. Days are ``datetime.date``; who is not in the
answer has said nothing.

Readings of the words, fixed here:

* a version of an account says everything anew: what it leaves empty is empty, though an older version had it;
* a moment without a zone is one of the app's clock; moments are held against each other as moments, so that 10:00+08:00
  and 02:00Z are the same one;
* a field is filled when any statement in force has it, whichever: the name may be an account's, the city a slip's;
* a number, an address and an openid are there when they are neither empty nor blank; one that is not said to be
  verified is not. An openid needs no proof;
* the consent and the number may be of two identifiers of a member. The number is there while the identifier is the
  member's; a consent stays with the member whose the identifier was on the consent's day, wherever that goes later;
* a consent that has both is of whose the card is and, if that is nobody's, of whose the account is;
* of a member's consents for a channel the last one by its moment counts, through whichever identifier it was given.
  Of those of one moment, told twice or through two identifiers, one that takes back is enough, whichever was
  delivered last;
* what a member that was merged into another had said is the survivor's, on earlier days, too, as with all else that
  is known by an identifier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from .identity import APP, Id, Identity, Row

FIELDS = ("name", "phone", "gender", "birthday", "city")
PURPOSE = "marketing"


@dataclass(frozen=True)
class Profile:
    """Which of the required fields of a member are filled, and whether it may be contacted."""

    filled: frozenset[str]
    is_contactable: bool


@dataclass(frozen=True)
class Statement:
    """What an account or a slip says from a day on: fields that it fills, channels for which it has an address."""

    since: date
    filled: frozenset[str]
    addresses: frozenset[str]


@dataclass(frozen=True)
class Consent:
    """A consent given or taken back."""

    day: date
    moment: pd.Timestamp
    is_granted: bool


def is_there(value: Any) -> bool:
    """Neither empty nor blank."""
    return value is not None and not pd.isna(value) and str(value).strip() != ""


def _moment(said: Any) -> pd.Timestamp:
    moment = pd.Timestamp(said)
    return moment.tz_localize(APP["timezone"]) if moment.tzinfo is None else moment


def _said_by_anybody(row: Row) -> set[str]:
    """The fields, but for the phone, that a row of an account or a slip fills."""
    columns = {"name": "name_token", "gender": "gender", "birthday": "birthday_token", "city": "city"}
    return {name for name, column in columns.items() if is_there(row.get(column))}


def of_account(row: Row, since: date) -> Statement:
    """What a version of an account says."""
    filled, addresses = _said_by_anybody(row), set()
    if is_there(row.get("phone_token")) and row.get("phone_verified") is True:
        filled.add("phone")
        addresses |= {"sms", "call"}
    if is_there(row.get("email_token")) and row.get("email_verified") is True:
        addresses.add("email")
    if is_there(row.get("wechat_openid_token")):
        addresses.add("wechat")
    return Statement(since, frozenset(filled), frozenset(addresses))


def of_slip(row: Row, since: date) -> Statement:
    """What an enrolment slip says: nobody has verified its phone."""
    return Statement(since, frozenset(_said_by_anybody(row)), frozenset())


def has_consented(consents: Iterable[Consent], day: date) -> bool:
    """Whether a member's last consent for a channel by the close of a day was given; none means no."""
    known = [consent for consent in consents if consent.day <= day]
    if not known:
        return False
    last = max(consent.moment for consent in known)
    return all(consent.is_granted for consent in known if consent.moment == last)


class Profiles:
    """The profile of every member at the close of any day."""

    def __init__(self, identity: Identity, accounts: Iterable[Row], consents: Iterable[Row]) -> None:
        self._identity = identity
        self._statements: dict[Id, list[Statement]] = defaultdict(list)  # of one day, the one that counts is the last
        # sorted() leaves those of one moment in the order in which they were delivered
        for row in sorted(accounts, key=lambda row: _moment(row["updated_at"])):
            since = identity.app_day(row["updated_at"])
            self._statements["account", row["account_id"]].append(of_account(row, since))
        for row in identity.enrolments():
            self._statements["card", row["card_no"]].append(of_slip(row, row["day"]))
        self._holders = {id_: self._holders_of(id_) for id_ in self._statements}

        self._consents: dict[str, dict[str, list[Consent]]] = defaultdict(lambda: defaultdict(list))
        for row in consents:
            day = identity.app_day(row["at"])
            member = self._who_consents(row, day)
            if row["purpose"] == PURPOSE and member:
                consent = Consent(day, _moment(row["at"]), row["granted"])
                self._consents[member][row["channel"]].append(consent)

    def _holders_of(self, id_: Id) -> list[tuple[date, str | None]]:
        """(day, the member whose the id is from then on), in order."""
        return [(day, self._identity.whose(*id_, day)) for day in (date.min, *self._identity.turns(id_))]

    def _who_consents(self, row: Row, day: date) -> str | None:
        card, account = row.get("card_no"), row.get("account_id")
        return self._identity.whose("card", card, day) or self._identity.whose("account", account, day)

    def _in_force(self, day: date) -> dict[str, list[Statement]]:
        """By member, the statements of the identifiers that are the member's on a day."""
        found: dict[str, list[Statement]] = defaultdict(list)
        for id_, statements in self._statements.items():
            by_then = [statement for statement in statements if statement.since <= day]
            member = [holder for since, holder in self._holders[id_] if since <= day][-1]
            if by_then and member:
                found[member].append(by_then[-1])
        return found

    def on(self, day: date) -> dict[str, Profile]:
        """The profiles at the close of a day, by member; of members who have made no statement there is none."""
        found = {}
        for member, statements in self._in_force(day).items():
            filled = {name for statement in statements for name in statement.filled}
            addresses = {channel for statement in statements for channel in statement.addresses}
            of_member = self._consents.get(member, {})
            is_contactable = any(has_consented(of_member.get(channel, ()), day) for channel in addresses)
            found[member] = Profile(frozenset(filled), is_contactable)
        return found
