"""Tokens: what stands for a personal value everywhere outside the vault.

A token is an HMAC-SHA256 cut to 128 bits, with the key's version in front. Without the key it cannot be
found by trying all numbers, which a plain hash of a phone number can. The token of a phone, an e-mail
address or an open id is the same wherever the value stands, so rows can be joined by it. The token of a
name or a birthday counts for its subject alone: it says that there is a value and whether it changed, and
equal birthdays of two people cannot be told to be equal.
"""

from __future__ import annotations

import hmac
import re

from memberhouse.sources.contract import Personal

IDENTIFIERS = ("phone", "email", "openid")
_DIGITS_OF_A_TOKEN = 32
_NOT_IN_A_PHONE = re.compile(r"[\s().\-\u2010-\u2015]+")
_MAINLAND = re.compile(r"^(?:\+|00)?86(?=1[3-9]\d{9}$)")


class Tokens:
    """Makes tokens with one version of the key."""

    def __init__(self, key: bytes, version: int) -> None:
        self._key = key
        self._prefix = f"{version}-"
        self.version = version

    def token(self, what: Personal, value: str, subject: str) -> str:
        """The token of a plain value. subject: whose it is (a card, an account), for what is no identifier."""
        message = f"{what}\0{value}" if what in IDENTIFIERS else f"{what}\0{subject}\0{value}"
        digest = hmac.digest(self._key, message.encode(errors="surrogatepass"), "sha256")
        return self._prefix + digest.hex()[:_DIGITS_OF_A_TOKEN]

    def fingerprint(self) -> str:
        """What tells one key from another and says nothing of it."""
        return hmac.digest(self._key, b"memberhouse fingerprint", "sha256").hex()


def plain(what: Personal, value: str) -> str:
    """The value as it is kept and compared: without what people write in many ways."""
    value = value.strip()
    if what == "phone":
        return _MAINLAND.sub("", _NOT_IN_A_PHONE.sub("", value))
    return value.casefold() if what == "email" else value
