"""Doing it again changes nothing: the same batches, the same build, and every row computed anew."""

from __future__ import annotations

import pytest
from tests.conftest import EVE
from tests.shop import Shop

from memberhouse import db, gate, release
from memberhouse import warehouse as building
from memberhouse.load import load_landed
from memberhouse.settings import Settings

pytestmark = pytest.mark.services


def test_the_same_batches_and_the_same_build_change_nothing(sample_until_the_eve: Settings, sample_landing):
    settings = sample_until_the_eve
    before = _content(settings)
    rows_before = _raw_rows(settings)
    for _ in range(3):
        report = load_landed(settings, sample_landing, until=EVE)
        assert (report.rows_loaded, len(report.refused)) == (0, 0)
    assert _raw_rows(settings) == rows_before

    for full_refresh in (False, True):
        release_id = building.build(settings, EVE, full_refresh=full_refresh)
        for verdict in gate.evaluate(settings):
            assert verdict.verdict == "passed", verdict.reason
        release.publish(settings)
        assert _content(settings) == before
        assert _written_by(settings, release_id) == {}


def test_the_thresholds_that_a_published_release_used_are_frozen(published_sample: Settings):
    with db.connect(published_sample) as conn:
        used = conn.execute(
            "select quarter_start, loyal_threshold_amount from bi.loyal_threshold order by 1"
        ).fetchall()
        frozen = conn.execute(
            "select quarter_start, loyal_threshold_amount from release.frozen_loyal_threshold order by 1"
        ).fetchall()
    assert len(used) == 4
    assert used[0][1] is None
    assert all(amount > 0 for _, amount in used[1:])
    assert frozen == used


def _content(settings: Settings) -> dict[str, str]:
    with db.connect(settings) as conn:
        return release.content_hash(conn)


def _raw_rows(settings: Settings) -> list[tuple[int, int]]:
    with db.connect(settings) as conn:
        return conn.execute(
            "select (select count(*) from raw.pos__receipt_lines),"
            " (select count(*) from ops.batch where state = 'loaded')"
        ).fetchall()


def _written_by(settings: Settings, release_id: int) -> dict[str, int]:
    """How many rows the release opened or closed, a versioned table."""
    written = {}
    with db.connect(settings) as conn:
        for (table,) in conn.execute("select table_name from release.versioned_table").fetchall():
            (count,) = conn.execute(
                f'select count(*) from history."{table}" where %s in (_from_release, _to_release)', (release_id,)
            ).fetchone()
            if count:
                written[table] = count
    return written


@pytest.mark.parametrize("kept", [pytest.param(0, marks=pytest.mark.full), 0.5])
def test_a_parsed_project_that_was_cut_short_by_a_kill_is_parsed_again(shop: Shop, kept: float):
    shop.stock(("A", "bread", 3))
    shop.build()
    parsed = shop.settings.home / "dbt" / "target" / "partial_parse.msgpack"
    content = parsed.read_bytes()
    parsed.write_bytes(content[: int(len(content) * kept)])
    shop.publish()
    assert shop.read() == [("A", "bread", 3)]
