"""What must hold before the group `core` (dimensions, facts, lifecycle, KPI) is published.

Each expectation has a severity and a rationale: `critical` holds the release, `warning` is told and published.
Rows and keys are the business of dbt tests; here it is asked whether the numbers are fit to be shown.
"""

import great_expectations.expectations as gxe

GROUP = "core"

SUITES = {
    "intermediate.int_audit__receipts": [
        gxe.ExpectColumnValuesToBeBetween(
            column="lines_gap_amount",
            min_value=-0.01,
            max_value=0.01,
            severity="critical",
            notes="A receipt is the sum of its lines; a gap means that one of the two was changed or lost on its way.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="line_arithmetic_gap_amount",
            max_value=0.05,
            severity="critical",
            notes="Units × unit price − discount is what a line charges, up to rounding of weighed goods.",
        ),
    ],
    "intermediate.int_audit__tenders": [
        gxe.ExpectColumnValuesToBeBetween(
            column="gap_amount",
            min_value=-0.01,
            max_value=0.01,
            severity="warning",
            notes="What was paid is what was sold. A till that rounds cash, or one lost tender, is told and published:"
            " sales are counted from receipts and lines, and no headline figure from tenders.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="day_gap_rate",
            max_value=0.05,
            severity="critical",
            notes="A twentieth of a day's money without its means of payment, or paid twice, is a file that is missing,"
            " doubled or in another unit of money: whatever is said of means of payment, points paid with among them,"
            " would be wrong.",
        ),
    ],
    "intermediate.int_audit__store_days": [
        gxe.ExpectColumnValuesToBeBetween(
            column="price_over_highest",
            max_value=10,
            severity="critical",
            notes="Half of a store's lines at over ten times the highest price of the same products elsewhere is"
            " a till that counts in another unit of money, not a price rise.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="price_over_lowest",
            min_value=0.02,
            severity="critical",
            notes="The same downwards; clearance goes far below the lowest earlier price, but not to a fiftieth.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="sales_ratio",
            max_value=20,
            severity="critical",
            notes="Twenty times a store's best same weekday of a quarter is no good day but a wrong amount.",
        ),
    ],
    "intermediate.int_audit__chain_days": [
        gxe.ExpectColumnValuesToBeBetween(
            column="sales_ratio",
            min_value=0.25,
            max_value=3,
            severity="critical",
            notes="A chain's day outside a quarter to three times its usual same weekday is missing or doubled data.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="sales_ratio",
            min_value=0.5,
            max_value=2,
            severity="warning",
            notes="Holidays reach this far; somebody should know why.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="receipts_ratio",
            min_value=0.25,
            max_value=3,
            severity="critical",
            notes="The same for the number of receipts: stores that were not heard of, or files sent twice.",
        ),
    ],
    "intermediate.int_audit__reconciliations": [
        gxe.ExpectColumnValuesToNotBeNull(
            column="gap",
            severity="critical",
            notes="A sum over nothing compares with nothing.",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="gap",
            min_value=0,
            max_value=0,
            severity="critical",
            notes="Two ways to the same number must meet, or one of the published tables is wrong.",
        ),
    ],
    "intermediate.int_audit__landing": [
        gxe.ExpectColumnValuesToBeInSet(
            column="is_open_refusal",
            value_set=[False],
            severity="critical",
            notes="A batch that was refused because too many of its rows are bad leaves a hole that a reader would"
            " take for a bad day of trade.",
        ),
    ],
    "marts.kpi_weekly": [
        gxe.ExpectColumnValuesToBeBetween(
            column=rate,
            min_value=0,
            max_value=1,
            severity="critical",
            notes="A share of members lies between none and all of them.",
        )
        for rate in ("churn_rate", "repurchase_rate", "activity_rate")
    ]
    + [
        gxe.ExpectColumnValuesToBeBetween(
            column="average_ticket_amount",
            min_value=0,
            severity="critical",
            notes="Receipts that qualify at sale are sales; their average can't be negative.",
        ),
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="valid_members",
            column_B="active_members",
            or_equal=True,
            severity="critical",
            notes="Active members are valid members.",
        ),
    ],
    "marts.member_stage_history": [
        gxe.ExpectColumnValuesToBeInSet(
            column="stage_code",
            value_set=["S01", "S02", "S03", "S04", "S05", "S06", "S07", "S08", "S09", "S10", "X"],
            severity="critical",
            notes="A stage that nobody has a name for can't be acted on.",
        ),
    ],
}
