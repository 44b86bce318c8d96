-- What clients ask for, on the reading connection.

-- name: instance_columns
-- The same columns, in the same order, for one and for many.
select i.id, i.name, i.version, i.status, i.execution, i.created_at_us, i.updated_at_us, i.completed_at_us, i.start_at_us,
    i.tags, i.parent_id, i.parent_execution, i.parent_seq, i.parent_depth, i.custom_status, i.failure, i.parked, i.owner,
    case when :payloads then i.output end,
    case when :payloads then (
        select h.events from history h where h.key = i.key and h.execution = i.execution and h.turn = 0
    ) end

-- name: read_instances
-- By the unique index; the caller puts them in order.
-- include: instance_columns
from instances i
where i.hub = :hub and i.id in (select value from json_each(:ids))

-- name: instance_conditions
-- Orchestrations alone. A condition that is null holds for everything.
i.hub = :hub and i.is_entity = 0
    and (:statuses is null or i.status in (select value from json_each(:statuses)))
    and (:names is null or i.name in (select value from json_each(:names)))
    and substr(i.id, 1, length(:id_prefix)) = :id_prefix
    and (:created_from_us is null or i.created_at_us >= :created_from_us)
    and (:created_to_us is null or i.created_at_us < :created_to_us)
    and (:completed_from_us is null or i.completed_at_us >= :completed_from_us)
    and (:completed_to_us is null or i.completed_at_us < :completed_to_us)
    and (:parent_id is null or i.parent_id = :parent_id)
    and (:parked is null or (i.parked is not null) = :parked)
    and not exists (
        select 1 from json_each(:tags) wanted
        where not exists (
            select 1 from instance_tags t
            where t.hub = i.hub and t.tag = wanted.key and t.value = wanted.value and t.key = i.key
        )
    )

-- name: in_order_of_creation
-- Between two bounds and after the page before: a range of the index.
    and i.created_at_us >= :from_us and i.created_at_us < :to_us
    and (i.created_at_us, i.id) > (:after_us, :after_id)
order by i.created_at_us, i.id
limit :limit

-- name: in_order_of_completion
-- The same.
    and i.completed_at_us >= :from_us and i.completed_at_us < :to_us
    and (i.completed_at_us, i.id) > (:after_us, :after_id)
order by i.completed_at_us, i.id
limit :limit

-- name: newest_first
-- The same range from its other end.
    and i.created_at_us >= :from_us and i.created_at_us < :to_us
    and (i.created_at_us, i.id) < (:after_us, :after_id)
order by i.created_at_us desc, i.id desc
limit :limit

-- name: latest_first
-- The same.
    and i.completed_at_us >= :from_us and i.completed_at_us < :to_us
    and (i.completed_at_us, i.id) < (:after_us, :after_id)
order by i.completed_at_us desc, i.id desc
limit :limit

-- name: query_instances
-- Along the index instances_by_creation, which is also the order of the answer.
-- include: instance_columns
from instances i
where
-- include: instance_conditions
-- include: in_order_of_creation

-- name: query_ended
-- Along the index instances_by_completion.
-- include: instance_columns
from instances i
where
-- include: instance_conditions
-- include: in_order_of_completion

-- name: query_newest
-- Along instances_by_creation, backward.
-- include: instance_columns
from instances i
where
-- include: instance_conditions
-- include: newest_first

-- name: query_latest
-- Along instances_by_completion, backward.
-- include: instance_columns
from instances i
where
-- include: instance_conditions
-- include: latest_first

-- name: few_instances
-- A parent's children, or one tag's instances.
from (
    select c.key from instances c where c.hub = :hub and c.parent_id = :parent_id
    union
    select t.key from instance_tags t where t.hub = :hub and t.tag = :tag and t.value = :value
) few
cross join instances i on i.key = few.key

-- name: query_few_instances
-- A few, that are sorted afterwards.
-- include: instance_columns
-- include: few_instances
where
-- include: instance_conditions
-- include: in_order_of_creation

-- name: query_few_ended
-- As above.
-- include: instance_columns
-- include: few_instances
where
-- include: instance_conditions
-- include: in_order_of_completion

-- name: query_few_newest
-- As above.
-- include: instance_columns
-- include: few_instances
where
-- include: instance_conditions
-- include: newest_first

-- name: query_few_latest
-- As above.
-- include: instance_columns
-- include: few_instances
where
-- include: instance_conditions
-- include: latest_first

-- name: expired_instances
-- The next ones along the index instances_by_completion, and whether each is to go: not while the run of its parent goes on that
-- started it, nor once that has failed, which a rewind lets go on. No parent whose child is to go comes to need it later, so nobody asks again.
select i.id, i.name, i.execution, i.completed_at_us,
    i.status in (select value from json_each(:statuses))
        and (:names is null or i.name in (select value from json_each(:names)))
        and i.name not in (select value from json_each(:other_than))
        and not exists (
            select 1 from instances p
            where p.hub = i.hub and p.id = i.parent_id and p.execution = i.parent_execution
                and (p.completed_at_us is null or p.status = 'failed')
        )
from instances i
where i.hub = :hub and i.completed_at_us >= :after_us and i.completed_at_us <= :until_us
    and (i.completed_at_us, i.id) > (:after_us, :after_id)
order by i.completed_at_us, i.id
limit :limit

-- name: entity_columns
-- The same columns, in the same order, for those of an id and those of a query.
select i.id, i.name, i.state, i.created_at_us, i.updated_at_us,
    (select count(*) from letters l where l.key = i.key), i.parked, i.owner
from instances i

-- name: read_entities
-- By the unique index; the caller puts them in order.
-- include: entity_columns
where i.hub = :hub and i.is_entity = 1 and i.id in (select value from json_each(:ids))

-- name: query_entities
-- A range of the unique index by id, which is also the order of the answer. A condition that is null holds for everything.
-- include: entity_columns
where i.hub = :hub and i.is_entity = 1
    and i.id >= :from_id and i.id < :to_id
    and (:updated_from_us is null or i.updated_at_us >= :updated_from_us)
    and (:updated_to_us is null or i.updated_at_us < :updated_to_us)
    and (:has_state is null or (i.state is not null) = :has_state)
order by i.id
limit :limit

-- name: first_letters
-- In order of arrival, along the index letters_by_instance.
select l.id, l.execution, l.letter
from instances i cross join letters l on l.key = i.key
where i.hub = :hub and i.id = :id
order by l.id
limit :limit

-- name: read_queued
-- Along the index queued_activities_by_instance.
select q.seq, q.owner
from instances i cross join queued_activities q on q.key = i.key
where i.hub = :hub and i.id = :id
order by q.id

-- name: read_answers
-- By the primary key; the caller puts them in order.
select id, answer from answers where hub = :hub and id in (select value from json_each(:ids))

-- name: find_instance
-- Which execution is current.
select key, execution from instances where hub = :hub and id = :id

-- name: count_by_status
-- A scan; statistics are asked for by people.
select is_entity, status, count(*), count(parked) from instances where hub = :hub group by is_entity, status

-- name: count_rows
-- As above.
select
    (select count(*) from workers where hub = :hub),
    (select count(*) from instances i cross join letters l on l.key = i.key where i.hub = :hub),
    (select count(*) from queued_activities where hub = :hub)

-- name: find_hub
-- Hubs are created when they are first opened.
select hub from hubs where name = :name

-- name: hub_names
-- For who looks after a file.
select name from hubs order by name

-- name: create_hub
-- Two processes may come at once.
insert into hubs (name) values (:name) on conflict (name) do nothing

-- name: has_meta
-- A new file has no tables at all.
select exists (select 1 from sqlite_master where type = 'table' and name = 'meta')

-- name: schema_version
-- Compared with what this release knows.
select value from meta where name = 'schema_version'

-- name: save_schema_version
-- In the transaction of the migration that leads there.
insert into meta (name, value) values ('schema_version', :version)
on conflict (name) do update set value = excluded.value
