"""Tokens join what belongs to one person, and tell nobody else anything."""

from __future__ import annotations

import re

import pytest

from memberhouse.vault import Tokens
from memberhouse.vault.tokens import plain

TOKENS = Tokens(b"a key for tests only", 1)


def test_a_phone_has_one_token_whoever_has_it_and_however_it_is_written() -> None:
    written = ["13812345678", "138 1234 5678", "+86 138-1234-5678", "0086 13812345678", "86 13812345678"]
    assert {TOKENS.token("phone", plain("phone", phone), subject) for phone in written for subject in "AB"} == {
        TOKENS.token("phone", "13812345678", "A")
    }


def test_numbers_of_elsewhere_keep_their_country() -> None:
    assert plain("phone", "+44 20 7946 0958") == "+442079460958"
    assert plain("phone", "8613812345678901") == "8613812345678901"


def test_an_address_has_one_token_in_capitals_or_not() -> None:
    assert plain("email", " Li.Mei@Example.COM ") == "li.mei@example.com"
    assert plain("openid", "oX1-Ab") == "oX1-Ab"


@pytest.mark.parametrize("what", ["name", "birthday"])
def test_equal_names_and_birthdays_of_two_people_cannot_be_told_to_be_equal(what: str) -> None:
    assert TOKENS.token(what, "1990-03-02", "M1") != TOKENS.token(what, "1990-03-02", "M2")  # type: ignore[arg-type]
    assert TOKENS.token(what, "1990-03-02", "M1") == TOKENS.token(what, "1990-03-02", "M1")  # type: ignore[arg-type]


def test_a_token_names_the_keys_version_and_depends_on_the_key() -> None:
    token = TOKENS.token("phone", "13812345678", "")
    assert re.fullmatch(r"1-[0-9a-f]{32}", token)
    assert Tokens(b"another key for tests", 1).token("phone", "13812345678", "") != token
    assert Tokens(b"a key for tests only", 2).token("phone", "13812345678", "") == "2" + token[1:]


def test_a_phone_and_an_open_id_of_the_same_digits_differ() -> None:
    assert TOKENS.token("phone", "13812345678", "") != TOKENS.token("openid", "13812345678", "")
