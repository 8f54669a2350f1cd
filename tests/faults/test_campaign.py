"""Crashes lose nothing and leave nothing half done: a fault in the night, then the night again."""

from __future__ import annotations

import pytest
from tests.faults.campaign import Night
from tests.faults.plans import ANY, POSTGRES, SESSIONS, SITES, WORKER, Fault, Plan, plan_of
from tests.faults.torture import EVIDENCE, Log, sitting

LONG_CAMPAIGN = range(1, 301)

# Each site and each kind once; what is drawn at random is for the long campaign.
SHORT_CAMPAIGN = [
    Plan(None, (Fault("mid-landing", 4, WORKER),), through=False),
    Plan(None, (Fault("after-landing", 1, POSTGRES),), through=False),
    Plan(None, (Fault("loading", 1, SESSIONS, 20),), through=False),
    Plan(None, (Fault("mid-copy", 2, WORKER),), through=False),
    Plan(None, (Fault("mid-copy", 3, SESSIONS),), through=False),
    Plan(None, (Fault("before-manifest-commit", 2, POSTGRES),), through=False),
    Plan(None, (Fault("after-manifest-commit", 3, WORKER),), through=False),
    Plan(None, (Fault("after-load", 1, WORKER),), through=False),
    Plan(None, (Fault("building", 1, WORKER, 700), Fault("before-build-commit", 1, POSTGRES))),
    Plan(None, (Fault("node-start", 25, SESSIONS), Fault("in-node", 40, WORKER, 40))),
    Plan(None, (Fault("node-finish", 30, POSTGRES),)),
    Plan(None, (Fault("after-build", 1, SESSIONS),), whole=True),
    Plan(None, (Fault("mid-check", 8, WORKER), Fault("mid-check", 12, POSTGRES))),
    Plan(None, (Fault("before-verdict-commit", 1, SESSIONS), Fault("after-verdict-commit", 1, WORKER))),
    Plan(None, (Fault("after-gate", 1, WORKER), Fault("before-pointer", 1, POSTGRES))),
    Plan(None, (Fault("pointer-not-committed", 1, WORKER), Fault("pointer-not-committed", 1, SESSIONS))),
    Plan(None, (Fault("pointer-committed", 1, POSTGRES),)),
    Plan(None, (Fault("pointer-committed", 1, WORKER),)),
]


def test_a_seed_always_stands_for_the_same_plan() -> None:
    assert [plan_of(seed) for seed in LONG_CAMPAIGN] == [plan_of(seed) for seed in LONG_CAMPAIGN]
    # also tomorrow and on another machine
    assert str(plan_of(14)) == "end sessions at mid-check 11 (memberhouse run)"
    assert str(plan_of(37)) == "end sessions at loading 1 + 47 ms (step by step, up to the load)"


def test_the_campaigns_miss_no_site_and_no_kind() -> None:
    short = {(fault.site, fault.kind) for plan in SHORT_CAMPAIGN for fault in plan.faults}
    assert {site for site, _ in short} == set(SITES)
    for phase in ("load", "build", "gate", "publish"):
        assert {kind for site, kind in short if SITES[site].phase == phase} == set(ANY)
    long = {(fault.site, fault.kind) for seed in LONG_CAMPAIGN for fault in plan_of(seed).faults}
    assert {(site, kind) for site, what in SITES.items() for kind in what.kinds} <= long


@pytest.mark.services
def test_the_undisturbed_night_passes_every_site_as_often_as_a_plan_may_ask(the_night: Night) -> None:
    assert [name for name, site in SITES.items() if the_night.passed[name] < site.most] == []


@pytest.mark.services
@pytest.mark.parametrize("plan", SHORT_CAMPAIGN, ids=str)
def test_a_fault_loses_nothing_and_leaves_nothing_half_done(the_night: Night, plan: Plan) -> None:
    tried = the_night.try_plan(plan)
    print(tried)
    assert tried.held, tried


@pytest.mark.full
@pytest.mark.services
def test_three_hundred_faults(the_night: Night) -> None:
    """Goes on where a campaign on the same code was interrupted; the log is docs/evidence/faults-<date>.jsonl."""
    log = Log(EVIDENCE)
    for tried in sitting(the_night, log.left(LONG_CAMPAIGN)):
        print(tried, flush=True)
        log.add(tried)
    log.summarise()
    assert log.left(LONG_CAMPAIGN) == []
    assert [record for record in log.records() if record["outcome"] != "held"] == []
