"""Tills and head office: landed batches into `raw`

**Purpose.** Load every batch that the tills (`pos`) and head office (`reference`) have landed for the
business date or before and that is not loaded yet.

**Schedule.** Daily at 04:00 by head office's clock, for the day before: by then every store has closed and
delivered, and no change of the clocks falls on that hour. Days that were missed while it was switched off
are not run one by one, because one run loads whatever is missing.

**Inputs.** `<landing root>/pos` and `<landing root>/reference` (`MEMBERHOUSE_LANDING`; by default
`landing/` under `MEMBERHOUSE_HOME`).

**Outputs.** `raw`, `quarantine`, a row a batch in `ops.batch`; the asset `raw_pos` with `as_of`, the
business date.

**Triage.** The task's log ends with one sentence: batches and rows loaded, quarantined, refused. A refused
batch has its reason in `ops.batch` and raised an alert; have it delivered again, then run the DAG again.
See docs/runbook.md.

**Rerun safety.** Safe at any time, twice at once too: a batch that is loaded is left alone.
"""

from airflow.sdk import dag, task

from _shared import DAILY, END, RAW_POS, START, TASK_DEFAULTS, business_date, load_landed_until


@dag(
    schedule=DAILY,
    start_date=START,
    end_date=END,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["ingest", "pos"],
)
def ingest_pos():
    @task(outlets=[RAW_POS])
    def load(data_interval_start=None, outlet_events=None) -> str:
        day = business_date(data_interval_start)
        summary = load_landed_until(day, sources=("pos", "reference"))
        outlet_events[RAW_POS].extra = {"as_of": day.isoformat()}
        return summary

    load()


ingest_pos()
