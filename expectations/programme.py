"""What must hold before the group `programme` (tiers, points, coupons, flags) is published.

Each expectation has a severity and a rationale: `critical` holds the release, `warning` is told and published. A mart
that was never fed is empty, and every expectation on it holds; the gate sees to it that not all of the group is.
"""

from pathlib import Path

import great_expectations.expectations as gxe

GROUP = "programme"

_MODELS = Path(__file__).resolve().parents[1] / "dbt_project" / "models"

_SUITES = {
    "intermediate.int_audit__points": [
        gxe.ExpectColumnValuesToBeBetween(
            column="gap",
            min_value=0,
            max_value=0,
            severity="critical",
            notes="Points are owed to members: what is open, what was given and what was used must be one ledger.",
        ),
    ],
    "marts.tier_history": [
        gxe.ExpectColumnValuesToNotBeNull(
            column="tier",
            severity="critical",
            notes="A member in no tier gets no benefit, and is missing where tiers add up to all members.",
        ),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="valid_to",
            column_B="valid_from",
            severity="critical",
            notes="A period that ends before it begins is on no day, so its member has no tier then.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="spend_365_amount",
            max_value=1_000_000,
            severity="warning",
            notes="A member who spends a million in a year is a till's own card, or a wrong amount.",
        ),
    ],
    "marts.tier_mismatch": [
        gxe.ExpectColumnValuesToBeInSet(
            column="direction",
            value_set=["source_higher", "source_lower"],
            severity="critical",
            notes="Whoever mends a mismatch must know whether the member has too much or too little.",
        ),
    ],
    "marts.tier_migration_monthly": [
        gxe.ExpectColumnValuesToBeBetween(
            column="members",
            min_value=1,
            severity="critical",
            notes="A move that nobody made is no row, and nobody moves less than once.",
        ),
    ],
    "marts.member_value": [
        gxe.ExpectColumnValuesToBeBetween(
            column="p_alive",
            min_value=0,
            max_value=1,
            severity="critical",
            notes="A probability outside 0 to 1 is a fit that went astray; its other scores are worth as little.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="expected_purchases_12m",
            min_value=0,
            max_value=365,
            severity="critical",
            notes="Nobody buys on more days than the year has, and campaigns are cut by this number.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="expected_value_12m",
            min_value=0,
            max_value=1_000_000,
            severity="warning",
            notes="A member of whom a million is expected is a till's own card, or a wrong amount.",
        ),
    ],
}

# a model that the project does not have is nothing to judge; one that it has and that is missing holds the release
SUITES = {table: suite for table, suite in _SUITES.items() if any(_MODELS.rglob(f"{table.partition('.')[2]}.sql"))}
