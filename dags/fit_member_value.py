"""Member value: the models behind the scores, anew each week

**Purpose.** Fit how often members buy again (BG/NBD) and how much (gamma-gamma) to what is published, prove the fit on
weeks that were held out, and score every valid member who has bought. Builds after it show the scores in
`bi.member_value` and the proof in `bi.value_calibration`. No stage, tier or flag depends on them.

**Schedule.** After a publication of the core marts, when there is no model yet as of the Sunday that closed the newest
finished week. By hand for any published date given as `as_of`.

**Inputs.** `bi.fct_purchase_day` and `bi.dim_member` of the release that readers see.

**Outputs.** `scoring.model`, `scoring.calibration` and `scoring.member_score`: a new version, in one transaction.

**Triage.** Skipped: the week has its model, or the history is too short or the members are too few for one, which the
log says in words; scores are empty until then. It waits for a build that runs, and a build waits for it: seconds, with
a million members half a minute.

**Rerun safety.** Safe: there is one model a date and release, and the same again changes nothing. A fit that was killed
left nothing.
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
    params={"as_of": Param(None, type=["null", "string"], format="date", title="Fit as of this date")},
    doc_md=__doc__,
    tags=["value"],
)
def fit_member_value():
    @task
    def fit(params=None, triggering_asset_events=None) -> str:
        from memberhouse import value
        from memberhouse.settings import Settings

        settings = Settings.from_env()
        if params["as_of"]:
            as_of = date.fromisoformat(params["as_of"])
        else:
            published = latest_as_of(triggering_asset_events)
            if published is None:
                raise AirflowFailException("A run by hand needs the parameter as_of, a published date.")
            as_of = published - timedelta(days=published.isoweekday() % 7)
            if value.is_fitted(settings, as_of):
                raise AirflowSkipException(f"There is a model as of {as_of} already.")
        done = value.fit(settings, as_of)
        if done.model_version is None:
            raise AirflowSkipException(done.summary)
        return done.summary

    fit()


fit_member_value()
