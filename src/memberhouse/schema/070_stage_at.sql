-- bi.stage_at(date): the stage of every member at the close of a day, in the release that the session reads.
create or replace function bi.stage_at(on_day date)
returns table (member_id text, stage_code text, store_id text, adaptive_band text, stage_since date)
language plpgsql stable security invoker set search_path = bi, pg_temp as $$
#variable_conflict use_column
declare
    known_to date := (select period.as_of_date from bi.reporting_period as period);
begin
    if on_day > known_to then
        raise exception 'stage_at(%): the release knows nothing after %', on_day, known_to
            using hint = 'bi.member_stage_history.next_stage_on tells what comes if the member buys nothing more';
    end if;
    return query
    select
        history.member_id,
        history.stage_code,
        standing.store_id,
        bands.adaptive_band,
        history.valid_from
    from bi.member_stage_history as history
    inner join bi.member_store_history as standing
        on
            history.member_id = standing.member_id
            and on_day >= standing.valid_from
            and on_day < standing.valid_to
    left join bi.member_adaptive_history as bands
        on
            history.member_id = bands.member_id
            and on_day >= bands.valid_from
            and on_day < bands.valid_to
    where on_day >= history.valid_from and on_day < history.valid_to;
end
$$;
revoke all on function bi.stage_at(date) from public;
grant execute on function bi.stage_at(date) to memberhouse_bi;
