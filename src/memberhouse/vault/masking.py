"""Personal data where nobody declared any: in notes, in columns that the contract does not know, in reasons.

A guard, not a promise: names in free text can't be told from other words.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MASK = "(withheld)"
_SMALL = 10**9  # a number up to it is no phone number

# Each alternative begins at a boundary and has an end, so a text of any length is read once.
_PERSONAL_TEXT = re.compile(
    r"(?<![\d.])(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"  # a mobile number of mainland China
    r"|(?<!\d)\+\d[\d -]{7,17}\d(?!\d)"  # an international number
    r"|(?<!\d)\d{17}[\dXx](?!\d)"  # an identity card
    r"|(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
)
_PERSONAL_NAME = re.compile(
    r"phone|mobile|cellphone|^tel$|e_?mail|open_?id|union_?id|birth|^dob$|address|id_?card|passport"
    r"|^(?:[a-z_]*(?:full|first|last|given|family|member|customer|user|nick|real|contact|cashier|staff|clerk|person"
    r"|recipient|receiver|consignee|buyer|holder)_?)?name$"
    r"|手机|电话|姓名|邮箱|生日|地址|身份证|微信|昵称|收货人|收件人|联系人"
)


@lru_cache(maxsize=10_000)
def sounds_personal(name: str) -> bool:
    """Whether a column or key that nobody declared sounds as if it held personal data."""
    return _PERSONAL_NAME.search(re.sub(r"[\W_]+", "_", name.casefold())) is not None


def mask(text: str) -> str:
    """The text without phone numbers, e-mail addresses and identity card numbers."""
    # the shortest that could be one is an address such as a@b.cn
    return _PERSONAL_TEXT.sub(MASK, text) if len(text) > 4 else text


def masked(value: Any) -> Any:
    """A JSON value without what looks or sounds personal, at any depth."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, int) and abs(value) > _SMALL:
        return MASK if mask(str(value)) != str(value) else value
    if isinstance(value, list):
        return [masked(each) for each in value]
    if isinstance(value, dict):
        return {mask(key): MASK if sounds_personal(key) and each else masked(each) for key, each in value.items()}
    return value
