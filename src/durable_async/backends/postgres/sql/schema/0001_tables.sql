-- Several task hubs may share a schema. Inside, a hub and each life of an instance are numbers, so that rows and indexes stay short
-- and a later life of an id never meets what an earlier one left. Every table leads with the hub, so that it can be partitioned.
-- No foreign keys: each would lock its parent row once more for every row written.
--
-- Functions run with their caller's rights. Whoever may create objects in some schema must not be able to slip functions or operators under
-- theirs: bodies in SQL are parsed here and now, those in PL/pgSQL look names up in the catalogue only, and say where tables are.

create table {schema}.meta (
    name text primary key,
    value bigint not null
);

create table {schema}.hubs (
    hub integer generated always as identity primary key,
    name text collate "C" not null unique
);

-- The one clock. Unlike now(), it does not stand still while a transaction waits for a lock.
create function {schema}.clock_us() returns bigint
language sql volatile
return (extract(epoch from clock_timestamp()) * 1000000)::bigint;

-- For people who read microseconds in a view.
create function {schema}.moment(us bigint) returns timestamptz
language sql immutable parallel safe
return to_timestamp(us / 1000000.0);

-- Fence and ledger of each living worker. A takeover deletes the row; a worker's epoch is never used again.
-- lifeline is the key of the advisory lock that its process holds as long as it lives. schema_version is the one that its release knows.
create table {schema}.workers (
    hub integer not null,
    id text collate "C" not null,
    epoch bigint not null,
    seq bigint not null,
    lifeline bigint,
    host text not null,
    pid integer not null,
    registered_at_us bigint not null,
    schema_version integer not null,
    primary key (hub, id)
) with (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

-- Beside the fence, so that a renewal never waits for a commit. fetched is the number of the worker's last fetch. term is the number under
-- which its process may put letters into its mailboxes without marking them, and start what it owns at once; put_letters and create_instances
-- say what for.
create table {schema}.leases (
    hub integer not null,
    worker text collate "C" not null,
    epoch bigint not null,
    until_us bigint not null,
    fetched bigint not null default 0,
    term bigint not null default 0,
    primary key (hub, worker)
) with (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

create sequence {schema}.instance_keys as bigint cache 32;

-- ready_at_us is set exactly while an instance is free, not parked unless it is ending, and has a time at which to look at it.
-- ending says that its mailbox holds a letter that ends it, so that any worker may claim it.
-- fetched_in is the number of its owner's fetch in which it was claimed, or below zero that of the start in which its owner's process took it.
-- hold_until_us keeps an abandoned one from being woken; marked says that its owner has not yet been shown some letter.
-- state is an entity's snapshot; it is replaced in almost every turn, as is updated_at_us, so neither may be in an index.
-- will_letter goes to all of will_to, which are ids, when the execution ends or is parked, or the instance is replaced.
create table {schema}.instances (
    hub integer not null,
    key bigint not null,
    execution bigint not null,
    ready_at_us bigint,
    hold_until_us bigint not null default 0,
    start_at_us bigint not null,
    created_at_us bigint not null,
    updated_at_us bigint not null,
    completed_at_us bigint,
    parent_execution bigint,
    parent_seq bigint,
    parent_depth integer,
    fetched_in bigint not null default 0,
    attempts integer not null default 0,
    marked boolean not null default false,
    ending boolean not null default false,
    is_entity boolean not null default false,
    status text collate "C" not null,
    id text collate "C" not null,
    name text collate "C" not null,
    version text,
    owner text collate "C",
    parent_id text collate "C",
    parked text,
    tags jsonb,
    custom_status bytea,
    failure bytea,
    output bytea,
    state bytea,
    will_to text[],
    will_letter bytea,
    primary key (hub, key)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05, vacuum_truncate = off);

create unique index instances_by_id on {schema}.instances (hub, id);

-- In the order of a claim that takes any name; and to know when something is ready.
create index instances_ready on {schema}.instances (hub, ready_at_us, id) where ready_at_us is not null;

-- In the order of a claim by names, for each kind of its own: what others are to run is not walked over.
create index instances_ready_by_kind on {schema}.instances (hub, name, coalesce(version, ''), ready_at_us, id)
    where ready_at_us is not null and not ending;

-- What anybody may claim, to end it.
create index instances_ready_to_end on {schema}.instances (hub, ready_at_us, id) where ready_at_us is not null and ending;

create index instances_owned on {schema}.instances (hub, owner) where owner is not null;

-- Entities are many, and are asked for by their ids.
create index instances_by_creation on {schema}.instances (hub, created_at_us, id) where not is_entity;

-- One more entry for each that ends, and nothing before that: what ends it takes it from its owner, and is no HOT update anyway.
create index instances_by_completion on {schema}.instances (hub, completed_at_us, id) where completed_at_us is not null;

create index instances_by_parent on {schema}.instances (hub, parent_id) where parent_id is not null;

create index instances_by_tags on {schema}.instances using gin (tags jsonb_path_ops) where tags is not null;

-- Which of a worker's instances are marked; some were. Not an index on instances, in which each letter would leave two new versions of a
-- row under every other index too. Written by whoever holds the lock of the instance's row.
create table {schema}.marks (
    hub integer not null,
    owner text collate "C" not null,
    key bigint not null,
    primary key (hub, owner, key)
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.01, vacuum_truncate = off);

-- One row a turn. The primary key is the second belt of the fence: no turn can be written twice.
create table {schema}.history (
    hub integer not null,
    key bigint not null,
    execution bigint not null,
    turn bigint not null,
    events bytea not null,
    primary key (hub, key, execution, turn)
) with (autovacuum_vacuum_scale_factor = 0.05, vacuum_truncate = off);

-- Rows come and go; ids grow in the order of arrival of one mailbox, and are never used again.
create table {schema}.letters (
    hub integer not null,
    key bigint not null,
    id bigint generated always as identity,
    execution bigint,
    arrived_at_us bigint not null,
    urgent boolean not null,
    final boolean not null,
    letter bytea not null,
    primary key (hub, key, id)
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.01, vacuum_truncate = off);

create table {schema}.queued_activities (
    hub integer not null,
    id bigint generated always as identity,
    key bigint not null,
    execution bigint not null,
    seq bigint not null,
    queued_at_us bigint not null,
    fetched_in bigint not null default 0,
    attempt integer not null,
    attempts integer not null default 0,
    name text collate "C" not null,
    owner text collate "C",
    input bytea not null,
    options bytea not null,
    primary key (hub, id)
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.01, vacuum_truncate = off);

create index queued_activities_free on {schema}.queued_activities (hub, name, id) where owner is null;

create index queued_activities_owned on {schema}.queued_activities (hub, owner) where owner is not null;

create index queued_activities_by_instance on {schema}.queued_activities (hub, key, seq);

-- Answers already given, so that a client may repeat a call.
create table {schema}.requests (
    hub integer not null,
    id text collate "C" not null,
    answer text not null,
    answered_at_us bigint not null,
    primary key (hub, id)
) with (vacuum_truncate = off);

create index requests_by_age on {schema}.requests (hub, answered_at_us);

-- What came of requests, for clients that wait for it.
create table {schema}.answers (
    hub integer not null,
    id text collate "C" not null,
    answer bytea not null,
    answered_at_us bigint not null,
    primary key (hub, id)
) with (vacuum_truncate = off);

create index answers_by_age on {schema}.answers (hub, answered_at_us);

-- The last execution of purged ids: a later life goes on above it, so that late letters miss it.
create table {schema}.tombstones (
    hub integer not null,
    id text collate "C" not null,
    execution bigint not null,
    purged_at_us bigint not null,
    primary key (hub, id)
) with (vacuum_truncate = off);

create index tombstones_by_age on {schema}.tombstones (hub, purged_at_us);

-- Lives that were replaced while somebody owned them: a turn that was on its way may still write history under their key.
create table {schema}.graves (
    hub integer not null,
    key bigint not null,
    buried_at_us bigint not null,
    primary key (hub, key)
);

-- Statistics before there is anything to count. A server that knows nothing of a table takes each hub for one of hundreds, and any index
-- that begins with the hub for as good as the right one; and it keeps such a plan for as long as a connection lives. So there are always
-- some rows, in hub 0, which nobody opens: were they deleted, the next vacuum would find the tables empty, and say so to the planner.
insert into {schema}.instances (
    hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, completed_at_us, owner, marked, is_entity, status, id, name,
    parent_id, tags
)
select 0, n, 1, case when n % 10 = 0 then n end, n, n, n, case when n % 10 > 2 then n end,
    case when n % 10 in (1, 2) then 'sample-' || n % 4 end, n % 50 = 1, n % 20 = 1,
    case when n % 10 <= 2 then 'running' else 'completed' end, 'sample-' || n, 'sample',
    case when n % 4 = 0 then 'sample-' || n / 4 end,
    case when n % 4 = 0 then jsonb_build_object('sample', n::text) end
from generate_series(1, 2000) n;
insert into {schema}.marks (hub, owner, key)
select 0, 'sample-' || n % 4, n from generate_series(1, 400) n;
insert into {schema}.history (hub, key, execution, turn, events)
select 0, n / 4, 1, n % 4, '\x90' from generate_series(1, 400) n;
insert into {schema}.letters (hub, key, arrived_at_us, urgent, final, letter)
select 0, n / 4, n, false, false, '\x90' from generate_series(1, 400) n;
insert into {schema}.queued_activities (hub, key, execution, seq, queued_at_us, attempt, name, owner, input, options)
select 0, n / 4, 1, n % 4, n, 1, 'sample', case when n % 4 <> 0 then 'sample-' || n % 8 end, 'sample', ''
from generate_series(1, 400) n;
insert into {schema}.requests (hub, id, answer, answered_at_us)
select 0, n::text, 'sample', n from generate_series(1, 400) n;
insert into {schema}.answers (hub, id, answer, answered_at_us)
select 0, n::text, 'sample', n from generate_series(1, 400) n;
insert into {schema}.tombstones (hub, id, execution, purged_at_us)
select 0, n::text, 1, n from generate_series(1, 400) n;
insert into {schema}.graves (hub, key, buried_at_us)
select 0, n, n from generate_series(1, 20) n;
insert into {schema}.workers (hub, id, epoch, seq, host, pid, registered_at_us, schema_version)
select 0, 'sample-' || n, 1, 0, 'sample', 0, n, 0 from generate_series(1, 200) n;
insert into {schema}.leases (hub, worker, epoch, until_us)
select 0, 'sample-' || n, 1, 0 from generate_series(1, 200) n;
analyze {schema}.instances, {schema}.history, {schema}.letters, {schema}.queued_activities, {schema}.requests, {schema}.answers,
    {schema}.tombstones, {schema}.graves, {schema}.marks, {schema}.workers, {schema}.leases;
