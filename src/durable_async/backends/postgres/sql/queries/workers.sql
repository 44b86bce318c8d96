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

-- name: read_workers
-- For people, and planned once all the same, so by a function.
select * from {schema}.read_workers($1)

-- name: take_over
-- In one transaction for each dead worker, by a function.
select {schema}.take_over($1, $2, $3, $4, $5)

-- name: append_turn
-- The whole commit where a batch is one turn that only appends: all of it, or nothing. Whatever stands in its way, commit_batch finds. One
-- statement is enough: where it had to wait for the fence it looks again whether that holds, and while that holds nobody takes the instance.
with subject as (
    select i.key from {schema}.instances i
    where i.hub = $1 and i.id = $5 and i.owner is not distinct from $2 and i.execution = $6 and i.attempts = 0 and not i.ending
),
fence as (
    update {schema}.workers w set seq = w.seq + 1
    from subject s
    where w.hub = $1 and w.id = $2 and w.epoch = $3 and w.seq = $4
    returning s.key
)
insert into {schema}.history (hub, key, execution, turn, events)
select $1, f.key, $6, $7, $8 from fence f
returning true

-- name: show_turn
-- The whole commit where a batch is one turn that appends and shows a status, by a function: all of it, or nothing, as append_turn.
select shown, brought_work from {schema}.show_turn($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- name: commit_batch
-- The whole commit, by a function.
select fenced, dropped, brought_work, near_key, near_worker from {schema}.commit_batch(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::bigint[], $11::text::bigint[], $12, $13::text::integer[],
    $14::text::integer[], $15::text::bigint[], $16::text::bigint[], $17, $18::text::integer[], $19::text::bigint[],
    $20::text::integer[], $21, $22::text::bigint[], $23, $24, $25, $26, $27, $28, $29, $30, $31::text::integer[], $32, $33,
    $34::text::integer[], $35, $36, $37::text::integer[], $38::text::bigint[], $39::text::integer[], $40::text::bigint[],
    $41::text::bigint[], $42::text::integer[], $43, $44, $45, $46::text::integer[], $47::text::integer[],
    $48::text::bigint[], $49::text::integer[], $50, $51::text::bigint[], $52::text::bigint[], $53, $54::text::bigint[],
    $55::text::bigint[], $56, $57::text::bigint[], $58::text::bigint[], $59::text::bigint[], $60::text::integer[], $61,
    $62::text::bigint[], $63, $64, $65, $66, $67, $68::text::bigint[], $69::text::bigint[], $70, $71, $72, $73,
    $74::text::bigint[], $75::text::bigint[], $76, $77::text::smallint[], $78, $79::text::bigint[], $80::text::bigint[],
    $81::text::integer[], $82::text::integer[], $83, $84::text::integer[], $85, $86::text::bigint[], $87,
    $88::text::bigint[]
)

-- name: written_turns
-- After a conflict, to leave out the turns that are to blame.
select id, execution, turn from {schema}.written_turns($1, $2, $3, $4::text::bigint[], $5::text::bigint[])

-- name: claim_work
-- Everything that a fetch answers, in rows of several kinds.
select * from {schema}.claim_work($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)

-- name: take_stock
-- In one transaction, by a function.
select {schema}.take_stock($1, $2, $3, $4)

-- name: mark_unheard
-- In one transaction, by a function.
select {schema}.mark_unheard($1, $2, $3, $4, $5)

-- name: claimed_activities
-- Asked about once a second by a worker that runs some.
select id from {schema}.queued_activities where hub = $1 and id = any ($3::bigint[]) and owner = $2

-- name: sweep
-- In one transaction, by a function.
select {schema}.sweep($1, $2, $3, $4, $5)
