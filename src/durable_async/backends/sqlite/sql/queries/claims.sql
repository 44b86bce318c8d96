-- Claims: what a worker's fetch takes.

-- name: for_this_worker
-- Without names, any name. What is to be ended is for everybody.
ending = 1
or (:names is null or name in (select value from json_each(:names)))
    and (
        :passed_over is null
        or (name, coalesce(version, '')) not in (
            select json_extract(value, '$[0]'), json_extract(value, '$[1]') from json_each(:passed_over)
        )
    )

-- name: probe
-- One read, without the write lock, that tells whether a fetch would find anything; this is what an idle worker costs.
select
    epoch,
    :instances > 0 and exists (
        select 1 from instances
        where hub = :hub and ready_at_us <= :now_us
            and (
-- include: for_this_worker
            )
    ),
    exists (select 1 from instances where hub = :hub and owner = :worker and unread_from is not null),
    :activities > 0 and exists (
        select 1 from queued_activities
        where hub = :hub and owner is null
            and (:activity_names is null or name in (select value from json_each(:activity_names)))
    ),
    (select min(ready_at_us) from instances where hub = :hub and ready_at_us > :now_us)
from workers
where hub = :hub and id = :worker

-- name: ready_instances
-- In the order of the index instances_ready, which ends the search after the quota.
select key, id, name, version, status, execution, attempts + 1, start_at_us,
    state, parent_id, parent_execution, parent_seq, parent_depth
from instances
where hub = :hub and ready_at_us <= :now_us
    and (
-- include: for_this_worker
    )
order by ready_at_us, id
limit :instances

-- name: claim_instances
-- Counts the attempt before the turn is tried, so that a crash counts. What was parked is claimed to be ended. Runs for each key.
update instances
set owner = ?, fetched_in = ?, ready_at_us = null, hold_until_us = 0, unread_from = null, attempts = attempts + 1,
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

-- name: free_activities_by_name
-- First in, first out, in the order of the index queued_activities_free.
select q.id, q.attempts + 1, i.id, q.execution, q.seq, q.attempt, q.name, q.input, q.options
from queued_activities q cross join instances i on i.key = q.key
where q.hub = :hub and q.owner is null
    and (:activity_names is null or q.name in (select value from json_each(:activity_names)))
order by q.id
limit :activities

-- name: claim_activities
-- Counts the attempt, as for instances. Runs for each id.
update queued_activities set owner = ?, fetched_in = ?, attempts = attempts + 1 where id = ?

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
