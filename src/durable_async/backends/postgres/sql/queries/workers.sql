-- Workers: what is asked and written apart from the functions of the schema.

-- name: find_hub
-- Hubs are created when they are first opened.
select hub from {schema}.hubs where name = $1

-- name: create_hub
-- Two processes may come at once.
insert into {schema}.hubs (name) values ($1) on conflict (name) do nothing

-- name: clock
-- The one clock, to be followed by one's own between two answers.
select {schema}.clock_us()

-- name: register_worker
-- A plain insert: an id that is registered already must not be taken over by a namesake. The epoch is never the same for a later one.
with registered as (
    insert into {schema}.workers (hub, id, epoch, seq, lifeline, host, pid, registered_at_us, schema_version)
    select $1, $2, {schema}.clock_us(), 0, $3, $5, $6, {schema}.clock_us(), $7
    returning epoch
)
insert into {schema}.leases (hub, worker, epoch, until_us)
select $1, $2, r.epoch, {schema}.clock_us() + $4 from registered r
returning epoch

-- name: read_fence
-- Tells whether an unknown commit landed.
select epoch, seq from {schema}.workers where hub = $1 and id = $2

-- name: renew_lease
-- A lease that ran out may be taken over at any moment, so it cannot come back.
update {schema}.leases set until_us = {schema}.clock_us() + $4
where hub = $1 and worker = $2 and epoch = $3 and until_us > {schema}.clock_us()
returning until_us

-- name: retire_worker
-- In one transaction, by a function.
select {schema}.retire_worker($1, $2, $3)

-- name: dead_workers
-- Whether the caller's epoch stands, in each row, and candidates, if any; take_over looks again under the lock.
select c.stands, d.id, d.epoch, d.expired
from (select exists (select from {schema}.workers where hub = $1 and id = $2 and epoch = $3) as stands) c
left join {schema}.dead_workers($1, $2) d on true

-- name: take_over
-- In one transaction for each dead worker, by a function.
select {schema}.take_over($1, $2, $3, $4, $5)

-- name: commit_batch
-- The whole commit, by a function.
select fenced, dropped, brought_work, near_key, near_worker from {schema}.commit_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17::text::integer[], $18::text::bigint[], $19, $20, $21, $22, $23, $24, $25, $26,
    $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51,
    $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64, $65, $66, $67, $68, $69, $70, $71, $72, $73, $74, $75, $76,
    $77, $78, $79, $80, $81, $82, $83, $84, $85, $86, $87
)

-- name: written_turns
-- After a conflict, to leave out the turns that are to blame.
select id, execution, turn from {schema}.written_turns($1, $2, $3, $4, $5)

-- name: claim_work
-- Everything that a fetch answers, in rows of several kinds.
select * from {schema}.claim_work($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

-- name: take_stock
-- In one transaction, by a function.
select {schema}.take_stock($1, $2, $3, $4)

-- name: mark_unheard
-- In one transaction, by a function.
select {schema}.mark_unheard($1, $2, $3, $4)

-- name: claimed_activities
-- Asked about once a second by a worker that runs some.
select id from {schema}.queued_activities where hub = $1 and id = any ($3::bigint[]) and owner = $2

-- name: sweep
-- In one transaction, by a function.
select {schema}.sweep($1, $2, $3, $4, $5)
