"""What a night can come to: a day that the gate holds and its correction, a rollback and the build after it."""

from __future__ import annotations

import pytest
from tests.faults import evidence
from tests.faults.campaign import Night
from tests.faults.plans import ANY, NEW, OLD, WORKER, Fault
from tests.faults.world import LAST_DAY

from memberhouse import db, release
from memberhouse.cli import EXIT_HELD

pytestmark = pytest.mark.services

RUN = ["land", f"run LANDING --as-of {LAST_DAY}"]
BUILD = f"build --as-of {LAST_DAY}"


def seen(night: Night) -> str:
    return {str(night.old): OLD, str(night.new): NEW}[str(evidence.seen_by_readers(night.settings))]


def sql(night: Night, statement: str) -> list[tuple[object, ...]]:
    with db.connect(night.settings) as conn:
        return conn.execute(statement.encode()).fetchall()


def pointer(night: Night) -> tuple[object, ...]:
    """The release of all groups that is out, and whether it is pinned."""
    ((release_id, is_pinned),) = sql(night, "select distinct release_id, is_pinned from release.current")
    return release_id, is_pinned


def movements(night: Night) -> list[tuple[object, ...]]:
    """What was done with each group, which is the same."""
    rows = sql(night, "select group_name, action, release_id from release.publication order by publication_id")
    of_group = {group: [row[1:] for row in rows if row[0] == group] for group, *_ in rows}
    core = of_group.pop("core")
    assert len(of_group) == 2
    assert list(of_group.values()) == [core] * len(of_group)
    return core


@pytest.mark.parametrize("fault", [None, Fault("in-node", 45, WORKER, 20)], ids=str)
def test_a_held_scoped_build_leaves_no_trace_in_the_good_one_that_follows(the_night: Night, fault: Fault | None):
    the_night.begin("before_land")
    held = the_night.attempt(RUN, what="wrong_night", landing="held")
    assert held.code == EXIT_HELD, the_night.log()
    assert seen(the_night) == OLD
    assert len(sql(the_night, "select distinct business_date from intermediate.int_release__touched_store_days")) < 5
    assert sql(the_night, "select from history.fct_receipt_line where _from_release = 2") != []
    if fault:
        killed = the_night.attempt(RUN, what="corrected_night", landing="held", fault=fault)
        assert (killed.code, killed.reached) == (-9, [str(fault)])
        assert seen(the_night) == OLD
    good = the_night.attempt(RUN, what="corrected_night", landing="held")
    assert good.code == 0, the_night.log()
    assert seen(the_night) == NEW
    assert evidence.published(the_night.settings) == the_night.published
    with db.connect(the_night.settings) as conn:
        marts = release.content_hash(conn, "marts")
    # what readers are not shown has no view of theirs
    shown = marts.keys() & the_night.new.keys()
    assert {name: marts[name] for name in shown} == {name: the_night.new[name] for name in shown}
    assert len(shown) > 10
    assert evidence.broken_books(the_night.settings) == []
    assert evidence.half_done(the_night.settings) == []


def test_after_a_rollback_builds_go_on_and_wait_until_it_is_unpinned(the_night: Night):
    the_night.begin("before_publish")
    assert the_night.attempt(["publish", "rollback"]).code == 0, the_night.log()
    assert (seen(the_night), pointer(the_night)) == (OLD, (1, True))

    refused = the_night.attempt([BUILD, "gate", "publish"])
    assert (refused.code, refused.finished) == (1, 2)
    assert "pinned at release 1 by a rollback; release 3 passed and waits" in refused.output
    assert "memberhouse publish --unpin" in refused.output
    assert (seen(the_night), pointer(the_night)) == (OLD, (1, True))

    assert the_night.attempt(["publish --unpin"]).code == 0, the_night.log()
    assert (seen(the_night), pointer(the_night)) == (NEW, (3, False))
    assert movements(the_night) == [("publish", 1), ("publish", 2), ("rollback", 1), ("publish", 3)]
    # the release that was rolled back stays what it was, and the build after it wrote nothing anew
    assert evidence.seen_by_readers(the_night.settings, 1) == the_night.old
    assert evidence.seen_by_readers(the_night.settings, 2) == the_night.new
    history = {name: told for name, told in evidence.published(the_night.settings).items() if name != "publications"}
    assert history == {name: told for name, told in the_night.published.items() if name != "publications"}
    assert evidence.half_done(the_night.settings) == []


@pytest.mark.parametrize("kind", ANY)
@pytest.mark.parametrize(("site", "then"), [("pointer-not-committed", NEW), ("pointer-committed", OLD)])
def test_a_rollback_that_is_cut_short_is_done_or_not(the_night: Night, site: str, then: str, kind: str):
    the_night.begin("before_publish")
    assert the_night.attempt(["publish"]).code == 0, the_night.log()
    fault = Fault(site, 1, kind)
    cut_short = the_night.attempt(["rollback"], fault=fault)
    assert cut_short.reached == [str(fault)]
    if kind != WORKER and cut_short.code != 0:
        assert "What to do: " in cut_short.output
    the_night.restart_if_down()
    assert (seen(the_night), pointer(the_night)) == (then, {NEW: (2, False), OLD: (1, True)}[then])
    assert evidence.broken_books(the_night.settings) == []

    assert the_night.attempt(["rollback 1"]).code == 0, the_night.log()
    assert (seen(the_night), pointer(the_night)) == (OLD, (1, True))
    assert movements(the_night) == [("publish", 1), ("publish", 2), ("rollback", 1)]
    assert the_night.attempt(["publish --unpin"]).code == 0, the_night.log()
    assert (seen(the_night), pointer(the_night)) == (NEW, (2, False))
    assert evidence.half_done(the_night.settings) == []
