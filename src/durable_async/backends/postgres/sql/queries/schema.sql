-- The schema itself. $-parameters of the statements for scripts are whole numbers, put in as they are.

-- name: create_schema
-- Needs the right to create schemas in the database, unless somebody has made it before.
create schema if not exists {schema}

-- name: settings
-- What a hub's promises hang on, once when it opens. What the role and the database say stands beside what this session has asked for.
-- What is most specific comes first: the role in this database, the role, the database.
select
    current_setting('server_version_num')::integer as version,
    pg_is_in_recovery() as is_standby,
    current_setting('server_encoding') as encoding,
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('autovacuum') as autovacuum,
    current_setting('synchronous_commit') as synchronous_commit,
    current_setting('synchronous_standby_names') <> '' as has_synchronous_standbys,
    current_setting('transaction_isolation') as isolation,
    current_setting('transaction_read_only') as read_only,
    (
        select split_part(c.setting, '=', 2)
        from pg_catalog.pg_db_role_setting s
        join pg_catalog.pg_database d on d.datname = current_database()
        cross join unnest(s.setconfig) as c (setting)
        where s.setdatabase in (0, d.oid) and c.setting like 'synchronous_commit=%'
            and (s.setrole = 0 or s.setrole = (select r.oid from pg_catalog.pg_roles r where r.rolname = current_user))
        order by s.setrole <> 0 and s.setdatabase <> 0 desc, s.setrole <> 0 desc
        limit 1
    ) as default_synchronous_commit,
    (
        select string_agg(c.relname, ', ' order by c.relname)
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relkind = 'r' and c.relpersistence = 'u'
    ) as unlogged,
    (
        select string_agg(c.relname, ', ' order by c.relname)
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relkind = 'r' and c.reloptions && array['autovacuum_enabled=false', 'autovacuum_enabled=off']
    ) as unvacuumed,
    (
        select greatest(age(d.datfrozenxid), mxid_age(d.datminmxid))
        from pg_catalog.pg_database d
        where d.datname = current_database()
    ) as age

-- name: has_meta
-- A new schema has no tables at all. A look at the catalogue as it is now: what a session remembers of it, as to_regclass does, may be from
-- before it waited for another migrator.
select exists (
    select from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = 'meta'
)

-- name: standing
-- Compared with what this release knows.
select
    coalesce(max(m.value) filter (where m.name = 'schema_version'), 0) as version,
    coalesce(max(m.value) filter (where m.name = 'serves'), 0) as serves
from {schema}.meta m

-- name: missing_functions
-- What this release would call in vain. A schema from between two releases may bear this one's number, and be another one.
select f.name
from unnest($2::text[], $3::integer[]) as f (name, arguments)
where not exists (
    select from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = $1 and p.proname = f.name and p.pronargs = f.arguments
)
order by f.name

-- name: hub_names
-- For whoever looks at one and must not make it by looking.
select name from {schema}.hubs order by name

-- name: save_standing
-- In the transaction of the migration that leads there. What was broken for a release stays broken.
insert into {schema}.meta as m (name, value) values ('schema_version', $1), ('serves', $2)
on conflict (name) do update set value = greatest(m.value, excluded.value)

-- name: oldest_worker
-- Those whose lease ran out are not waited for.
select min(w.schema_version)
from {schema}.workers w
join {schema}.leases l on l.hub = w.hub and l.worker = w.id
where l.until_us > {schema}.clock_us()

-- name: lock_schema
-- One migrator at a time; the next one waits as long as its session's own lock_timeout allows.
select pg_advisory_xact_lock($1)

-- name: hurry
-- A migration that waits for a lock makes everybody behind it wait: rather give up and come back. Its work may take its time.
set local lock_timeout = '2s';
set local statement_timeout = 0

-- name: first_step_in_script
-- Nothing is there to be compared.
do $migrate$ begin
    perform pg_advisory_xact_lock($1);
end $migrate$

-- name: next_step_in_script
-- Run twice, out of order or beside workers that it would break, a script stops here.
do $migrate$ begin
    perform pg_advisory_xact_lock($1);
    if (select m.value from {schema}.meta m where m.name = 'schema_version') is distinct from $2 then
        raise exception 'this step leads on from schema version $2, which is not what is there';
    end if;
    if exists (
        select from {schema}.workers w
        join {schema}.leases l on l.hub = w.hub and l.worker = w.id
        where l.until_us > {schema}.clock_us() and w.schema_version < $3
    ) then
        raise exception 'workers of an earlier release still run: stop them first';
    end if;
end $migrate$

-- name: grants
-- Rows and functions, no definitions: a role that cannot change the schema, nor say that it was changed.
grant usage on schema {schema} to {role};
grant select, insert, update, delete on all tables in schema {schema} to {role};
revoke insert, update, delete on {schema}.meta from {role};
grant usage, select on all sequences in schema {schema} to {role};
grant execute on all functions in schema {schema} to {role};
alter default privileges in schema {schema} grant select, insert, update, delete on tables to {role};
alter default privileges in schema {schema} grant usage, select on sequences to {role};
alter default privileges in schema {schema} grant execute on functions to {role}

-- name: grants_to_look
-- The views, which show no inputs, results or custom statuses, and no table behind them. Their functions look into nothing.
grant usage on schema {schema} to {role};
grant select on {views} to {role};
grant execute on function {schema}.clock_us, {schema}.moment, {schema}.waits_of, {schema}.snapshot_of, {schema}.events_of, {schema}.unpack,
    {schema}.readable
    to {role}

-- name: function_settings
-- Names are resolved nowhere but in the schema. Plans are made once for a connection, perhaps while tables are still empty, and must be right
-- for full ones too: hence by indexes, whatever the statistics say. Part of migrations: once released, other settings get another name.
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set jit = off
set random_page_cost = 0
set cpu_tuple_cost = 1
set cpu_index_tuple_cost = 1
