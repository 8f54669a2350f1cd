"""Landing area: batches that were taken long ago leave it

**Purpose.** The landing area holds personal data as it came. What was taken more than a number of days ago
is removed, so that it lies there no longer than it is needed.

**Schedule.** Daily at 06:00 by head office's clock, when the daily loads are done.

**Inputs.** The landing root (`MEMBERHOUSE_LANDING`) and `ops.batch`; `MEMBERHOUSE_LANDING_KEEP_DAYS` (by default 90;
0 keeps everything).

**Outputs.** None: files are removed, and a row of `ops.step` says how many.

**Triage.** It fails when files can't be removed: give the account that runs Airflow the right to.

**Rerun safety.** Safe at any time. Batches that were refused or not tried yet are left alone.
"""

from datetime import timedelta

from airflow.sdk import CronDataIntervalTimetable, dag, task

from _shared import END, HEAD_OFFICE_ZONE, START, TASK_DEFAULTS, landing, landing_keep_days


@dag(
    schedule=CronDataIntervalTimetable("0 6 * * *", timezone=HEAD_OFFICE_ZONE),
    start_date=START,
    end_date=END,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["landing"],
)
def expire_landing():
    @task.short_circuit
    def is_wanted() -> bool:
        return landing_keep_days() > 0

    @task
    def remove() -> int:
        from memberhouse.load import expire
        from memberhouse.settings import Settings

        return expire(Settings.from_env(), landing(), timedelta(days=landing_keep_days()), progress=print)

    is_wanted() >> remove()


expire_landing()
