"""Warehouse: build a release, judge it, publish it

**Purpose.** Build the marts as of a business date as a candidate release (dbt), let the gate judge it
(Great Expectations), and point readers at it if it passed. Each consistency group (marts that are published together)
has a gate and a release of its own. What is wrong with the programme or the tools holds up nothing else; what is
wrong with the core's facts holds both of them too, which are made of them.

**Schedule.** Whenever `ingest_pos` or `ingest_app` has delivered. It builds as of the day up to which both have, so
half a day is never published; with nothing new by then it is skipped. By hand at any time, for the date given as
`as_of`.

**Inputs.** `raw`; the dbt project; the suites in `expectations/`.

**Outputs.** A release: `history` and `marts`, a verdict a group in `release.verdict`, the pointers behind `bi`; the
assets `bi_core`, `bi_programme` and `bi_operations` with `as_of`, of groups that were published.

**Triage.** A gate failed: the release is held for that group, its readers keep the last good one, and the task's error
is the reason; `bi.freshness` says the same. Correct the data, land it as a new revision, run the ingest again.
`build` failed: the error names the first model or test that failed. A gate or release skipped: another run built
a newer release meanwhile, which holds everything that this one did; or the group is held with the core, whose own gate
failed and tells why; or the project has no marts of that group. There is nothing to do for the skipped task itself. See
docs/runbook.md.

**Rerun safety.** Safe: a late ingest of an old day is built as of the date that is out or on its way, so it restates
that day and takes nobody back to it. A build begins by discarding what unpublished releases left, and publishing what
is published already changes nothing. One run at a time; a database lock keeps builds from the command line apart.
"""

from datetime import date

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowSkipException

from _shared import BI, RAW_APP, RAW_POS, TASK_DEFAULTS, delivered_with_news, judge_group, publish_group


@dag(
    schedule=RAW_POS | RAW_APP,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={"as_of": Param(None, type=["null", "string"], format="date", title="Business date to build for")},
    doc_md=__doc__,
    tags=["warehouse"],
)
def build_warehouse():
    @task
    def build(params=None) -> dict[str, str | int]:
        from memberhouse import warehouse
        from memberhouse.settings import Settings

        settings, asked = Settings.from_env(), params["as_of"]
        as_of = date.fromisoformat(asked) if asked else delivered_with_news(settings)
        release_id = warehouse.build(settings, as_of, or_later=not asked, progress=print)
        return {"as_of": warehouse.as_of_date(settings, release_id).isoformat(), "release_id": release_id}

    @task
    def gate(group: str, ti=None) -> str:
        built = ti.xcom_pull(task_ids="build")
        if built is None:
            raise AirflowSkipException("Nothing was built.")
        return judge_group(group, built["release_id"])

    @task
    def release(group: str, ti=None, outlet_events=None) -> None:
        built = ti.xcom_pull(task_ids="build")
        publish_group(group, built["release_id"])
        outlet_events[BI[group]].extra = built

    before, rule = build(), "all_success"
    for group, asset in BI.items():
        judged = gate.override(task_id=f"gate_{group}", trigger_rule=rule)(group)
        before >> judged >> release.override(task_id=f"release_{group}", outlets=[asset])(group)
        # a group is judged whatever became of the one before it, on which it may rest
        before, rule = judged, "all_done"


build_warehouse()
