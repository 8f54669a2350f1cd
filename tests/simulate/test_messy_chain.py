"""A messy chain: every planted fault comes to what the ledger says, nothing else is put aside, and in the
end the warehouse holds what the clean files hold."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.conservation import assert_conserved

from memberhouse import db
from memberhouse.landing import find_batches
from memberhouse.load import load_landed
from memberhouse.local import postgres
from memberhouse.settings import PROJECT_ROOT, Settings
from memberhouse.simulate.chain import write_chain
from memberhouse.sources.feeds import FEEDS

BATCH = ["source", "feed", "business_date", "store_id", "batch"]
UNKNOWN_FOR_A_WHILE = "unknown_store_for_a_while"
KINDS = {"quarantined": 26, "refused": 18}


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 members over 60 days: large enough for every fault."""
    folder = tmp_path_factory.mktemp("messy") / "landing"
    write_chain(folder, members=1500, days=60, seed=11, messy=True)
    return folder


@pytest.fixture(scope="module")
def ledger(messy: Path) -> pd.DataFrame:
    return pd.read_csv(messy / "truth" / "ledger.csv", dtype={"line_no": "Int64", "key": str}, keep_default_na=False)


@pytest.fixture(scope="module")
def loaded(messy: Path, server_home: Path) -> Settings:
    """The messy chain, loaded twice: what was refused for unknown stores is tried again when they are
    known. Shared: read it only."""
    url = postgres.create_database(server_home, "messy_chain")
    settings = Settings(home=server_home, database_url=url, project_root=PROJECT_ROOT)
    load_landed(settings, messy)
    load_landed(settings, messy)
    return settings


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with db.connect(settings) as conn:
        return conn.execute(query.encode()).fetchall()


# ---------------------------------------------------------------- the files alone


def test_the_same_seed_plants_the_same_faults(messy: Path, tmp_path: Path) -> None:
    write_chain(tmp_path, members=1500, days=60, seed=11, messy=True)
    mine = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    theirs = {path.relative_to(messy): path.read_bytes() for path in messy.rglob("*") if path.is_file()}
    assert mine == theirs


def test_every_kind_of_fault_is_planted(ledger: pd.DataFrame) -> None:
    planted = ledger[ledger["kind"] != UNKNOWN_FOR_A_WHILE]
    quarantined = planted.loc[planted["outcome"].str.startswith("quarantined:"), "kind"]
    refused = planted.loc[planted["outcome"].str.startswith("refused:"), "kind"]
    assert (quarantined.nunique(), refused.nunique()) == (KINDS["quarantined"], KINDS["refused"])
    others = set(planted["kind"]) - set(quarantined) - set(refused)
    assert others == {
        "backdated", "byte_order_mark", "declared_gb18030",
        "declared_numbers",
        "parquet", "duplicate_row", "enrolled_by_one_staff", "extra_column",
        "gzip_of_two_members", "late_day", "late_store", "late_enrolments",
        "merged",
        "no_offset", "newline_and_formula_in_text", "overlap",
        "reordered_columns", "resent", "revised", "shared_card", "staff_phone", "unmerged",
    }  # fmt: skip
    assert UNKNOWN_FOR_A_WHILE in set(ledger["kind"])


def test_the_ledger_names_batches_that_are_there(ledger: pd.DataFrame, messy: Path) -> None:
    there = {
        (batch.source, batch.feed, batch.business_date.isoformat(), batch.store_id, batch.name)
        for batch in find_batches(messy)
    }
    assert set(ledger[BATCH].itertuples(index=False, name=None)) <= there


def test_late_batches_say_when_they_were_made(ledger: pd.DataFrame, messy: Path) -> None:
    late = ledger[ledger["kind"] == "late_day"]
    for row in late.itertuples():
        folder = messy / row.source / row.feed / row.business_date / row.store_id / row.batch
        assert json.loads((folder / "manifest.json").read_text())["produced_at"][:10] == row.delivered_on
    days = pd.to_datetime(late["delivered_on"]) - pd.to_datetime(late["business_date"])
    assert set(days.dt.days) == {3, 17, 40}


# ---------------------------------------------------------------- loaded


@pytest.mark.services
def test_every_planted_fault_comes_to_what_the_ledger_says(ledger: pd.DataFrame, loaded: Settings) -> None:
    assert_conserved(loaded)
    place = "batch.source, batch.feed, batch.business_date::text, batch.store_id, batch.batch_name"
    query = (
        f"select {place}, line_no, 'quarantined:' || reason_code, replayed_at is not null"
        " from quarantine.rejected_row join ops.batch using (batch_id)"
    )
    put_aside = Counter(tuple(row) for row in rows(loaded, query))
    expected = ledger[ledger["outcome"].str.startswith("quarantined:")]
    # the pop-up's rows were tried again when its store was known
    expected = expected.assign(replayed=expected["kind"] == UNKNOWN_FOR_A_WHILE)
    assert put_aside == Counter(expected[[*BATCH, "line_no", "outcome", "replayed"]].itertuples(index=False, name=None))
    assert expected["replayed"].any()

    states: dict[tuple[Any, ...], set[str]] = {}
    for *batch, state in rows(
        loaded, f"select {place}, state || coalesce(':' || refusal_code, '') from ops.batch as batch"
    ):
        states.setdefault(tuple(batch), set()).add(state)
    whole = ledger[(ledger["line_no"].isna()) & (ledger["file"] != "")]
    for row in whole.itertuples():
        batch = (row.source, row.feed, row.business_date, row.store_id, row.batch)
        assert row.outcome in states[batch], row
    refused = {batch for batch, seen in states.items() if any(state.startswith("refused") for state in seen)}
    told = whole.loc[whole["outcome"].str.startswith("refused:"), BATCH]
    assert refused == set(told.itertuples(index=False, name=None))


@pytest.mark.services
def test_planted_duplicates_are_counted_and_left_out(ledger: pd.DataFrame, loaded: Settings) -> None:
    planted = ledger[(ledger["outcome"] == "duplicate") & ledger["line_no"].notna()]
    expected = planted.groupby(BATCH).size()
    held = rows(
        loaded,
        "select source, feed, business_date::text, store_id, batch_name, rows_duplicate from ops.batch"
        " where state = 'loaded' and rows_duplicate > 0",
    )
    assert {tuple(row[:5]): row[5] for row in held} == {key: int(count) for key, count in expected.items()}


@pytest.mark.services
def test_in_the_end_the_warehouse_holds_what_is_true(messy: Path, loaded: Settings) -> None:
    feeds = pd.read_csv(messy / "truth" / "feeds.csv.gz")
    for source, feed, true_rows, true_amount in feeds[["source", "feed", "rows", "amount"]].itertuples(index=False):
        money = FEEDS[source, feed].money
        ((held, amount),) = rows(
            loaded,
            f"select count(*), {f'coalesce(sum({money}), 0)' if money else '0'} from raw.{source}__{feed} as fed"
            " join ops.batch on batch.batch_id = fed._batch_id and batch.state = 'loaded'",
        )
        assert held == true_rows, feed
        if money:
            assert float(amount) == pytest.approx(true_amount), feed
