"""The simulated chain: what its files must hold, read back from the files alone."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from tests.conservation import assert_conserved

from memberhouse import db
from memberhouse.landing import find_batches
from memberhouse.load import load_landed
from memberhouse.settings import Settings
from memberhouse.simulate.chain import Plan, write_chain
from memberhouse.sources.feeds import FEEDS

MEMBERS, DAYS, SEED = 300, 60, 7
RECEIPT = ["store_id", "register_id", "business_date", "receipt_no", "receipt_type"]
TILL = ["store_id", "register_id", "business_date"]


class Landing:
    """A landed chain, its feeds as tables of text."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder, self.plan = folder, plan

    @cache  # noqa: B019  (as long as the tests of this module)
    def feed(self, source: str, name: str) -> pd.DataFrame:
        """All rows of a feed, in the order of dates."""
        files = [
            gzip.decompress(path.read_bytes()) for path in sorted((self.folder / source / name).glob("*/*/*/*.gz"))
        ]
        if source == "app":
            return pd.read_json(io.BytesIO(b"".join(files)), lines=True, dtype=False)
        header = files[0].partition(b"\n")[0] + b"\n"
        assert all(file.startswith(header) for file in files)
        whole = header + b"".join(file.removeprefix(header) for file in files)
        return pd.read_csv(io.BytesIO(whole), dtype=str, keep_default_na=False)

    def truth(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / "truth" / f"{name}.csv.gz", dtype={"member": str, "card_no": str})

    def totals(self) -> dict[str, float]:
        return dict(self.truth("totals").itertuples(index=False))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    """300 members over 60 days, the last seven a batch a store."""
    folder = tmp_path_factory.mktemp("chain") / "landing"
    return Landing(folder, write_chain(folder, members=MEMBERS, days=DAYS, seed=SEED))


@pytest.fixture(scope="module")
def year_of_trade(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    """1,500 members over 400 days: points expire, tiers end, campaigns have an audience."""
    folder = tmp_path_factory.mktemp("year") / "landing"
    return Landing(folder, write_chain(folder, members=1500, days=400, seed=SEED))


def cents(amounts: pd.Series) -> pd.Series:
    return (amounts.astype(float) * 100).round().astype("int64")


def content_of(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()


# ---------------------------------------------------------------- the landing as a whole


def test_the_same_arguments_give_the_same_bytes(chain: Landing, tmp_path: Path) -> None:
    write_chain(tmp_path, members=MEMBERS, days=DAYS, seed=SEED)
    assert list(content_of(tmp_path)) == list(content_of(chain.folder))


def test_another_seed_gives_another_chain(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_chain(tmp_path / str(seed), members=60, days=3, seed=seed)
    assert list(content_of(tmp_path / "1")) != list(content_of(tmp_path / "2"))


@pytest.mark.parametrize(("members", "days", "messy"), [(1, 1, False), (5, 20, True), (40, 120, True)])
def test_the_smallest_chains_are_written_too(members: int, days: int, messy: bool, tmp_path: Path) -> None:
    write_chain(tmp_path, members=members, days=days, seed=3, messy=messy)
    assert [batch for batch in find_batches(tmp_path) if batch.problem and not messy] == []
    assert Landing(tmp_path, Plan(members, days, 3)).totals()["members"] == members


def test_every_feed_of_the_contract_is_landed(year_of_trade: Landing) -> None:
    landed = {(batch.source, batch.feed) for batch in find_batches(year_of_trade.folder)}
    assert landed == set(FEEDS)


def test_every_manifest_is_sound_and_the_truth_is_no_batch(chain: Landing) -> None:
    batches = find_batches(chain.folder)
    assert [batch for batch in batches if batch.problem] == []
    assert {batch.source for batch in batches} == {"pos", "reference", "app"}
    for batch in batches:
        assert batch.manifest is not None
        for entry in batch.manifest.files:
            stored = (batch.folder / entry.name).read_bytes()
            assert (len(stored), hashlib.sha256(stored).hexdigest()) == (entry.bytes, entry.sha256)


def test_files_have_only_columns_of_the_contract(chain: Landing) -> None:
    for source, name in FEEDS:
        if (chain.folder / source / name).exists():
            columns = set(chain.feed(source, name).columns)
            assert columns <= {column.name for column in FEEDS[source, name].columns}, (source, name)


def test_the_last_week_comes_a_store_at_a_time(chain: Landing) -> None:
    first = chain.plan.until - timedelta(days=6)
    by_store = {batch.business_date for batch in find_batches(chain.folder) if batch.store_id != "all"}
    assert by_store == {first + timedelta(days=after) for after in range(7)}
    for_all = {batch.business_date for batch in find_batches(chain.folder) if batch.feed == "receipts"} - by_store
    assert max(for_all) == first - timedelta(days=1)


def test_a_store_that_is_shut_sends_headers(chain: Landing) -> None:
    shut = chain.plan.until - timedelta(days=2)
    sent = [batch for batch in find_batches(chain.folder) if (batch.business_date, batch.store_id) == (shut, "S001")]
    assert {batch.feed for batch in sent} == {"receipts", "receipt_lines", "tenders", "z_totals", "footfall"}
    assert [entry.rows for batch in sent if batch.manifest for entry in batch.manifest.files] == [0] * 5


# ---------------------------------------------------------------- money


def test_tenders_sum_to_their_receipt(year_of_trade: Landing) -> None:
    receipts, tenders = year_of_trade.feed("pos", "receipts"), year_of_trade.feed("pos", "tenders")
    paid = cents(tenders["amount"]).groupby([tenders[name] for name in RECEIPT]).sum()
    owed = cents(receipts["net_amount"]).groupby([receipts[name] for name in RECEIPT]).sum()
    assert len(receipts) == len(owed)
    pd.testing.assert_series_equal(paid, owed, check_names=False)


def test_lines_sum_to_their_receipt(year_of_trade: Landing) -> None:
    receipts, lines = year_of_trade.feed("pos", "receipts"), year_of_trade.feed("pos", "receipt_lines")
    for name in ("net_amount", "discount_amount"):
        of_lines = cents(lines[name]).groupby([lines[key] for key in RECEIPT]).sum()
        of_receipts = cents(receipts[name]).groupby([receipts[key] for key in RECEIPT]).sum()
        pd.testing.assert_series_equal(of_lines, of_receipts, check_names=False)
    product = lines["quantity"].astype("int64") * cents(lines["unit_price"]) - cents(lines["discount_amount"])
    assert (product == cents(lines["net_amount"])).all()


def test_goods_cost_less_than_they_sell_for(year_of_trade: Landing) -> None:
    goods = year_of_trade.feed("reference", "products")
    goods = goods[cents(goods["unit_cost"]) > 0]  # no bags and gifts
    share = cents(goods["unit_cost"]) / cents(goods["list_price"])
    assert 0.27 < share.min() < share.max() < 0.49


def test_closing_totals_are_those_of_the_receipts(year_of_trade: Landing) -> None:
    receipts, totals = year_of_trade.feed("pos", "receipts"), year_of_trade.feed("pos", "z_totals")
    key = ["store_id", "register_id", "business_date", "receipt_no"]
    voids = receipts.loc[receipts["receipt_type"] == "void", key]
    assert len(voids) > 0
    counted = receipts.merge(voids.assign(void=True), on=key, how="left")
    counted = counted[counted["void"].isna() & (counted["is_training"] == "false")]
    of_receipts = cents(counted["net_amount"]).groupby([counted[name] for name in TILL]).agg(["count", "sum"])
    stated = totals.set_index(TILL)
    stated = pd.DataFrame({"count": stated["receipts"].astype("int64"), "sum": cents(stated["net_amount"])})
    joined = stated.join(of_receipts.add_suffix("_seen")).fillna(0)
    assert len(joined) == len(stated) >= len(of_receipts)
    assert (joined["count"] == joined["count_seen"]).all()
    assert (joined["sum"] == joined["sum_seen"]).all()


def test_the_truth_is_what_the_files_hold(year_of_trade: Landing) -> None:
    totals, days = year_of_trade.totals(), year_of_trade.truth("store_days")
    z_totals, lines = year_of_trade.feed("pos", "z_totals"), year_of_trade.feed("pos", "receipt_lines")
    assert totals["z_net"] == pytest.approx(cents(z_totals["net_amount"]).sum() / 100)
    assert totals["receipts"] == z_totals["receipts"].astype(int).sum()
    of_store = cents(z_totals["net_amount"]).groupby([z_totals["business_date"], z_totals["store_id"]]).sum()
    told = cents(days["z_net"]).groupby([days["business_date"], days["store_id"]]).sum()
    both = pd.DataFrame({"told": told, "held": of_store}).fillna(0)
    assert (both["told"] == both["held"]).all()
    receipts = year_of_trade.feed("pos", "receipts")
    assert totals["voids"] == (receipts["receipt_type"] == "void").sum()
    feeds = year_of_trade.truth("feeds").set_index("feed")
    assert feeds.loc["receipt_lines", "rows"] == len(lines)
    assert feeds.loc["receipt_lines", "amount"] == pytest.approx(cents(lines["net_amount"]).sum() / 100)
    members = year_of_trade.truth("members")
    assert len(members) == totals["members"] == 1500
    assert members["purchase_days"].sum() == totals["purchase_days"]
    cards = year_of_trade.feed("pos", "enrolments")["card_no"]
    # a second card is one card more for a member who has one
    assert set(members.loc[members["has_card"], "card_no"]) <= set(cards)


def test_nobody_buys_after_dropping_out_and_who_buys_often_buys_more(year_of_trade: Landing) -> None:
    members, receipts = year_of_trade.truth("members"), year_of_trade.feed("pos", "receipts")
    sales = receipts[(receipts["receipt_type"] == "sale") & (receipts["member_card_no"] != "")]
    last = sales.groupby("member_card_no")["business_date"].max().rename("last")
    dropped = members.dropna(subset=["dropped_out_on"]).join(last, on="card_no", how="inner")
    assert len(dropped) > 100
    assert (dropped["last"] < dropped["dropped_out_on"]).all()
    whole_time = members[
        members["dropped_out_on"].isna() & (members["enrolled_on"] < str(year_of_trade.plan.first_day))
    ]
    expected = whole_time["rate"].sum() * year_of_trade.plan.days
    # days and campaigns multiply the rate by one and a little more, on average
    assert 1.0 < whole_time["purchase_days"].sum() / expected < 1.25
    assert whole_time["rate"].corr(whole_time["purchase_days"]) > 0.8


# ---------------------------------------------------------------- the programme


def test_no_lot_of_points_falls_below_zero(year_of_trade: Landing) -> None:
    entries = year_of_trade.feed("app", "points_entries")
    assert set(entries["type"]) == {"earn", "redeem", "expire", "adjust", "reverse"}
    assert entries["entry_id"].is_unique
    balance = entries["points"].groupby(entries["lot_id"]).cumsum()
    assert balance.min() == 0
    reversed_entries = entries.loc[entries["type"] == "reverse", "reversed_entry_id"]
    earned = entries.loc[entries["type"] == "earn"].set_index("entry_id")["points"]
    taken_back = entries.loc[entries["type"] == "reverse"].groupby("reversed_entry_id")["points"].sum()
    assert set(reversed_entries) <= set(earned.index)
    assert (earned.loc[taken_back.index] + taken_back >= 0).all()


def test_points_redeemed_are_points_paid_with(year_of_trade: Landing) -> None:
    entries, tenders = year_of_trade.feed("app", "points_entries"), year_of_trade.feed("pos", "tenders")
    redeemed = -entries.loc[entries["type"] == "redeem", "points"].sum()
    assert redeemed == cents(tenders.loc[tenders["tender_type"] == "points", "amount"]).sum() > 0


def test_tiers_move_a_step_at_a_time_down_and_as_far_as_the_spend_goes_up(year_of_trade: Landing) -> None:
    tiers = year_of_trade.feed("pos", "member_tiers")
    assert not tiers.duplicated(["card_no", "valid_from"]).any()
    level = tiers["tier"].map({"silver": 0, "gold": 1, "diamond": 2})
    before = level.groupby(tiers["card_no"]).shift()
    step, reason = level - before, tiers["reason"]
    assert set(reason) == {"enrolled", "opening", "upgrade", "kept", "downgrade", "returned"}
    assert before[reason.isin(["enrolled", "opening"])].isna().all()
    assert (step[reason == "upgrade"] > 0).all()
    assert (step[reason == "kept"] == 0).all()
    assert (step[reason == "downgrade"] == -1).all()
    assert (step[reason == "returned"] < 0).all()


def test_a_tenth_of_each_campaign_is_held_out_and_not_contacted(year_of_trade: Landing) -> None:
    assigned = year_of_trade.feed("app", "campaign_assignments")
    share = (assigned["arm"] == "hold_out").groupby(assigned["campaign_id"]).mean()
    assert share[assigned["campaign_id"].value_counts() >= 100].between(0.09, 0.11).all()
    assert (assigned["arm"] == "hold_out").mean() == pytest.approx(0.1, abs=0.005)
    contacts = year_of_trade.feed("app", "contacts").dropna(subset=["campaign_id"])
    contacted = set(zip(contacts["campaign_id"], contacts["member"].astype(str), strict=True))
    held = assigned[assigned["arm"] == "hold_out"]
    assert contacted.isdisjoint(zip(held["campaign_id"], held["member"].astype(str), strict=True))
    assert len(contacted) > 500


def test_states_of_a_contact_come_in_their_order(year_of_trade: Landing) -> None:
    states = year_of_trade.feed("app", "contact_states")
    at = pd.to_datetime(states["at"], utc=True)
    first = at.groupby([states["contact_id"], states["state"]]).min().unstack()
    for before, after in (
        ("selected", "sent"),
        ("sent", "delivered"),
        ("delivered", "read"),
        ("read", "replied"),
        ("replied", "accept"),
        ("accept", "appointed"),
        ("arrived", "purchased"),
    ):
        both = first[[before, after]].dropna()
        assert len(both) > 0
        assert (both[before] <= both[after]).all(), (before, after)


def test_ids_refer_to_something(year_of_trade: Landing) -> None:
    feed = year_of_trade.feed
    cards = set(feed("pos", "enrolments")["card_no"])
    accounts = set(feed("app", "accounts")["account_id"])
    stores = set(feed("reference", "stores")["store_id"]) | {"APP"}
    staff = set(feed("reference", "staff")["staff_id"])
    receipts, lines = feed("pos", "receipts"), feed("pos", "receipt_lines")
    entries, contacts, links = feed("app", "points_entries"), feed("app", "contacts"), feed("app", "identity_links")
    for ids, known in (
        (receipts["member_card_no"], cards),
        (receipts["account_id"], accounts),
        (receipts["store_id"], stores),
        (receipts["cashier_id"], staff),
        (lines["sku"], set(feed("reference", "products")["sku"])),
        (feed("pos", "member_tiers")["card_no"], cards),
        (feed("pos", "member_assignments")["service_store_id"], stores),
        (entries["card_no"], cards),
        (entries["account_id"], accounts),
        (contacts["member"].astype(str), cards | accounts),
        (contacts["campaign_id"], set(feed("app", "campaigns")["campaign_id"])),
        (contacts["template_id"], set(feed("app", "templates")["template_id"])),
        (feed("app", "contact_states")["contact_id"], set(contacts["contact_id"])),
        (links["account_id"], accounts),
        (links["card_no"], cards),
        (links["survivor_account_id"], accounts),
        (feed("app", "events")["name"], set(feed("reference", "event_catalogue")["name"])),
        (feed("app", "feedback")["member"].astype(str), cards | accounts),
    ):
        named = {each for each in ids.dropna() if each not in ("", "nan")}
        assert named
        assert named <= known, sorted(named - known)[:3]
    keys = set(receipts[RECEIPT].itertuples(index=False, name=None))
    returned = receipts[receipts["original_receipt_no"] != ""]
    originals = zip(
        returned["original_store_id"],
        returned["original_register_id"],
        returned["original_business_date"],
        returned["original_receipt_no"],
        ["sale"] * len(returned),
        strict=True,
    )
    known_originals = [key in keys for key in originals]
    assert known_originals
    assert all(known_originals)


def test_sales_after_midnight_belong_to_the_day_before(year_of_trade: Landing) -> None:
    receipts = year_of_trade.feed("pos", "receipts")
    local = receipts["sold_at"].str[:10]
    late = receipts[local != receipts["business_date"]]
    assert len(late) > 0
    assert (late["sold_at"].str[11:13] < "04").all()
    stores = year_of_trade.feed("reference", "stores").drop_duplicates("store_id", keep="last").set_index("store_id")
    assert set(stores.loc[late["store_id"], "day_cutoff"]) == {"04:00"}
    offsets = receipts.loc[receipts["store_id"].map(stores["timezone"]) == "Australia/Sydney", "sold_at"].str[-6:]
    assert set(offsets) == {"+10:00", "+11:00"}


# ---------------------------------------------------------------- loading it


@pytest.mark.services
def test_a_clean_chain_loads_without_a_row_put_aside(chain: Landing, warehouse: Settings) -> None:
    report = load_landed(warehouse, chain.folder)
    assert report.refused == []
    assert report.duplicates == []
    assert sum(result.rows_quarantined + result.rows_duplicate for result in report.loaded) == 0
    assert_conserved(warehouse)
    totals = chain.totals()
    with db.connect(warehouse) as conn:
        for source, feed, rows, amount in chain.truth("feeds")[["source", "feed", "rows", "amount"]].itertuples(
            index=False
        ):
            money = FEEDS[source, feed].money
            held = conn.execute(
                f"select count(*), {f'sum({money})' if money else '0'} from raw.{source}__{feed}".encode()
            ).fetchone()
            assert held is not None
            assert (held[0], float(held[1])) == (rows, pytest.approx(amount)), feed
        z_totals = conn.execute("select sum(receipts), sum(net_amount) from raw.pos__z_totals").fetchone()
    assert z_totals is not None
    assert (int(z_totals[0]), float(z_totals[1])) == (totals["receipts"], pytest.approx(totals["z_net"]))
