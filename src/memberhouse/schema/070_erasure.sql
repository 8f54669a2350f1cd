-- Erasures: that they happened, and what of one is not done yet. Nothing in here says who it was.

create table if not exists ops.erasure (
    erasure_id bigint generated always as identity primary key,
    erased_at timestamptz not null default clock_timestamp(),
    by_user text not null default session_user,
    found jsonb not null,               -- rows and files in which the member stood, by place
    pending jsonb not null default '[]',    -- landed files that wait for what takes their place
    finished_at timestamptz,            -- null: files wait; loads do, too
    proven_at timestamptz               -- when everything was searched once more and nothing was found
);

-- Enrolments that a person approved (the seed approved_enrolments) and whose members were erased since, by their
-- tombstones: the approval outlives the card number.
create table if not exists ops.erased_approval (
    card_no text primary key
);

-- Until when a token of a phone or an openid was a member's, where the enrolment or account that ended it by showing it
-- no longer does: one of two members who had the same number was erased. Of the other one it is the token until that one
-- is erased, too.
create table if not exists ops.erased_hold (
    token text not null,
    held_to date not null,              -- exclusive
    primary key (token, held_to)
);

-- Which text columns of the release-versioned tables name a member: the dbt materialization keeps it, from the
-- project's declarations. null: nobody said; an erasure that finds a member there stops.
create table if not exists release.member_column (
    table_name text not null,
    column_name text not null,
    names_member boolean,
    primary key (table_name, column_name)
);
-- people wrote it: a member is taken out of it, the rest stays
alter table release.member_column add column if not exists is_free_text boolean not null default false;
