"""Writes docs/evidence/member-value-DATE.md and its chart: CDNOW, and how long a million members take.

python -m tests.value --date 2026-11-23
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pandas as pd
from tests.value import cdnow
from tests.value.simulation import simulate

from memberhouse.reports import charts
from memberhouse.settings import PROJECT_ROOT
from memberhouse.value.model import Model, calibrate, fit_model, score

_SIZE = charts.Size("page", 620, 300, 0)
_KNOWN = {"r": 0.8, "alpha": 6.0, "a": 0.9, "b": 2.5, "p": 6.0, "q": 4.0, "v": 90.0}
_SIMULATED = 1_000_000
_CALIBRATION = (
    "Repeat purchase days before",
    "Members",
    "Predicted",
    "Actual",
    "Predicted amount",
    "Actual amount",
    "Missed by",
)


def timed(what: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    return what(), time.perf_counter() - begun


def parameters(model: Model) -> dict[str, float]:
    purchases, amounts = model.purchases, model.amounts
    return {name: getattr(purchases, name) for name in ("r", "alpha", "a", "b")} | {
        name: getattr(amounts, name) for name in ("p", "q", "v")
    }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def page(on: date, chart: str) -> str:
    model = fit_model(cdnow.histories())
    found = parameters(model) | {"log_likelihood": model.purchases.log_likelihood}
    published = [(name, f"{value:,}", f"{found[name]:,.4f}") for name, value in cdnow.PUBLISHED.items()]
    told = calibrate(cdnow.histories(), cdnow.END - cdnow.CUT)
    predicted, actual = ((told[f"{which}_days"] * told["members"]).sum() for which in ("predicted", "actual"))
    known = simulate(_SIMULATED, seed=1, whole_days=True)
    large, fit_seconds = timed(lambda: fit_model(known))
    _, score_seconds = timed(lambda: score(large, known, 365))
    distinct = len(known.groupby(["repeat_days", "recency_days", "age_days"]).size())
    recovered = [(name, f"{value:g}", f"{parameters(large)[name]:.4f}") for name, value in _KNOWN.items()]
    return f"""# Member value against known data, {on}

`python -m tests.value --date {on}`: the product's own fit, on data of which more is known than anybody's warehouse can
tell. What the models are: [decisions](../decisions.md#member-value-is-two-models-on-scipy).

## CDNOW

The public sample of {model.members:,} who first bought in the first quarter of 1997; {model.repeaters:,} of them bought
again by 1997-09-30 (week 39). The published estimates are those of Fader, Hardie and Lee (2005).

{table(["Parameter", "Published", "Found"], published)}

Weeks 40 to 78 were held out: {predicted:,.0f} purchase days were predicted, {actual:,.0f} came, which is
{actual / predicted - 1:+.0%}.

![Predicted and actual purchase days by repeat purchase days]({chart})

{table(_CALIBRATION, _rows(told))}

Means of a member; amounts in US dollars; the last row is that many or more; missed by: in the mean, up or down.

## Simulated members

{_SIMULATED:,} members by known parameters over 78 weeks, {distinct:,} different histories. Their purchases happen at
any moment and are told by the day, as in a warehouse.

{table(["Parameter", "Known", "Found"], recovered)}

Fitting both models took {fit_seconds:.0f} s, scoring every member {score_seconds:.1f} s, on one core.
"""


def _rows(told: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (
            f"{row.repeat_days}",
            f"{row.members:,}",
            f"{row.predicted_days:.2f}",
            f"{row.actual_days:.2f}",
            f"{row.predicted_amount:.2f}",
            f"{row.actual_amount:.2f}",
            f"{row.missed_amount:.2f}",
        )
        for row in told.itertuples()
    ]


def chart() -> str:
    told = calibrate(cdnow.histories(), cdnow.END - cdnow.CUT)
    groups = list(zip(told["repeat_days"], told["predicted_days"], told["actual_days"], strict=True))
    return charts.calibration(groups, _SIZE, "Predicted and actual purchase days of CDNOW's weeks 40 to 78")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--date", type=date.fromisoformat, required=True)
    on = parser.parse_args().date
    folder = PROJECT_ROOT / "docs" / "evidence"
    image = f"member-value-{on}.svg"
    (folder / image).write_text(chart(), encoding="utf-8")
    (folder / f"member-value-{on}.md").write_text(page(on, image), encoding="utf-8")


if __name__ == "__main__":
    main()
