"""App back end: landed batches into `raw`

**Purpose.** Load every batch of the app (campaigns, assignments, coupons and what else it delivers) that
has landed for the business date or before and that is not loaded yet.

**Schedule.** Daily at 04:00 by head office's clock, for the day before, together with `ingest_pos`: the
warehouse is built as of the day that both have delivered. Days that were missed while it was switched off are not
run one by one, because one run loads whatever is missing.

**Inputs.** `<landing root>/app` (`MEMBERHOUSE_LANDING`; by default `landing/` under `MEMBERHOUSE_HOME`).

**Outputs.** `raw`, `quarantine`, a row a batch in `ops.batch`; the asset `raw_app` with `as_of`, the
business date.

**Triage.** The task's log ends with one sentence: batches and rows loaded, quarantined, refused. A refused
batch has its reason in `ops.batch` and raised an alert; have it delivered again, then run the DAG again.
See docs/runbook.md.

**Rerun safety.** Safe at any time, twice at once too: a batch that is loaded is left alone.
"""

from airflow.sdk import dag, task

from _shared import DAILY, END, RAW_APP, START, TASK_DEFAULTS, business_date, load_landed_until


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
    @task(outlets=[RAW_APP])
    def load(data_interval_start=None, outlet_events=None) -> str:
        day = business_date(data_interval_start)
        summary = load_landed_until(day, sources=("app",))
        outlet_events[RAW_APP].extra = {"as_of": day.isoformat()}
        return summary

    load()


ingest_app()
