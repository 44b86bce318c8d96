-- Claims: what a worker's fetch takes.

-- name: probe
-- One read, without the write lock, that tells whether there may be something for a fetch; this is what an idle worker costs.
select
    epoch,
    :instances > 0 and exists (select 1 from instances where hub = :hub and ready_at_us <= :now_us),
    exists (select 1 from instances where hub = :hub and owner = :worker and unread_from is not null),
    :activities > 0 and exists (select 1 from queued_activities where hub = :hub and owner is null),
    (select min(ready_at_us) from instances where hub = :hub and ready_at_us > :now_us)
from workers
where hub = :hub and id = :worker

-- name: ready_kinds
-- The index is named because the planner would take the one of all that is ready.
-- Of these names, the kinds that are ready: a name and a version, '' for none. One search for each kind that is there, however much of it.
with recursive kinds (name, version) as (
    select
        names.value,
        (
            select coalesce(version, '') from instances indexed by instances_ready_by_kind
            where hub = :hub and ending = 0 and ready_at_us is not null and name = names.value
            order by coalesce(version, '')
            limit 1
        )
    from json_each(:names) names
    union all
    select
        kinds.name,
        (
            select coalesce(version, '') from instances indexed by instances_ready_by_kind
            where hub = :hub and ending = 0 and ready_at_us is not null and name = kinds.name
                and coalesce(version, '') > kinds.version
            order by coalesce(version, '')
            limit 1
        )
    from kinds
    where kinds.version is not null
)
select name, version from kinds
where version is not null
    and exists (
        select 1 from instances indexed by instances_ready_by_kind
        where hub = :hub and ending = 0
            and name = kinds.name and coalesce(version, '') = kinds.version and ready_at_us <= :now_us
    )

-- name: ready_of_kind
-- The oldest of a kind.
select ready_at_us, id, key from instances indexed by instances_ready_by_kind
where hub = :hub and ending = 0
    and name = :name and coalesce(version, '') = :version and ready_at_us <= :now_us
order by ready_at_us, id
limit :limit

-- name: ready_to_end
-- The oldest of what is to be ended, which is for everybody.
select ready_at_us, id, key from instances indexed by instances_ready_to_end
where hub = :hub and ending = 1 and ready_at_us <= :now_us
order by ready_at_us, id
limit :limit

-- name: ready_of_any
-- The oldest of whatever name, what is passed over left out.
select ready_at_us, id, key from instances
where hub = :hub and ready_at_us <= :now_us
    and (
        ending = 1
        or :passed_over is null
        or (name, coalesce(version, '')) not in (
            select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(:passed_over)
        )
    )
order by ready_at_us, id
limit :limit

-- name: chosen_instances
-- What a claim carries, in the order of the keys.
select i.key, i.id, i.name, i.version, i.status, i.execution, max(i.attempts, min(i.attempts + 1, 3)), i.start_at_us,
    i.state, i.parent_id, i.parent_execution, i.parent_seq, i.parent_depth
from json_each(:keys) chosen cross join instances i on i.key = chosen.value
order by chosen.key

-- name: claim_instances
-- Counts the attempt before the turn is tried, so that a crash counts; from the fourth on, that is the worker's business. What was parked is
-- claimed to be ended. Runs for each key.
update instances
set owner = ?, fetched_in = ?, ready_at_us = null, hold_until_us = 0, unread_from = null, attempts = max(attempts, min(attempts + 1, 3)),
    parked = null
where key = ?

-- name: history_after
-- Read row by row, until the caller has as many bytes as it wants.
select turn, events from history
where key = :key and execution = :execution and turn > :after_turn
order by turn

-- name: has_unread
-- Whether a fetch would tell of letters, by the index instances_unread.
select 1 from instances where hub = :hub and owner = :worker and unread_from is not null limit 1

-- name: unread_instances
-- Owned ones that got letters since the last fetch.
select key, id, unread_from from instances where hub = :hub and owner = :worker and unread_from is not null

-- name: mark_read
-- In the transaction that reads the letters: what arrives later marks them again.
update instances set unread_from = null where hub = :hub and owner = :worker and unread_from is not null

-- name: letters_of
-- From an id on, those of many instances. Ids are given in order of arrival, so that what waits long is not read again and again.
select l.id, l.key, l.execution, l.letter
from json_each(:wanted) wanted
cross join letters l on l.key = json_extract(wanted.value, '$[0]') and l.id >= json_extract(wanted.value, '$[1]')
order by l.id

-- name: queued_of
-- What a new owner must not run as well.
select distinct key, seq from queued_activities where key in (select value from json_each(:keys)) order by key, seq

-- name: free_names
-- Which of these names are in the queue, one search for each.
select value from json_each(:names)
where exists (select 1 from queued_activities where hub = :hub and owner is null and name = value)

-- name: free_of_name
-- First in, first out.
select id from queued_activities
where hub = :hub and owner is null and name = :name
order by id
limit :limit

-- name: free_of_any
-- The same, of whatever name.
select id from queued_activities
where hub = :hub and owner is null
order by id
limit :limit

-- name: chosen_activities
-- What a claim carries, in the order of the ids.
select q.id, max(q.attempts, min(q.attempts + 1, 3)), i.id, q.execution, q.seq, q.attempt, q.name, q.input, q.options
from json_each(:ids) chosen cross join queued_activities q on q.id = chosen.value cross join instances i on i.key = q.key
order by chosen.key

-- name: claim_activities
-- Counts the attempt, as for instances. Runs for each id.
update queued_activities set owner = ?, fetched_in = ?, attempts = max(attempts, min(attempts + 1, 3)) where id = ?

-- name: number_fetch
-- No row means that it comes too late: one of a higher number was here, or took its place.
update workers set fetched = :number where hub = :hub and id = :worker and fetched < :number

-- name: mark_unread
-- Their owner is to be shown all their letters.
update instances set unread_from = 0
where hub = :hub and owner = :worker and exists (select 1 from letters where letters.key = instances.key)

-- name: claimed_activities
-- Asked about once a second by a worker that runs some.
select id from queued_activities
where hub = :hub and owner = :worker and id in (select value from json_each(:ids))
