"""What must hold before the group `operations` (the tools of stores and staff) is published.

Each expectation has a severity and a rationale: `critical` holds the release, `warning` is told and published.
"""

import great_expectations.expectations as gxe

GROUP = "operations"

SUITES = {
    "marts.stage_playbook": [
        gxe.ExpectColumnValuesToNotBeNull(
            column="action_zh",
            severity="critical",
            notes="Staff act by the playbook: a stage without a play leaves its members without a call.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="days_to_act",
            min_value=1,
            max_value=366,
            severity="critical",
            notes="A play without a date is done by nobody; one due in years is none.",
        ),
    ],
    "marts.member_wardrobe": [
        gxe.ExpectColumnValuesToBeBetween(
            column="units_kept",
            min_value=0,
            strict_min=True,
            severity="critical",
            notes="What was returned is not in the wardrobe: it would keep a product from being offered again.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="units_kept",
            max_value=10_000,
            severity="warning",
            notes="Ten thousand of one kind is a reseller's card, or a wrong quantity.",
        ),
    ],
    "marts.attach_pair": [
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="receipts_with_category",
            column_B="receipts_with_both",
            or_equal=True,
            severity="critical",
            notes="Receipts with both categories are among those with one: otherwise a confidence is above 1.",
        ),
    ],
    "marts.member_preference": [
        gxe.ExpectColumnValuesToBeBetween(
            column="top_category_share",
            min_value=0,
            max_value=1.000001,
            severity="critical",
            notes="A share above 1 is a spend that was counted twice.",
        ),
    ],
}
