-- The vault: personal values, reachable by one role. Everything else carries tokens.
set local client_min_messages = warning;

create schema if not exists vault;
revoke all on schema vault from public;

do $$
begin
    create role memberhouse_vault nologin;
exception
    -- unique_violation: another database of this cluster created it at the same moment
    when duplicate_object or unique_violation then null;
end
$$;
grant usage on schema vault to memberhouse_vault;

create table if not exists vault.personal_value (
    token text primary key,             -- <key version>-<32 hexadecimal digits>
    what text not null,                 -- phone, email, openid, name, birthday
    value text not null,
    first_batch_id bigint not null,
    stored_at timestamptz not null default clock_timestamp()
);
grant select on vault.personal_value to memberhouse_vault;

-- What builds may know of a birthday: its month, and the year if it was told. It outlives an erasure under the
-- tombstone, so that the numbers stay. 1900-01-01 is what tills write for unknown.
create table if not exists vault.birth_month (
    token text primary key,
    birth_year integer,
    birth_month integer not null
);
-- of what was loaded before this table was there
insert into vault.birth_month (token, birth_year, birth_month)
select token, substring(value from '^[0-9]{4}')::integer, substring(value from '-([0-9]{2})-[0-9]{2}$')::integer
from vault.personal_value
where what = 'birthday' and value <> '1900-01-01'
on conflict (token) do nothing;

-- Which key made the tokens of a version: a fingerprint, which does not tell the key.
create table if not exists ops.vault_key (
    key_version integer primary key,
    fingerprint text not null,
    first_used_at timestamptz not null default clock_timestamp()
);
