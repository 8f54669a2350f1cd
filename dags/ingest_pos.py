"""Tills and head office: landed batches into `raw`

**Purpose.** Load every batch that the tills (`pos`) and head office (`reference`) have landed for the
business date or before and that is not loaded yet.

**Schedule.** Daily at 04:00 by head office's clock, for the day before: by then every store has closed and
delivered, and no change of the clocks falls on that hour. Days that were missed while it was switched off
are not run one by one, because one run loads whatever is missing.

**Inputs.** `<landing root>/pos` and `<landing root>/reference` (`MEMBERHOUSE_LANDING`; by default
`landing/` under `MEMBERHOUSE_HOME`). It can be a URL of object storage, such as `s3://bucket/landing`, reached by the
Airflow connection that `MEMBERHOUSE_LANDING_CONNECTION` names. Reference data comes first, because the rest refers to
it; the tills' batches are loaded in as many parts side by side as there are batches for.

**Outputs.** `raw`, `quarantine`, a row a batch in `ops.batch`; when all parts are loaded, the day counts as delivered
(a row in `ops.step`), and the asset `raw_pos` has `as_of`, the business date.

**Triage.** The task's log ends with one sentence: batches and rows loaded, quarantined, refused. A refused
batch has its reason in `ops.batch` and raised an alert; have it delivered again, then run the DAG again.
See docs/runbook.md.

**Rerun safety.** Safe at any time, twice at once too: a batch that is loaded is left alone.
"""

from airflow.sdk import dag, task

from _shared import (
    DAILY,
    END,
    RAW_POS,
    START,
    TASK_DEFAULTS,
    business_date,
    load_landed_until,
    parts_to_load_until,
    record_delivery_until,
)


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
    @task
    def load_reference(data_interval_start=None) -> str:
        return load_landed_until(business_date(data_interval_start), sources=("reference",))

    @task
    def find(data_interval_start=None) -> list[tuple[int, int]]:
        return parts_to_load_until(business_date(data_interval_start), sources=("pos",))

    @task(max_active_tis_per_dagrun=2)
    def load(part: tuple[int, int], data_interval_start=None) -> str:
        return load_landed_until(business_date(data_interval_start), sources=("pos",), part=tuple(part))

    @task(outlets=[RAW_POS])
    def deliver(data_interval_start=None, outlet_events=None) -> None:
        day = business_date(data_interval_start)
        record_delivery_until(day, sources=("pos",))
        outlet_events[RAW_POS].extra = {"as_of": day.isoformat()}

    parts = find()
    load_reference() >> parts
    load.expand(part=parts) >> deliver()


ingest_pos()
