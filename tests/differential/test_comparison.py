"""What a mismatch is told with."""

from __future__ import annotations

from datetime import date

import pandas as pd
from tests.differential.comparison import differences
from tests.differential.histories import Row

DAY = date(2025, 5, 5)
LANDED = [
    (Row("pos", "enrolments", DAY, {"card_no": "f0001C0"}, "f0001"), "first batch"),
    (Row("pos", "enrolments", DAY, {"card_no": "f0002C0"}, "f0002"), "second batch"),
]


def table(**stages: str | None) -> pd.DataFrame:
    return pd.DataFrame({"member_id": list(stages), "stage_code": list(stages.values())})


def test_equal_tables_do_not_differ_in_whatever_order() -> None:
    one, other = table(f0001C0="S03", f0002C0=None), table(f0002C0=None, f0001C0="S03")
    assert list(differences("stages", one, other, ["member_id"])) == []


def test_a_mismatch_names_the_member_both_values_and_what_was_landed_of_its_family() -> None:
    (found,) = differences(
        "stages", table(f0001C0="S03", f0002C0="S04"), table(f0001C0="S03", f0002C0="S05"), ["member_id"]
    )
    assert found.told(LANDED).splitlines() == [
        "stages: 1 differ",
        "    {'member_id': 'f0002C0'}: {'stage_code': 'published S04, expected S05'}",
        "  member f0002C0; what was landed of its family f0002:",
        "    [second batch] pos/enrolments/2025-05-05: card_no=f0002C0",
    ]


def test_a_row_that_only_one_side_has_is_a_mismatch() -> None:
    (found,) = differences("stages", table(f0001C0="S03"), table(f0001C0="S03", f0002C0="S04"), ["member_id"])
    assert found.members == ["f0002C0"]
    assert "only the reference says" in found.rows[0]
    (found,) = differences("stages", table(f0001C0="S03", f0002C0="S04"), table(f0001C0="S03"), ["member_id"])
    assert "only published" in found.rows[0]


def test_nothing_published_is_a_mismatch_even_if_nothing_is_expected() -> None:
    (found,) = differences("stages", table(), table(), ["member_id"])
    assert found.what == "stages: nothing is published"
