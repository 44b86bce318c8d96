-- The schema itself.

-- name: create_schema
-- Needs the right to create schemas in the database, unless somebody has made it before.
create schema if not exists {schema}

-- name: has_meta
-- A new schema has no tables at all.
select to_regclass($1) is not null

-- name: schema_version
-- Compared with what this release knows.
select value from {schema}.meta where name = 'schema_version'

-- name: save_schema_version
-- In the transaction of the migration that leads there.
insert into {schema}.meta (name, value) values ('schema_version', $1)
on conflict (name) do update set value = excluded.value

-- name: save_schema_version_literally
-- The same, for a script that is run by hand.
insert into {schema}.meta (name, value) values ('schema_version', $1)
on conflict (name) do update set value = excluded.value

-- name: lock_schema
-- One migrator at a time; it is waited for, whatever the lock_timeout that follows.
select pg_advisory_xact_lock($1)

-- name: hurry
-- A migration that waits for a lock makes everybody behind it wait: rather give up and come back.
set local lock_timeout = '2s'

-- name: grants
-- Rows and functions, no definitions: a role that cannot change the schema.
grant usage on schema {schema} to {role};
grant select, insert, update, delete on all tables in schema {schema} to {role};
grant usage, select on all sequences in schema {schema} to {role};
grant execute on all functions in schema {schema} to {role};
alter default privileges in schema {schema} grant select, insert, update, delete on tables to {role};
alter default privileges in schema {schema} grant usage, select on sequences to {role};
alter default privileges in schema {schema} grant execute on functions to {role}
