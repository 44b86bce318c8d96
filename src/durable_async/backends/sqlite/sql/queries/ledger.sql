-- The ledger: how the state of instances is loaded before, and written after, the decisions of one transaction.
-- Statements with question marks run once for each of many rows.

-- name: load_instances
-- All instances that a call touches, at once; payloads stay where they are.
select id, key, status, execution, version, owner, ready_at_us, hold_until_us, start_at_us, unread_from, ending,
    attempts, parked, updated_at_us, completed_at_us, will_receivers is not null
from instances
where hub = :hub and id in (select value from json_each(:ids))

-- name: parent_of
-- Asked only for letters that are meant for a sub-orchestration.
select parent_id, parent_execution, parent_seq, parent_depth from instances where key = :key

-- name: load_wills
-- Read only when they are sent.
select key, will_receivers, will_letter from instances where key in (select value from json_each(:keys))

-- name: load_unclaimed_activities
-- One that somebody runs is not given up.
select q.id, q.key, q.execution, q.seq from json_each(:wanted) wanted
cross join queued_activities q on q.key = json_extract(wanted.value, '$[0]') and q.seq = json_extract(wanted.value, '$[1]')
where q.owner is null

-- name: load_final_letters
-- Asked only about instances that are ending: once the last of these is gone, they are not.
select key, id, execution from letters where final = 1 and key in (select value from json_each(:keys))

-- name: load_tombstones
-- A reused id goes on above its last execution.
select id, execution from tombstones where hub = :hub and id in (select value from json_each(:ids))

-- name: load_claimed_activities
-- An activity that was claimed by somebody else, or is gone, has no result to give.
select id, key, execution, seq from queued_activities
where hub = :hub and owner = :worker and id in (select value from json_each(:ids))

-- name: load_requests
-- Requests that were answered before get the same answer.
select id, answer from requests where hub = :hub and id in (select value from json_each(:ids))

-- name: next_letter
-- The first letter of this transaction gets this id, or a higher one.
select coalesce(max(seq), 0) + 1 from sqlite_sequence where name = 'letters'

-- name: count_letters
-- Counts no further than the bound of a mailbox.
select count(*) from (select 1 from letters where key = :key limit :limit)

-- name: turn_exists
-- Asked only after the primary key of history refused a batch, to find the turn that is to blame.
select 1 from history where key = :key and execution = :execution and turn = :turn

-- name: next_key
-- Nothing of a purged instance is left under its key, so a key may be used again.
select coalesce(max(key), 0) + 1 from instances

-- name: delete_instances
-- Purged, or replaced by a new life of the same id.
delete from instances where key = ?

-- name: tags_of
-- An instance's own list leads to its rows of tags; an index by instance would double that table.
select t.key, t.value, i.key from instances i cross join json_each(i.tags) t
where i.key in (select value from json_each(:keys)) and i.tags is not null

-- name: delete_tags
-- By the whole primary key, as tags_of gave it.
delete from instance_tags where hub = ? and tag = ? and value = ? and key = ?

-- name: delete_history_before
-- Continue-as-new, rewind and purge let go of old executions.
delete from history where key = ? and execution < ?

-- name: delete_letters
-- Exactly those that a turn consumed, and only its own.
delete from letters where id = ? and key = ?

-- name: delete_letters_of
-- The end of an instance empties its mailbox.
delete from letters where key = ?

-- name: delete_letters_before
-- Letters for an execution that is over; those for whichever is current stay.
delete from letters where key = ? and execution < ?

-- name: delete_queued_of
-- Queued activities go with the execution that queued them.
delete from queued_activities where key = ?

-- name: delete_queued_seq
-- Cancelled by a turn.
delete from queued_activities where key = ? and seq = ?

-- name: delete_queued
-- Ended, with a result.
delete from queued_activities where id = ?

-- name: empty_entities
-- Those that lose nothing if they are forgotten.
select i.id from instances i
where i.hub = :hub and i.is_entity = 1 and i.id in (select value from json_each(:ids))
    and i.state is null and not exists (select 1 from letters l where l.key = i.key)

-- name: insert_instances
-- The key was chosen by the ledger, so that history and letters can follow without a look back.
insert into instances (
    key, hub, id, name, status, execution, version, owner, ready_at_us, hold_until_us, start_at_us, unread_from, ending,
    attempts, parked, created_at_us, updated_at_us, completed_at_us, parent_id, parent_execution, parent_seq, parent_depth, tags
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_tags
-- Searched by key and value.
insert into instance_tags (hub, tag, value, key) values (?, ?, ?, ?)

-- name: save_instances
-- The whole state of what changed: one statement for every kind of change.
update instances
set status = ?, execution = ?, version = ?, owner = ?, ready_at_us = ?, hold_until_us = ?, unread_from = ?, ending = ?,
    attempts = ?, parked = ?, updated_at_us = ?, completed_at_us = ?
where key = ?

-- name: save_outcomes
-- Apart from the state, because payloads are large and change once.
update instances set output = ?, failure = ? where key = ?

-- name: save_custom_statuses
-- Apart from the state, because payloads are large and change seldom.
update instances set custom_status = ? where key = ?

-- name: save_snapshots
-- All that most turns of an entity write of it: no indexed column, so no index is touched.
update instances set state = ?, updated_at_us = ?, attempts = 0 where key = ?

-- name: save_wills
-- Apart from the state, because they change seldom.
update instances set will_receivers = ?, will_letter = ? where key = ?

-- name: take_children_along
-- What ended as a child of an execution that is rewritten belongs to the next one.
update instances set parent_execution = parent_execution + 1
where hub = ? and parent_id = ? and parent_execution = ? and completed_at_us is not null

-- name: save_parents
-- A rewritten instance may report to another execution of its parent.
update instances set parent_id = ?, parent_execution = ?, parent_seq = ?, parent_depth = ? where key = ?

-- name: insert_history
-- Refused by the primary key if the turn was written before.
insert into history (key, execution, turn, events) values (?, ?, ?, ?)

-- name: insert_letters
-- Ids grow in the order of arrival.
insert into letters (key, execution, letter, final) values (?, ?, ?, ?)

-- name: insert_queued
-- Ids grow in the order of arrival.
insert into queued_activities (hub, key, execution, seq, attempt, name, input, options) values (?, ?, ?, ?, ?, ?, ?, ?)

-- name: save_options
-- What a running activity reported is there for whoever has to begin it again.
update queued_activities set options = ? where id = ?

-- name: recount_activities
-- Returned or not: the owner is given anew.
update queued_activities set attempts = ?, owner = ? where id = ?

-- name: wake_released
-- A letter that the owner had not seen when it let the instance go makes it ready at once. Runs after all letters are in.
update instances set ready_at_us = min(coalesce(ready_at_us, ?), ?)
where key = ? and owner is null and exists (
    select 1 from letters where letters.key = instances.key and letters.id not in (select value from json_each(?))
)

-- name: insert_requests
-- Kept so that a repetition of the request gets the same answer.
insert into requests (hub, id, answer, answered_at_us) values (?, ?, ?, ?)

-- name: insert_answers
-- The first answer to a request stands.
insert into answers (hub, id, answer, answered_at_us) values (?, ?, ?, ?) on conflict (hub, id) do nothing

-- name: insert_tombstones
-- The newest life counts.
insert into tombstones (hub, id, execution, purged_at_us) values (?, ?, ?, ?)
on conflict (hub, id) do update set execution = excluded.execution, purged_at_us = excluded.purged_at_us
