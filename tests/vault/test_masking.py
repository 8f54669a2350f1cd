"""What looks or sounds personal where nobody declared anything."""

from __future__ import annotations

import pytest

from memberhouse.vault import mask, masked, sounds_personal


@pytest.mark.parametrize(
    "personal",
    ["13812345678", "138 1234 5678", "138-1234-5678", "+86 13812345678", "+44 20 7946 0958", "li.mei@example.com"]
    + ["11010119900302123X"],
)
def test_numbers_and_addresses_go_and_the_rest_stays(personal: str) -> None:
    assert mask(f"call {personal}, size 38") == "call (withheld), size 38"


@pytest.mark.parametrize(
    "text",
    ["R20260302-0001", "1234.50", "12812345678", "138123456789", "1-0a1b2c", "2026-03-02T18:30:00+08:00", "a@b"],
)
def test_other_texts_stay(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize(
    "name", ["Phone No", "customer_name", "name", "E-Mail", "wechatOpenId", "手机号", "Birth Date"]
)
def test_names_that_sound_personal(name: str) -> None:
    assert sounds_personal(name)


@pytest.mark.parametrize("name", ["Shoe Size", "campaign_name", "hotel", "till_version", "x_tel_aviv"])
def test_names_that_do_not(name: str) -> None:
    assert not sounds_personal(name)


@pytest.mark.parametrize(
    "text", ["请致电13812345678。", "邮箱li.mei@example.com", "x13812345678y", "a" * 99 + " 13812345678"]
)
def test_no_space_is_needed_around_them(text: str) -> None:
    assert "(withheld)" in mask(text)
    assert not {"13812345678", "li.mei@"} & {part for part in ("13812345678", "li.mei@") if part in mask(text)}


@pytest.mark.parametrize("long", ["x" * 2_000_000, "1" * 2_000_000, "a.b" * 700_000, "+1 " * 700_000, "a@" * 1_000_000])
def test_a_long_text_is_read_once(long: str) -> None:
    """It took more than ten minutes when a run of letters was begun anew at each of them."""
    mask(long)


def test_json_is_masked_at_every_depth() -> None:
    assert masked(
        {
            "page": "shoes",
            "user": {"phone": 13812345678, "size": 38},
            "seen": ["13812345678", 7, None, True],
            "name": "",
        }
    ) == {
        "page": "shoes",
        "user": {"phone": "(withheld)", "size": 38},
        "seen": ["(withheld)", 7, None, True],
        "name": "",
    }
