"""Releases: the rows of old ones that nobody needs to read any more leave

**Purpose.** Every published release can be read as it was published, which costs the rows that changed since. Those of
the last weeks are all kept, of older ones the close of each week; the rows that only the others see are removed.

**Schedule.** Sundays at 07:00 by head office's clock, when nobody builds.

**Inputs.** `release.publication`; `MEMBERHOUSE_KEEP_RELEASES_DAYS` (by default 35) and
`MEMBERHOUSE_KEEP_WEEKLY_CLOSES_YEARS` (by default 0: for ever).

**Outputs.** None: closed rows of `history` are removed, `release.pruned` says of which releases, and a row of
`ops.step` how many.

**Triage.** It waits for a build that runs, and a build waits for it. Failed: run it again; what was marked is finished.

**Rerun safety.** Safe at any time. What readers see, the newest release and what the next build starts from are kept.
"""

from airflow.sdk import CronDataIntervalTimetable, dag, task

from _shared import END, HEAD_OFFICE_ZONE, START, TASK_DEFAULTS


@dag(
    schedule=CronDataIntervalTimetable("0 7 * * 0", timezone=HEAD_OFFICE_ZONE),
    start_date=START,
    end_date=END,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["warehouse"],
)
def prune_releases():
    @task
    def prune() -> str:
        from memberhouse.release import prune as remove
        from memberhouse.settings import Settings

        return str(remove(Settings.from_env()))

    prune()


prune_releases()
