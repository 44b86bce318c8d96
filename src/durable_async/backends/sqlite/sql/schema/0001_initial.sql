-- Several task hubs may share a file. Inside, a hub and an instance are small integers, so that rows and indexes stay short
-- and the rows of instances that were started together lie together, whatever their ids look like.

create table meta (
    name text primary key,
    value integer not null
) strict, without rowid;

create table hubs (
    hub integer primary key,
    name text not null unique
) strict;

-- Fence, lease and ledger of each living worker. A takeover deletes the row; a worker's epoch is never used again.
create table workers (
    hub integer not null,
    id text not null,
    epoch integer not null,
    seq integer not null,
    lease_until_us integer not null,
    has_lifeline integer not null,
    fetched integer not null default 0,
    primary key (hub, id)
) strict, without rowid;

-- ready_at_us is set exactly while an instance is free, not parked unless it is ending, and has a time at which to look at it.
-- ending says that its mailbox holds a letter that ends it, so that any worker may claim it.
-- fetched_in is the number of its owner's fetch in which it was claimed.
-- hold_until_us keeps an abandoned one from being woken.
-- unread_from is the id from which on its owner has not yet been shown its letters; null if there are none.
-- will_receivers, a JSON array of ids, and will_letter are what is sent when it ends; state is the snapshot of an entity.
create table instances (
    key integer primary key,
    hub integer not null,
    id text not null,
    name text not null,
    status text not null,
    execution integer not null,
    version text,
    owner text,
    fetched_in integer not null default 0,
    ready_at_us integer,
    hold_until_us integer not null default 0,
    start_at_us integer not null,
    unread_from integer,
    ending integer not null default 0,
    attempts integer not null default 0,
    parked text,
    created_at_us integer not null,
    updated_at_us integer not null,
    completed_at_us integer,
    parent_id text,
    parent_execution integer,
    parent_seq integer,
    parent_depth integer,
    tags text,
    will_receivers text,
    will_letter blob,
    custom_status blob,
    failure blob,
    output blob,
    state blob,
    is_entity integer not null generated always as (substr(id, 1, 1) = '@') virtual
) strict;

create unique index instances_by_id on instances (hub, id);

-- For workers that take any name, and for when to look again. Holds what tells whether one is passed over, so that no row is read for that.
create index instances_ready on instances (hub, ready_at_us, id, name, version, ending) where ready_at_us is not null;

-- By kind, a name and a version: a claim searches each kind that it takes, and nothing of what is for others is on its way.
create index instances_ready_by_kind on instances (hub, name, coalesce(version, ''), ready_at_us, id)
where ready_at_us is not null and ending = 0;

create index instances_ready_to_end on instances (hub, ready_at_us, id) where ready_at_us is not null and ending = 1;

create index instances_owned on instances (hub, owner) where owner is not null;

create index instances_unread on instances (hub, owner) where unread_from is not null;

-- Without entities, of which there may be a million before the first orchestration; these are listed by id.
create index instances_by_creation on instances (hub, created_at_us, id) where is_entity = 0;

-- Each that ends is one entry more; until then there is none.
create index instances_by_completion on instances (hub, completed_at_us, id) where completed_at_us is not null;

create index instances_by_parent on instances (hub, parent_id) where parent_id is not null;

create table instance_tags (
    hub integer not null,
    tag text not null,
    value text not null,
    key integer not null,
    primary key (hub, tag, value, key)
) strict, without rowid;

-- One row a turn. The primary key is the second belt of the fence: no turn can be written twice.
create table history (
    key integer not null,
    execution integer not null,
    turn integer not null,
    events blob not null,
    primary key (key, execution, turn)
) strict, without rowid;

-- Ids are never used again, because workers remember which letters they have seen.
create table letters (
    id integer primary key autoincrement,
    key integer not null,
    execution integer,
    letter blob not null,
    final integer not null default 0
) strict;

create index letters_by_instance on letters (key, id);

create index letters_final on letters (key) where final = 1;

create table queued_activities (
    id integer primary key autoincrement,
    hub integer not null,
    key integer not null,
    execution integer not null,
    seq integer not null,
    attempt integer not null,
    name text not null,
    input blob not null,
    options blob not null,
    owner text,
    fetched_in integer not null default 0,
    attempts integer not null default 0
) strict;

-- For workers that take any name, of which there may be as many as callers think of.
create index queued_activities_free on queued_activities (hub, id) where owner is null;

create index queued_activities_free_by_name on queued_activities (hub, name, id) where owner is null;

create index queued_activities_owned on queued_activities (hub, owner) where owner is not null;

create index queued_activities_by_instance on queued_activities (key, seq);

-- Outcomes already given, so that a client may repeat a call.
create table requests (
    hub integer not null,
    id text not null,
    answer text not null,
    answered_at_us integer not null,
    primary key (hub, id)
) strict, without rowid;

create index requests_by_age on requests (hub, answered_at_us);

-- What came of requests that instances answer, for the clients that wait for it.
create table answers (
    hub integer not null,
    id text not null,
    answer blob not null,
    answered_at_us integer not null,
    primary key (hub, id)
) strict, without rowid;

create index answers_by_age on answers (hub, answered_at_us);

-- The last execution of purged and discarded ids: a later life goes on above it, so that late letters miss it.
create table tombstones (
    hub integer not null,
    id text not null,
    execution integer not null,
    purged_at_us integer not null,
    primary key (hub, id)
) strict, without rowid;

create index tombstones_by_age on tombstones (hub, purged_at_us);
