-- Schemas in the order the data walks, and the role that BI readers have.
set local client_min_messages = warning;

create schema if not exists raw;
create schema if not exists quarantine;
create schema if not exists ops;
create schema if not exists staging;
create schema if not exists intermediate;
create schema if not exists history;
create schema if not exists marts;
create schema if not exists release;
create schema if not exists bi;

do $$
begin
    create role memberhouse_bi nologin;
exception
    -- unique_violation: another database of this cluster created it at the same moment
    when duplicate_object or unique_violation then null;
end
$$;

alter role memberhouse_bi set statement_timeout = '60s';
do $$
begin
    execute format('grant memberhouse_bi to %I', current_user);
exception
    when others then
        -- a superuser needs no membership; anyone else must have it for "set role"
        if not (select rolsuper from pg_roles where rolname = current_user) then raise; end if;
end
$$;

revoke all on schema public from public;
grant usage on schema bi to memberhouse_bi;
grant select on all tables in schema bi to memberhouse_bi;
alter default privileges in schema bi grant select on tables to memberhouse_bi;
