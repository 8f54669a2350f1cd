-- Releases: what was built, what passed, what is out. The pointer is one row a consistency group.

create sequence if not exists release.release_id as integer minvalue 1;

create table if not exists release.consistency_group (
    group_name text primary key,
    fresh_for interval not null         -- older than this since publication: stale
);
insert into release.consistency_group (group_name, fresh_for) values
('core', interval '36 hours'),
('programme', interval '36 hours'),
('operations', interval '36 hours')
on conflict do nothing;
-- whose facts the group is made of: held with it
alter table release.consistency_group add column if not exists rests_on text
    references release.consistency_group (group_name);
update release.consistency_group set rests_on = 'core' where group_name in ('programme', 'operations') and rests_on is null;

create table if not exists release.release (
    release_id integer primary key default nextval('release.release_id'),
    as_of_date date not null,
    state text not null default 'building' check (state in ('building', 'built', 'failed', 'abandoned')),
    started_at timestamptz not null default clock_timestamp(),
    built_at timestamptz,
    -- batches up to this change are in it
    batch_change_no bigint not null,
    full_refresh boolean not null default false,
    -- over the dbt project's files: a build by other rules computes every row anew
    project_sha256 text not null
);
-- why the build computed every row anew; null: only what was touched since the highest published release
alter table release.release add column if not exists full_because text;
-- by store the clock that its sales were dated with: another clock dates all of them anew
alter table release.release add column if not exists store_clocks jsonb not null default '{}';
-- the business date of the first list of members: those on it were members before, however late they were entered
alter table release.release add column if not exists first_enrolments_on date;
-- the model of member value (scoring.model) by which its members are scored; null: there was none as of its date
alter table release.release add column if not exists value_model_version integer;

-- The gate's verdict, a row a release and group. (release_id, group_name, verdict) is what the pointer
-- refers to: a verdict that is pointed at can't be taken back, and only 'passed' can be pointed at.
create table if not exists release.verdict (
    release_id integer not null references release.release (release_id),
    group_name text not null references release.consistency_group (group_name),
    verdict text not null check (verdict in ('passed', 'held')),
    reason text not null,
    checks_evaluated integer not null,
    checks_failed integer not null,
    warnings integer not null default 0,
    detail jsonb not null default '[]',
    decided_at timestamptz not null default clock_timestamp(),
    primary key (release_id, group_name),
    unique (release_id, group_name, verdict),
    constraint passed_means_checked check (
        verdict = 'held' or (checks_evaluated > 0 and checks_failed = 0)
    )
);

create table if not exists release.current (
    group_name text primary key references release.consistency_group (group_name),
    release_id integer not null,
    verdict text not null default 'passed' check (verdict = 'passed'),
    published_at timestamptz not null default clock_timestamp(),
    is_pinned boolean not null default false,   -- after a rollback: nothing newer until unpinned
    constraint only_passed_releases_are_published
        foreign key (release_id, group_name, verdict)
        references release.verdict (release_id, group_name, verdict)
);

-- Every movement of the pointer, append-only.
create table if not exists release.publication (
    publication_id bigint generated always as identity primary key,
    group_name text not null references release.consistency_group (group_name),
    action text not null check (action in ('publish', 'rollback')),
    release_id integer not null references release.release (release_id),
    previous_release_id integer references release.release (release_id),
    at timestamptz not null default clock_timestamp(),
    by_user text not null default session_user
);
create index if not exists publication_by_release on release.publication (group_name, release_id);

-- Releases of which a group no longer keeps the rows: nobody can read them or point at them any more.
create table if not exists release.pruned (
    group_name text not null references release.consistency_group (group_name),
    release_id integer not null references release.release (release_id),
    pruned_at timestamptz not null default clock_timestamp(),
    primary key (group_name, release_id)
);
create or replace function release.refuse_pruned() returns trigger
language plpgsql security definer set search_path = release, pg_temp as $$
begin
    if exists (
        select 1 from release.pruned as p where p.group_name = new.group_name and p.release_id = new.release_id
    ) then
        raise exception 'release.current: release % of the group "%" was pruned', new.release_id, new.group_name;
    end if;
    return new;
end
$$;

-- The pointer cannot be moved without leaving a line in the publication log, by whatever hand.
create or replace function release.log_movement() returns trigger
language plpgsql security definer set search_path = release, pg_temp as $$
declare
    previous integer;
begin
    if tg_op = 'DELETE' then
        raise exception 'release.current: a pointer is moved, never removed';
    end if;
    if tg_op = 'UPDATE' then
        if new.release_id = old.release_id then return null; end if;
        previous := old.release_id;
    end if;
    insert into release.publication (group_name, action, release_id, previous_release_id)
    values (
        new.group_name,
        case when new.release_id < previous then 'rollback' else 'publish' end,
        new.release_id,
        previous
    );
    return null;
end
$$;
create or replace trigger log_movement
    after insert or update or delete on release.current
    for each row execute function release.log_movement();

-- Rows of a release that was not published go when the next one begins: what its verdict was given on is not
-- there any more. The pointer can't be moved to it, by whatever hand.
create or replace function release.refuse_overtaken() returns trigger
language plpgsql security definer set search_path = release, pg_temp as $$
begin
    if not exists (
        select 1 from release.publication as p
        where p.group_name = new.group_name and p.release_id = new.release_id
    ) and exists (select 1 from release.release as r where r.release_id > new.release_id) then
        raise exception 'release.current: release % was overtaken by a newer one', new.release_id;
    end if;
    return new;
end
$$;
create or replace trigger refuse_pruned
    before insert or update on release.current
    for each row execute function release.refuse_pruned();
create or replace trigger refuse_overtaken
    before insert or update on release.current
    for each row execute function release.refuse_overtaken();

-- The release of a group that this session reads: the pointer, or what is asked for with
-- "set memberhouse.release = N" when N was ever published. A group that N was not published in, because it was held
-- then, answers as its newest published release before N. 0: nothing is published, or was by then.
-- STABLE: one snapshot for the whole statement, so a statement sees one release.
create or replace function release.visible(of_group text) returns integer
language plpgsql stable parallel safe security definer set search_path = release, pg_temp as $$
declare
    asked text := nullif(current_setting('memberhouse.release', true), '');
    answer integer;
begin
    if asked is null then
        return coalesce((select c.release_id from release.current as c where c.group_name = of_group), 0);
    end if;
    if asked !~ '^[0-9]{1,9}$' or not exists (
        select 1 from release.publication as p where p.release_id = asked::integer
    ) then
        raise exception 'memberhouse.release = %: no such published release', asked
            using hint = 'select release_id, as_of_date from bi.release_history where published_at is not null'
            ' and pruned_at is null';
    end if;
    answer := (
        select max(p.release_id) from release.publication as p
        where p.group_name = of_group and p.release_id <= asked::integer
    );
    if exists (select 1 from release.pruned as p where p.group_name = of_group and p.release_id = answer) then
        raise exception 'memberhouse.release = %: release % of the group "%" was pruned', asked, answer, of_group
            using hint = 'select release_id, as_of_date from bi.release_history where published_at is not null'
            ' and pruned_at is null';
    end if;
    return coalesce(answer, 0);
end
$$;
grant usage on schema release to memberhouse_bi;
grant execute on function release.visible(text) to memberhouse_bi;

-- Rows above the highest ever published release go; rows that such a release closed are reopened.
create or replace function release.discard_unpublished(open_table regclass, closed_table regclass, of_group text)
returns bigint
language plpgsql set search_path = release, pg_temp as $$
declare
    published integer := coalesce(
        (select max(p.release_id) from release.publication as p where p.group_name = of_group), 0
    );
    removed bigint;
    reopened bigint;
    -- named, because a column added later stands in another place in the two partitions
    columns text := (
        select string_agg(quote_ident(a.attname), ', ' order by a.attnum)
        from pg_attribute as a
        where a.attrelid = open_table and a.attnum > 0 and not a.attisdropped and a.attname <> '_to_release'
    );
begin
    execute format('delete from %s where _from_release > $1', open_table) using published;
    get diagnostics removed = row_count;
    execute format('delete from %s where _from_release > $1', closed_table) using published;
    execute format(
        'with reopened as (delete from %s where _to_release > $1 returning %s) '
        'insert into %s (%s, _to_release) select %s, 2147483647 from reopened',
        closed_table, columns, open_table, columns, columns
    ) using published;
    get diagnostics reopened = row_count;
    return removed + reopened;
end
$$;

-- Loyal thresholds in force for a quarter, fixed when a release that used them was published.
create table if not exists release.frozen_loyal_threshold (
    quarter_start date primary key,
    loyal_threshold_amount numeric(14, 2),      -- null: no buyers before the quarter, nobody is loyal in it
    release_id integer not null references release.release (release_id),
    frozen_at timestamptz not null default clock_timestamp()
);

-- Which tables are release-versioned, and to which group they belong; the dbt materialization keeps it.
create table if not exists release.versioned_table (
    table_name text primary key,        -- history.<table_name>
    group_name text not null references release.consistency_group (group_name)
);
-- false: other marts are views over it, and readers are not shown it
alter table release.versioned_table add column if not exists is_published boolean not null default true;
-- raw tables without whose rows it may be empty
alter table release.versioned_table add column if not exists fed_by text[] not null default '{}';
-- it tells only of what is over, or of some: a sound release may have no row of it
alter table release.versioned_table add column if not exists may_be_empty boolean not null default false;
-- the last release whose build had it: a mart that left the project stays as it was published then
alter table release.versioned_table add column if not exists last_release_id integer;
-- what identifies a row
alter table release.versioned_table add column if not exists unique_key text[] not null default '{}';
-- how its restatements are found (macro versioned__restated); null: they are not logged
alter table release.versioned_table add column if not exists restated jsonb;

-- Which groups have marts in the project, and the highest release of each that was ever published (null: none): what
-- its release-versioned tables hold when a build begins.
create or replace view release.base_group as
with highest as (
    select coalesce(max(p.release_id), 0) as release_id from release.publication as p
),

groups as (
    -- a table that the build of what is out did not have has left the project
    select distinct t.group_name
    from release.versioned_table as t
    cross join highest
    where t.last_release_id >= highest.release_id
)

select
    groups.group_name,
    max(p.release_id) as release_id
from groups
left join release.publication as p on groups.group_name = p.group_name
group by groups.group_name;

-- What a build starts from, one row: every group has what was known then. A group that is held stays behind the others,
-- and what came since *its* newest published release is computed again. No row: a group has nothing published.
create or replace view release.base as
select
    min(r.release_id) as release_id,
    min(r.batch_change_no) as batch_change_no,
    min(r.as_of_date) as earliest_as_of_date,
    max(r.as_of_date) as latest_as_of_date
from release.base_group as g
left join release.release as r on g.release_id = r.release_id
having count(*) > 0 and bool_and(r.release_id is not null);

-- The release that is being built: the newest one, while it is being built. Models take the as-of date
-- from here; none reads the clock.
create or replace view release.building as
select
    r.release_id, r.as_of_date, r.batch_change_no, r.full_refresh, r.project_sha256,
    r.full_because is not null as is_full,
    -- rows that any group may see in another way than it published them have changed since this release
    coalesce((select b.release_id from release.base as b), 0) as base_release_id,
    r.value_model_version
from release.release as r
where r.state = 'building' and r.release_id = (select max(newest.release_id) from release.release as newest);


-- Up to which business date what is out speaks of time that is over, one row: a build that changes a row of a day up to
-- then restates it. No row: nothing is published, or rows changed because the rules did.
create or replace view release.restating as
select
    b.latest_as_of_date as published_until
from release.base as b
cross join release.building as building
where not exists (
    select 1 from release.base_group as g
    inner join release.release as r on g.release_id = r.release_id
    where r.project_sha256 <> building.project_sha256
);

-- Cells of published marts that a build changed though the time that they speak of was over when they were published.
-- Of a candidate too; it goes with its release when that is not published.
create table if not exists release.restatement (
    release_id integer not null references release.release (release_id),
    group_name text not null references release.consistency_group (group_name),
    table_name text not null,
    grain_key jsonb not null,           -- what identifies the row
    column_name text not null,          -- '*': the whole table, told in one sentence
    old_value text,                     -- null: the row came, or the cell was empty
    new_value text,                     -- null: the row went, or the cell is empty
    cause text not null,
    source_batch_ids bigint[] not null
);
create index if not exists restatement_by_release on release.restatement (group_name, release_id);

create or replace procedure release.discard_all_unpublished()
language plpgsql as $$
declare
    versioned record;
begin
    for versioned in select * from release.versioned_table order by table_name loop
        perform release.discard_unpublished(
            format('history.%I', versioned.table_name || '__open')::regclass,
            format('history.%I', versioned.table_name || '__closed')::regclass,
            versioned.group_name
        );
    end loop;
    delete from release.restatement as r
    where r.release_id > coalesce(
        (select max(p.release_id) from release.publication as p where p.group_name = r.group_name), 0
    );
end
$$;

-- Published views over stored marts, and what identifies their rows.
create table if not exists release.published_view (
    view_name text primary key,         -- bi.<view_name>
    unique_key text[] not null
);

-- What each marts and bi view was made from, so that a build replaces only those that changed.
create table if not exists release.view_fingerprint (
    schema_name text not null,
    view_name text not null,
    fingerprint text not null,
    primary key (schema_name, view_name)
);
