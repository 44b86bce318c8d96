-- What clients ask for.
--
-- Here and there the hub is asked for in a subquery, so that no plan is made for the one hub: as long as the statistics do not know a hub they
-- take it for nearly empty, and any index that begins with the hub for as good as the right one. A pool of the caller's plans like that.

-- name: start_instance
-- Where one comes alone whose id is new, by a function: all of it, or nothing and no row.
select 1 as place, true as created, 'pending' as status, execution, taken
from {schema}.start_instance($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: create_instances
-- Each request is answered once, by a function.
select place, created, status, execution, taken
from {schema}.create_instances(
    $1, $2, $3, $4, $5, $6::text::bigint[], $7::text::bigint[], $8, $9::text::smallint[],
    $10, $11::text::bigint[], $12::text::bigint[], $13::text::integer[], $14, $15, $16, $17, $18, $19
)

-- name: send_letters
-- Each request is answered once, by a function.
select place, verdict, key, near from {schema}.send_letters(
    $1, $2, $3, $4, $5, $6::text::bigint[], $7, $8, $9, $10, $11, $12::text::bigint[], $13::text::bigint[], $14
)

-- name: send_letter
-- The same for one letter, whose columns are plain values.
select place, verdict, key, near from {schema}.send_letter($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: read_answers
-- Asked by all who wait, so by a function.
select * from {schema}.read_answers($1, $2)

-- name: read_letters
-- In order of arrival.
select l.id, i.id as instance_id, l.execution, l.letter
from {schema}.instances i
join {schema}.letters l on l.hub = i.hub and l.key = i.key
where i.hub = (select $1::integer) and i.id = $2
order by l.id
limit $3

-- name: read_queued
-- Along the index queued_activities_by_instance.
select q.seq, q.owner
from {schema}.instances i
join {schema}.queued_activities q on q.hub = i.hub and q.key = i.key
where i.hub = (select $1::integer) and i.id = $2
order by q.id

-- name: entity_columns
-- As read_entities and query_entities return them.
i.id, i.name, i.state, i.created_at_us, i.updated_at_us, i.parked, i.owner,
    (select count(*) from {schema}.letters l where l.hub = i.hub and l.key = i.key) as letters

-- name: read_entities
-- The caller puts them in order.
select
-- include: entity_columns
from {schema}.entities_of($1, $2) i

-- name: query_entities
-- Between two ids of the unique index, which is also the order of the answer.
select
-- include: entity_columns
from {schema}.entities_within($1, $2, $3, $4, $5, $6, $7, $8) i
order by i.id

-- name: discard_entities
-- In one transaction, by a function.
select * from {schema}.discard_entities($1, $2)

-- name: purge_instances
-- In one transaction, by a function.
select * from {schema}.purge_instances($1, $2)

-- name: expire_instances
-- In one transaction, by a function.
select id, name, ended_us, looked_at from {schema}.expire_instances($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: rewrite_instances
-- All or none, by a function.
select {schema}.rewrite_instances(
    $1, $2, $3::text::bigint[], $4, $5, $6::text::bigint[], $7::text::bigint[], $8::text::integer[],
    $9, $10::text::bigint[], $11
)

-- name: unpark_instances
-- In one transaction, by a function.
select * from {schema}.unpark_instances($1, $2)

-- name: instance_columns
-- As read_instances returns them; $2 tells whether payloads are wanted.
i.id, i.name, i.version, i.status, i.execution, i.created_at_us, i.updated_at_us, i.completed_at_us, i.start_at_us,
    i.tags::text as tags, i.parent_id, i.parent_execution, i.parent_seq, i.parent_depth, i.custom_status, i.failure, i.parked, i.owner,
    case when $2 then i.output end as output,
    case when $2 then (
        select h.events from {schema}.history h
        where h.hub = i.hub and h.key = i.key and h.execution = i.execution and h.turn = 0
    ) end as started_events

-- name: read_instances
-- Asked all the time, so by a function; the caller puts them in order.
select * from {schema}.read_instances($1, $2, $3)

-- name: instance_conditions
-- A condition that is null holds for everything.
i.hub = (select $1::integer) and not i.is_entity
    and ($7::text[] is null or i.status = any ($7::text[]))
    and ($8::text[] is null or i.name = any ($8::text[]))
    and starts_with(i.id, $9::text)
    and ($10::bigint is null or i.created_at_us >= $10)
    and ($11::bigint is null or i.created_at_us < $11)
    and ($12::bigint is null or i.completed_at_us >= $12)
    and ($13::bigint is null or i.completed_at_us < $13)
    and ($14::text is null or i.parent_id = $14)
    and ($15::boolean is null or (i.parked is not null) = $15)
    and ($16::text::jsonb is null or i.tags @> $16::text::jsonb)

-- name: in_order_of_creation
-- Between two bounds and after the page before: a range of the index.
    and i.created_at_us >= $3 and i.created_at_us < $4
    and (i.created_at_us, i.id) > ($5, $6::text)
order by i.created_at_us, i.id
limit $17

-- name: in_order_of_completion
-- The same.
    and i.completed_at_us >= $3 and i.completed_at_us < $4
    and (i.completed_at_us, i.id) > ($5, $6::text)
order by i.completed_at_us, i.id
limit $17

-- name: newest_first
-- The same range from its other end.
    and i.created_at_us >= $3 and i.created_at_us < $4
    and (i.created_at_us, i.id) < ($5, $6::text)
order by i.created_at_us desc, i.id desc
limit $17

-- name: latest_first
-- The same.
    and i.completed_at_us >= $3 and i.completed_at_us < $4
    and (i.completed_at_us, i.id) < ($5, $6::text)
order by i.completed_at_us desc, i.id desc
limit $17

-- name: query_instances
-- Along the index instances_by_creation, which is also the order of the answer.
select
-- include: instance_columns
from {schema}.instances i
where
-- include: instance_conditions
-- include: in_order_of_creation

-- name: query_ended
-- Along the index instances_by_completion.
select
-- include: instance_columns
from {schema}.instances i
where
-- include: instance_conditions
-- include: in_order_of_completion

-- name: query_newest
-- Along instances_by_creation, backward.
select
-- include: instance_columns
from {schema}.instances i
where
-- include: instance_conditions
-- include: newest_first

-- name: query_latest
-- Along instances_by_completion, backward.
select
-- include: instance_columns
from {schema}.instances i
where
-- include: instance_conditions
-- include: latest_first

-- name: query_few_instances
-- From a parent's children, or from those with some tags: a few, that are sorted afterwards.
select
-- include: instance_columns
from {schema}.few_instances($1, $14, $16::text::jsonb) i
where
-- include: instance_conditions
-- include: in_order_of_creation

-- name: query_few_ended
-- As above.
select
-- include: instance_columns
from {schema}.few_instances($1, $14, $16::text::jsonb) i
where
-- include: instance_conditions
-- include: in_order_of_completion

-- name: query_few_newest
-- As above.
select
-- include: instance_columns
from {schema}.few_instances($1, $14, $16::text::jsonb) i
where
-- include: instance_conditions
-- include: newest_first

-- name: query_few_latest
-- As above.
select
-- include: instance_columns
from {schema}.few_instances($1, $14, $16::text::jsonb) i
where
-- include: instance_conditions
-- include: latest_first

-- name: find_instance
-- Which execution is current.
select key, execution from {schema}.instances where hub = $1 and id = $2

-- name: history_after
-- Up to a number of bytes, at least one row; whether more follow. One statement, so that all of it is of one moment.
select t.execution, t.turn, t.events, t.more
from (
    select i.execution,
        h.turn, h.events,
        sum(octet_length(h.events)) over (order by h.turn) as bytes,
        row_number() over (order by h.turn) as nth,
        lead(true, 1, false) over (order by h.turn) as more
    from (
        select hub, key, coalesce($3, execution) as execution from {schema}.instances
        where hub = (select $1::integer) and id = $2
    ) i
    left join {schema}.history h
        on h.hub = i.hub and h.key = i.key and h.execution = i.execution and h.turn > $4
) t
where t.bytes is null or t.bytes <= $5 or t.nth = 1
order by t.turn

-- name: statistics
-- Scans; statistics are asked for by people.
select
    (select coalesce(json_object_agg(s.status, s.count), '{}')::text from (
        select status, count(*) as count from {schema}.instances where hub = $1 and not is_entity group by status
    ) s) as by_status,
    (select count(*) from {schema}.instances where hub = $1 and is_entity) as entities,
    (select count(*) from {schema}.instances where hub = $1 and parked is not null) as parked,
    (select count(*) from {schema}.workers where hub = $1) as workers,
    (select count(*) from {schema}.letters where hub = $1) as letters,
    (select count(*) from {schema}.queued_activities where hub = $1) as queued_activities
