-- Workers: registration, leases, the fence, takeover. Parameters are named, except in statements that run once for each of many rows.

-- name: register_worker
-- A plain insert: an id that is registered already must not be taken over by a namesake.
insert into workers (hub, id, epoch, seq, lease_until_us, has_lifeline, host, pid, registered_at_us)
values (:hub, :worker, :epoch, 0, :lease_until_us, :has_lifeline, :host, :pid, :registered_at_us)

-- name: move_fence
-- The compare-and-set that every commit begins with; no row means that nothing may be written.
update workers set seq = seq + 1 where hub = :hub and id = :worker and epoch = :epoch and seq = :seq

-- name: read_fence
-- Tells whether an unknown commit landed, and for the verbs that move nothing, whether the epoch still stands.
select epoch, seq from workers where hub = :hub and id = :worker

-- name: renew_lease
-- A lease that ran out may be taken over at any moment, so it cannot come back.
update workers set lease_until_us = :lease_until_us
where hub = :hub and id = :worker and epoch = :epoch and lease_until_us > :now_us

-- name: other_workers
-- Candidates for a takeover; whether their process lives is asked outside.
select id, epoch, lease_until_us, has_lifeline from workers where hub = :hub and id <> :worker order by id

-- name: count_workers
-- How many there are, and what they have committed in all.
select count(*), coalesce(sum(seq), 0) from workers where hub = :hub

-- name: read_workers
-- For people; whether their process lives is asked outside.
select w.id, w.host, w.pid, w.registered_at_us, w.lease_until_us, w.has_lifeline, w.epoch, w.seq,
    (select count(*) from instances i where i.hub = w.hub and i.owner = w.id),
    (select count(*) from queued_activities q where q.hub = w.hub and q.owner = w.id)
from workers w
where w.hub = :hub
order by w.id

-- name: unseat_worker
-- Asks again, because the lease may have been renewed since the worker was found dead.
delete from workers
where hub = :hub and id = :worker and epoch = :epoch and (:is_gone or lease_until_us <= :now_us)

-- name: forget_worker
-- Epoch and seq go with the row; a worker's id is used once.
delete from workers where hub = :hub and id = :worker

-- name: free_instances
-- After a death (handed_back 0) the attempt stands, after a retirement (1) the claim, or the trial, does not count. All, or what one fetch
-- claimed: nobody has tried that, so that attempts from the fourth on are of earlier trials, and stand.
update instances
set owner = null, ready_at_us = :now_us, hold_until_us = 0, unread_from = null,
    attempts = case when :fetch is null or attempts <= 3 then max(attempts - :handed_back, 0) else attempts end
where hub = :hub and owner = :worker and (:fetch is null or fetched_in = :fetch)

-- name: free_activities
-- The same for claimed activities.
update queued_activities
set owner = null, attempts = case when :fetch is null or attempts <= 3 then max(attempts - :handed_back, 0) else attempts end
where hub = :hub and owner = :worker and (:fetch is null or fetched_in = :fetch)

-- name: sweep_requests
-- In small portions: a sweep must not hold the only write lock for long.
delete from requests where hub = :hub and id in (
    select id from requests where hub = :hub and answered_at_us < :before_us limit :limit
)

-- name: sweep_answers
-- In small portions, as above.
delete from answers where hub = :hub and id in (
    select id from answers where hub = :hub and answered_at_us < :before_us limit :limit
)

-- name: sweep_tombstones
-- In small portions, as above.
delete from tombstones where hub = :hub and id in (
    select id from tombstones where hub = :hub and purged_at_us < :before_us limit :limit
)

-- name: has_old_rows
-- Read before a sweep, which takes the write lock.
select exists (select 1 from requests where hub = :hub and answered_at_us < :requests_before_us)
    or exists (select 1 from answers where hub = :hub and answered_at_us < :requests_before_us)
    or exists (select 1 from tombstones where hub = :hub and purged_at_us < :tombstones_before_us)
