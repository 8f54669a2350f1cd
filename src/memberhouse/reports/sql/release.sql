-- The release that is asked for, or the one that is out.
select
    release_history.release_id,
    release_history.as_of_date,
    release_history.published_at,
    release_history.checks_evaluated,
    release_history.warnings
from bi.release_history
where
    release_history.group_name = 'core'
    and release_history.published_at is not null
    and release_history.release_id = coalesce(
        %(release)s::integer,
        (select freshness.release_id from bi.freshness where freshness.group_name = 'core')
    )
