-- A hub that has been at work for a while; psql puts its number in for :hub.
insert into durable_async.workers (hub, id, epoch, seq, host, pid, registered_at_us, schema_version)
select :hub, 'other-' || w, 1, 0, 'elsewhere', w, 0, 1 from generate_series(1, 4) w;
insert into durable_async.leases (hub, worker, epoch, until_us)
select :hub, 'other-' || w, 1, durable_async.clock_us() + 3600000000 from generate_series(1, 4) w;

-- 20,000 instances: of each ten one is ready, one sleeps, one is idle, two are owned by others, and five have ended.
insert into durable_async.instances (
    hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, completed_at_us,
    owner, marked, status, id, name, parent_id, tags
)
select :hub, 1000000 + n, 1,
    case n % 10 when 0 then 1000 + n when 1 then durable_async.clock_us() + 3600000000 + n end,
    0, 1700000000000000 + n * 1000, 1700000000000000 + n * 1000,
    case when n % 10 > 4 then 1700000000500000 + n * 1000 end,
    case when n % 10 in (3, 4) then 'other-' || (1 + n % 4) end,
    n % 100 = 3,
    case when n % 10 <= 4 then 'running' when n % 10 = 5 then 'failed' else 'completed' end,
    'full-' || n, 'checkout',
    case when n % 20 = 0 then 'full-' || (n - n % 200) end,
    case when n % 4 = 0 then jsonb_build_object('customer', 'c' || n % 1000) end
from generate_series(1, 20000) n;

-- 4,000 that are ready for longer, of a name that nobody asks for.
insert into durable_async.instances (
    hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, status, id, name, version
)
select :hub, 4000000 + n, 1, 100 + n % 10, 0, 1500000000000000 + n, 1500000000000000 + n, 'pending', 'strange-' || n, 'strange',
    case when n % 2 = 0 then 'v' || n % 4 end
from generate_series(1, 4000) n;

-- 20,000 entities, which came before all others: a few are ready, of each ten one is owned by another, and all but those have a state.
insert into durable_async.instances (
    hub, key, execution, ready_at_us, start_at_us, created_at_us, updated_at_us, owner, is_entity, status, id, name, state
)
select :hub, 2000000 + n, 1, case when n <= 3 then n end, 0, 1600000000000000 + n * 1000, 1600000000000000 + n * 1000,
    case when n % 10 = 4 then 'other-' || (1 + n % 4) end, true, 'running', '@counter@full-' || n, '@counter',
    case when n > 3 then '\x93c40130c090'::bytea end
from generate_series(1, 20000) n;

insert into durable_async.marks (hub, owner, key)
select i.hub, i.owner, i.key from durable_async.instances i where i.hub = :hub and i.marked and i.owner like 'other-%';

insert into durable_async.history (hub, key, execution, turn, events)
select :hub, 1000000 + n, 1, t, convert_to(repeat('x', 150), 'UTF8')
from generate_series(1, 20000) n, generate_series(0, 4) t;

insert into durable_async.letters (hub, key, arrived_at_us, urgent, final, letter)
select :hub, 1000000 + n, 1000 + n, false, false, convert_to(repeat('x', 50), 'UTF8')
from generate_series(1, 20000) n, generate_series(1, 2) t
where n % 10 <= 4;

insert into durable_async.queued_activities (hub, key, execution, seq, queued_at_us, attempt, name, owner, input, options)
select :hub, 1000000 + n, 1, 1, n, 1, 'charge', case when n % 10 in (3, 4) then 'other-' || (1 + n % 4) end, 'x', ''
from generate_series(1, 20000) n
where n % 10 between 1 and 4;

insert into durable_async.queued_activities (hub, key, execution, seq, queued_at_us, attempt, name, input, options)
select :hub, 4000000 + n, 1, 1, n, 1, 'strange', 'x', '' from generate_series(1, 4000) n;

insert into durable_async.requests (hub, id, answer, answered_at_us)
select :hub, 'request-' || n, 'delivered', durable_async.clock_us() from generate_series(1, 20000) n;

insert into durable_async.answers (hub, id, answer, answered_at_us)
select :hub, 'answer-' || n, 'x', durable_async.clock_us() from generate_series(1, 20000) n;

insert into durable_async.tombstones (hub, id, execution, purged_at_us)
select :hub, 'gone-' || n, 1, durable_async.clock_us() from generate_series(1, 20000) n;

insert into durable_async.graves (hub, key, buried_at_us)
select :hub, 3000000 + n, durable_async.clock_us() from generate_series(1, 1000) n;
