-- Claims: what a worker's fetch takes.

-- name: probe
-- One read, without the write lock, that tells whether a fetch would find anything; this is what an idle worker costs.
select
    epoch,
    :instances > 0 and exists (
        select 1 from instances
        where hub = :hub and ready_at_us <= :now_us
            and (ending = 1 or name in (select value from json_each(:names)))
    ),
    exists (select 1 from instances where hub = :hub and owner = :worker and marked = 1),
    :activities > 0 and exists (
        select 1 from queued_activities
        where hub = :hub and owner is null and name in (select value from json_each(:activity_names))
    ),
    (select min(ready_at_us) from instances where hub = :hub and ready_at_us > :now_us)
from workers
where hub = :hub and id = :worker

-- name: ready_instances
-- In the order of the index instances_ready, which ends the search after the quota.
select key, id, name, version, status, execution, attempts + 1, start_at_us,
    state, parent_id, parent_execution, parent_seq, parent_depth
from instances
where hub = :hub and ready_at_us <= :now_us and (ending = 1 or name in (select value from json_each(:names)))
order by ready_at_us, id
limit :instances

-- name: claim_instances
-- Counts the attempt before the turn is tried, so that a crash counts. What was parked is claimed to be ended. Runs for each key.
update instances
set owner = ?, fetched_in = ?, ready_at_us = null, hold_until_us = 0, marked = 0, attempts = attempts + 1, parked = null
where key = ?

-- name: history_after
-- Read row by row, until the caller has as many bytes as it wants.
select turn, events from history
where key = :key and execution = :execution and turn > :after_turn
order by turn

-- name: take_marks
-- Takes the mark off in the transaction that reads the letters: what arrives later sets it again.
update instances set marked = 0
where hub = :hub and owner = :worker and marked = 1
returning key, id

-- name: letters_of
-- Ids are given in order of arrival.
select id, key, execution, letter from letters
where key in (select value from json_each(:keys))
order by id

-- name: queued_of
-- What a new owner must not run as well.
select distinct key, seq from queued_activities where key in (select value from json_each(:keys)) order by key, seq

-- name: free_activities_by_name
-- First in, first out, in the order of the index queued_activities_free.
select q.id, q.attempts + 1, i.id, q.execution, q.seq, q.attempt, q.name, q.input, q.options
from queued_activities q cross join instances i on i.key = q.key
where q.hub = :hub and q.owner is null and q.name in (select value from json_each(:activity_names))
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
update instances set marked = 1
where hub = :hub and owner = :worker and exists (select 1 from letters where letters.key = instances.key)

-- name: claimed_activities
-- Asked about once a second by a worker that runs some.
select id from queued_activities
where hub = :hub and owner = :worker and id in (select value from json_each(:ids))
