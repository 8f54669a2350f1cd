"""App back end: what changed there into landed batches, and landed batches into `raw`

**Purpose.** Extract what changed in the app's back end since it was loaded last, a mapped task a resource
(accounts, coupons, events and what else it has, and the app's orders), and load every batch of the app that has
landed for the business date or before and that is not loaded yet. Where no back end is configured
(`MEMBERHOUSE_APP_URL`), nothing is extracted, and what others have landed is loaded.

**Schedule.** Daily at 04:00 by head office's clock, for the day before, together with `ingest_pos`: the
warehouse is built as of the day that both have delivered. Days that were missed while it was switched off are not
run one by one, because one run extracts and loads whatever is missing.

**Inputs.** The REST API at `MEMBERHOUSE_APP_URL`, at most two resources at a time (the pool `app_backend`);
`<landing root>/app` (`MEMBERHOUSE_LANDING`; by default `landing/` under `MEMBERHOUSE_HOME`). See docs/app-back-end.md.

**Outputs.** Landed batches; `raw`, `quarantine`, a row a batch in `ops.batch`, from which `ops.app_watermark` follows;
the asset `raw_app` with `as_of`, the business date.

**Triage.** `extract` failed: the error names the resource and the runbook's heading. Nothing of that resource was
landed; clear the task, or leave it to the next run, which begins where this one did. What the other resources landed
is loaded then, too: a day is published when all of it is there. `load`: the log ends with one sentence: batches and
rows loaded, quarantined, refused. A refused batch has its reason in `ops.batch` and raised an alert; the watermark
stays, and the next extraction brings its rows again. See docs/runbook.md.

**Rerun safety.** Safe at any time, twice at once too: what is extracted again is a declared duplicate, and a batch
that is loaded is left alone. A resource that is being extracted already is tried again a little later, twice; clear the
task if that was too early.
"""

from datetime import timedelta

from airflow.sdk import TriggerRule, dag, task

from _shared import (
    APP_RESOURCES,
    DAILY,
    END,
    RAW_APP,
    START,
    TASK_DEFAULTS,
    business_date,
    extract_from_app,
    load_app_until,
)


@dag(
    schedule=DAILY,
    start_date=START,
    end_date=END,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["ingest", "app"],
)
def ingest_app():
    @task(
        pool="app_backend", execution_timeout=timedelta(hours=3), map_index_template="{{ task.op_kwargs['resource'] }}"
    )
    def extract(resource: str, data_interval_start=None) -> str:
        return extract_from_app(resource, business_date(data_interval_start))

    @task(outlets=[RAW_APP], trigger_rule=TriggerRule.NONE_FAILED)
    def load(data_interval_start=None, outlet_events=None) -> str:
        day = business_date(data_interval_start)
        summary = load_app_until(day)
        outlet_events[RAW_APP].extra = {"as_of": day.isoformat()}
        return summary

    extract.expand(resource=APP_RESOURCES) >> load()


ingest_app()
