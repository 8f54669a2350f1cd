"""Weekly member report

**Purpose.** Write the report of the newest finished ISO week (Monday to Sunday): the five key metrics and
the stage mix, one self-contained page in English and one in Chinese.

**Schedule.** After each publication of the core marts. It writes when the published date is a Sunday, which
closes a week; on other days only if that week's report is missing, so that a missed week is caught up.

**Inputs.** `bi`, read as the BI role at one release.

**Outputs.** A page a language in `reports/` under `MEMBERHOUSE_HOME`.

**Triage.** The log names the week and the files. Skipped: the week's report is there already. A metric shown
as “not observable yet” is no error: the history is too short for it. See docs/runbook.md.

**Rerun safety.** Safe: the same release gives the same pages, which take the place of the earlier ones.
By hand for any date of the week given as `week`.
"""

from datetime import date, timedelta

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from _shared import BI, TASK_DEFAULTS, latest_as_of


@dag(
    schedule=[BI["core"]],
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={"week": Param(None, type=["null", "string"], format="date", title="A date of the week")},
    doc_md=__doc__,
    tags=["report"],
)
def weekly_member_report():
    @task
    def write(params=None, triggering_asset_events=None) -> list[str]:
        from memberhouse.reports import weekly
        from memberhouse.reports.wording import LANGUAGES
        from memberhouse.settings import Settings

        settings = Settings.from_env()
        folder = settings.home / "reports"
        if params["week"]:
            week = date.fromisoformat(params["week"])
        else:
            as_of = latest_as_of(triggering_asset_events)
            if as_of is None:
                raise AirflowFailException("A run by hand needs the parameter week, a date of the week.")
            week = as_of - timedelta(days=as_of.isoweekday() % 7)
            if as_of != week and all(weekly.page(folder, week, lang).exists() for lang in LANGUAGES):
                raise AirflowSkipException(f"The report of {week:%G-W%V} is there already.")
        return [str(weekly.write(settings, week, folder, lang)) for lang in LANGUAGES]

    write()


weekly_member_report()
