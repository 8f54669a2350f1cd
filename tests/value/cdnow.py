"""The public CDNOW sample, by which these models are known: 2,357 members, 39 weeks to fit and 39 to compare.

Fader and Hardie publish what the models come to on it: the papers of 2005 and the notes on brucehardie.com.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

# 1997-09-30, and 39 weeks later 1998-06-30
CUT, END = 272, 545

# BG/NBD: "Counting Your Customers" the Easy Way, table 2; of gamma-gamma: the note of 2013, by repeat purchases only
PUBLISHED = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426, "log_likelihood": -9582.4}
PUBLISHED_AMOUNTS = {"p": 6.25, "q": 3.74, "v": 15.44}


def purchase_days() -> pd.DataFrame:
    """A row a member and purchase day: member, day (0: 1997-01-01), amount in US dollars."""
    return pd.read_csv(Path(__file__).with_name("cdnow_sample.csv"), comment="#")


def histories(until: int = CUT) -> pd.DataFrame:
    """The members' histories up to a day, as `memberhouse.value.model` takes them, and what came after."""
    days = purchase_days()
    before = days[days["day"] <= until].groupby("member")
    after = days[days["day"] > until].groupby("member")
    first, last = before["day"].min(), before["day"].max()
    return pd.DataFrame(
        {
            "repeat_days": before.size() - 1,
            "recency_days": last - first,
            "age_days": until - first,
            "average_amount": before["amount"].mean(),
            "holdout_days": after.size(),
            "holdout_amount": after["amount"].sum(),
        }
    ).fillna({"holdout_days": 0, "holdout_amount": 0.0})
