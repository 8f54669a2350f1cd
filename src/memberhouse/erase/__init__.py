"""Erasing a member: personal data and identity go from everywhere, the numbers stay."""

from memberhouse.erase.erasure import Erasure, NotAllErased, erase, finish
from memberhouse.erase.person import UnknownMember

__all__ = ["Erasure", "NotAllErased", "UnknownMember", "erase", "finish"]
