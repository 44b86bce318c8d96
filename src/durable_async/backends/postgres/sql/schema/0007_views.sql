-- What an administrator wants to know, in psql. Nothing here is read by workers or clients, and nothing is written for it.
--
-- What an instance waits for follows from its history: operations that were begun and have not ended. So these functions read the bytes of
-- history. Tags and the order of fields are stored for ever; new ones are added to event_kinds by the migration that brings them.
-- Views read tables with their owner's rights: whoever may select from one needs no right to the tables. Functions get values only.

-- Payloads are JSON, and what is not valid text is shown escaped. To catch an error is not safe in a parallel plan, here and in events_of.
create function {schema}.readable(p_data bytea) returns text
language plpgsql immutable strict
set search_path = pg_catalog, pg_temp
as $$
begin
    return convert_from(p_data, 'UTF8');
exception when character_not_in_repertoire or untranslatable_character then
    return encode(p_data, 'escape');
end
$$;

-- The number that 64 bits stand for; what is nearer to 0 than any that is written in full is 0.
create function {schema}.double_of(p_bits bigint) returns double precision
language sql immutable strict parallel safe
begin atomic
    select case
        when (p_bits >> 52 & 2047) = 0 then 0
        else (1 + (p_bits & 4503599627370495) / 4503599627370496::double precision)
            * power(2::double precision, (p_bits >> 52 & 2047) - 1023)
    end * case when p_bits < 0 then -1 else 1 end;
end;

-- One value of MessagePack at an offset, and where the next one begins. Bytes are left out unless wanted.
create function {schema}.unpack(p_data bytea, p_at integer, p_payloads boolean, out value jsonb, out next_at integer)
language plpgsql immutable as $$
declare
    v_byte integer := get_byte(p_data, p_at);
    v_kind text;
    v_width integer := 0;
    v_number bigint := 0;
    v_key text;
    v_item record;
begin
    case
        when v_byte <= 127 then v_kind := 'number'; v_number := v_byte;
        when v_byte >= 224 then v_kind := 'number'; v_number := v_byte - 256;
        when v_byte between 128 and 143 then v_kind := 'map'; v_number := v_byte - 128;
        when v_byte between 144 and 159 then v_kind := 'array'; v_number := v_byte - 144;
        when v_byte between 160 and 191 then v_kind := 'text'; v_number := v_byte - 160;
        when v_byte = 192 then v_kind := 'null';
        when v_byte = 194 then v_kind := 'false';
        when v_byte = 195 then v_kind := 'true';
        when v_byte between 196 and 198 then v_kind := 'bytes'; v_width := 1 << (v_byte - 196);
        when v_byte = 203 then v_kind := 'float'; v_width := 8;
        when v_byte between 204 and 207 then v_kind := 'number'; v_width := 1 << (v_byte - 204);
        when v_byte between 208 and 211 then v_kind := 'number'; v_width := 1 << (v_byte - 208);
        when v_byte between 217 and 219 then v_kind := 'text'; v_width := 1 << (v_byte - 217);
        when v_byte between 220 and 221 then v_kind := 'array'; v_width := 2 << (v_byte - 220);
        when v_byte between 222 and 223 then v_kind := 'map'; v_width := 2 << (v_byte - 222);
        else raise exception 'a history holds the byte %, which this version of the schema cannot read', v_byte;
    end case;
    if v_byte between 208 and 211 and get_byte(p_data, p_at + 1) >= 128 then
        v_number := -1;
    end if;
    for n in 1..v_width loop
        v_number := (v_number << 8) | get_byte(p_data, p_at + n);
    end loop;
    next_at := p_at + 1 + v_width;
    case v_kind
        when 'number' then value := to_jsonb(v_number);
        when 'float' then value := to_jsonb({schema}.double_of(v_number));
        when 'null' then value := 'null';
        when 'false' then value := 'false';
        when 'true' then value := 'true';
        when 'array' then
            value := '[]';
            for n in 1..v_number loop
                v_item := {schema}.unpack(p_data, next_at, p_payloads);
                value := value || jsonb_build_array(v_item.value);
                next_at := v_item.next_at;
            end loop;
        when 'map' then
            value := '{}';
            for n in 1..v_number loop
                v_item := {schema}.unpack(p_data, next_at, p_payloads);
                v_key := v_item.value #>> '{}';
                v_item := {schema}.unpack(p_data, v_item.next_at, p_payloads);
                value := value || jsonb_build_object(v_key, v_item.value);
                next_at := v_item.next_at;
            end loop;
        else
            if v_kind = 'text' or p_payloads then
                value := to_jsonb({schema}.readable(substr(p_data, next_at + 1, v_number::integer)));
            else
                value := 'null';
            end if;
            next_at := next_at + v_number::integer;
    end case;
end
$$;

-- The events of a turn, each as an array that begins with its tag. From where it cannot be read there is one with the tag -1 that says why, so
-- that one bad row does not hide all others.
create function {schema}.events_of(p_turn bytea, p_payloads boolean) returns table (place integer, event jsonb)
language plpgsql immutable strict
set search_path = pg_catalog, pg_temp
as $$
declare
    v_data bytea := p_turn || ''::bytea;  -- unpacked once, not for each byte
    v_first integer;
    v_item record;
    v_at integer;
    v_count bigint;
begin
    v_first := get_byte(v_data, 0);
    if v_first not between 144 and 159 and v_first not in (220, 221) then
        raise exception 'a turn is no list of events';
    end if;
    case v_first
        when 220 then v_at := 3;
        when 221 then v_at := 5;
        else v_at := 1;
    end case;
    v_count := case when v_at = 1 then v_first - 144 else 0 end;
    for n in 1..v_at - 1 loop
        v_count := (v_count << 8) | get_byte(v_data, n);
    end loop;
    for n in 1..v_count loop
        v_item := {schema}.unpack(v_data, v_at, p_payloads);
        v_at := v_item.next_at;
        place := n;
        event := v_item.value;
        return next;
    end loop;
exception when others then
    place := coalesce(place, 0) + 1;
    event := jsonb_build_array(-1, sqlerrm);
    return next;
end
$$;

-- What the tags and fields are called in Python. A history may hold fewer fields than are named here: it is older than the others.
create function {schema}.event_kinds() returns table (tag integer, kind text, fields text[])
language sql immutable parallel safe
begin atomic
    select k.tag, k.kind, string_to_array(k.fields, ' ')
    from (
        values
            (1, 'ExecutionStarted', 'name version input parent start_at_us drawn_as origin'),
            (2, 'TurnStarted', 'at_us python'),
            (3, 'ExecutionSuspended', 'reason'),
            (4, 'ExecutionResumed', 'reason'),
            (5, 'ExecutionTerminated', 'output recursive'),
            (6, 'ExecutionCompleted', 'result'),
            (7, 'ExecutionFailed', 'failure'),
            (8, 'ExecutionContinuedAsNew', 'input version keep_events'),
            (9, 'ExecutionRewound', 'reason request_id'),
            (10, 'ActivityScheduled', 'seq name input'),
            (11, 'ActivityCompleted', 'seq result'),
            (12, 'ActivityFailed', 'seq attempt failure retry_at_us'),
            (13, 'ActivityRetried', 'seq attempt'),
            (14, 'ActivityHeartbeat', 'seq details'),
            (15, 'ActivityCancelRequested', 'seq'),
            (20, 'TimerCreated', 'seq fire_at_us'),
            (21, 'TimerFired', 'seq'),
            (22, 'TimerCancelled', 'seq'),
            (30, 'SubOrchestrationScheduled', 'seq name instance_id version input reuse'),
            (31, 'SubOrchestrationCompleted', 'seq result'),
            (32, 'SubOrchestrationFailed', 'seq failure'),
            (33, 'SubOrchestrationCancelRequested', 'seq instance_id'),
            (40, 'EventRaised', 'name payload'),
            (41, 'EventSent', 'seq instance_id name payload'),
            (50, 'EntitySignaled', 'seq entity_id operation input due_us'),
            (51, 'EntityCalled', 'seq entity_id operation input section'),
            (52, 'EntityCallCompleted', 'seq result'),
            (53, 'EntityCallFailed', 'seq failure'),
            (54, 'EntityCallAbandoned', 'seq'),
            (55, 'EntityLocksRequested', 'seq entity_ids hold_us'),
            (56, 'EntityLocked', 'seq entity_id'),
            (57, 'EntityLocksReleased', 'seq'),
            (60, 'EntityOperation', 'operation input caller request_id section due_us origin'),
            (61, 'EntityLockRequest', 'holder hold_us'),
            (62, 'EntityLockRelease', 'holder is_will'),
            (63, 'ParkedOperationsRetried', '')
    ) k (tag, kind, fields);
end;

-- What is open in a history, from all its turns in order.
create function {schema}.waits_of(p_turns bytea[])
returns table (seq bigint, kind text, name text, instance_id text, attempt integer, since timestamptz, due timestamptz)
language sql immutable strict
begin atomic
    with events as (
        select e.event, (e.event ->> 0)::integer as tag,
            max((e.event ->> 1)::bigint) filter (where (e.event ->> 0)::integer = 2) over (order by t.turn, e.place) as at_us
        from unnest(p_turns) with ordinality as t (events, turn)
        cross join lateral {schema}.events_of(t.events, false) e
    ),
    operations as (
        select (v.event ->> 1)::bigint as seq,
            max(v.tag) filter (where v.tag in (10, 20, 30, 51, 55)) as tag,
            max(v.event ->> case v.tag when 51 then 3 else 2 end) filter (where v.tag in (10, 30, 51)) as name,
            max(v.event ->> case v.tag when 51 then 2 else 3 end) filter (where v.tag in (30, 51)) as instance_id,
            max((v.event ->> 2)::bigint) filter (where v.tag = 20) as fire_at_us,
            array_agg(v.event -> 2) filter (where v.tag = 55) as wanted,
            array_agg(v.event ->> 2) filter (where v.tag = 56) as locked,
            min(v.at_us) filter (where v.tag in (10, 20, 30, 51, 55)) as begun_at_us,
            max((v.event ->> 2)::integer) filter (where v.tag = 12) as failed,
            max((v.event ->> 2)::integer) filter (where v.tag = 13) as retried,
            max((v.event ->> 4)::bigint) filter (where v.tag = 12) as retry_at_us,
            max(v.at_us) filter (where v.tag in (12, 13)) as tried_at_us,
            bool_or(v.tag in (11, 15, 21, 22, 31, 32, 33, 52, 53, 54, 57) or v.tag = 12 and v.event ->> 4 is null) as is_over
        from events v
        where v.tag in (10, 11, 12, 13, 15, 20, 21, 22, 30, 31, 32, 33, 51, 52, 53, 54, 55, 56, 57)
        group by (v.event ->> 1)::bigint
    )
    select o.seq,
        case o.tag
            when 20 then 'timer'
            when 30 then 'child'
            when 51 then 'entity call'
            when 55 then 'lock'
            else case when r.is_due then 'retry' else 'activity' end
        end,
        coalesce(o.name, l.missing),
        o.instance_id,
        case when o.tag = 10 then coalesce(o.retried, 1) + r.is_due::integer end,
        {schema}.moment(coalesce(o.tried_at_us, o.begun_at_us)),
        {schema}.moment(case when r.is_due then o.retry_at_us else o.fire_at_us end)
    from operations o
    cross join lateral (select coalesce(o.failed >= coalesce(o.retried, 1), false) as is_due) r
    cross join lateral (
        select string_agg(w.id, ', ' order by w.place) as missing
        from jsonb_array_elements_text(o.wanted[1]) with ordinality as w (id, place)
        where w.id <> all (coalesce(o.locked, '{}'))
    ) l
    where o.tag is not null and not o.is_over and (o.tag <> 55 or l.missing is not null)
    order by o.seq;
end;

-- One row for each operation that an instance began and that has not ended. A lock is named after the entities that are not locked yet.
create view {schema}.v_waits as
select h.name as hub, i.id, i.execution, w.seq, w.kind, w.name, w.instance_id as target_id, w.attempt, w.since, w.due,
    coalesce(q.owner, case when q.id is null and w.kind = 'activity' then i.owner end) as runs_on,
    q.id is not null and q.owner is null as is_queued
from {schema}.instances i
join {schema}.hubs h on h.hub = i.hub
cross join lateral {schema}.waits_of((
    select array_agg(t.events order by t.turn) from {schema}.history t
    where t.hub = i.hub and t.key = i.key and t.execution = i.execution
)) w
left join {schema}.queued_activities q on q.hub = i.hub and q.key = i.key and q.seq = w.seq and w.kind = 'activity'
where i.status not in ('completed', 'failed', 'terminated');

-- One row for each orchestration. waiting_for and since read its history: name the columns that you want when you look at many. That code waits
-- for an event is not recorded, but follows where nothing else is open; a timer that is open alone may be the event's time limit.
create view {schema}.v_instances as
select h.name as hub, i.id, i.name, i.version, i.status, s.state,
    case s.state
        when 'ended' then null
        when 'parked' then 'an operator: ' || i.parked
        when 'ready' then 'a worker with ' || i.name
        when 'held back' then 'the next attempt'
        when 'scheduled' then 'its start'
        else concat_ws(', ', case when i.status = 'suspended' then 'being resumed' end, (
            select concat_ws(
                ', ',
                string_agg(
                    concat_ws(
                        ' ', w.kind, w.name, case w.kind when 'entity call' then 'of ' || w.instance_id end,
                        'until ' || w.due::timestamptz(0)
                    ),
                    ', ' order by w.seq
                ),
                case when coalesce(bool_and(w.kind = 'timer'), true) then 'an event' end
            )
            from {schema}.waits_of((
                select array_agg(t.events order by t.turn) from {schema}.history t
                where t.hub = i.hub and t.key = i.key and t.execution = i.execution
            )) w
        ))
    end as waiting_for,
    case s.state
        when 'ended' then {schema}.moment(i.completed_at_us)
        when 'parked' then {schema}.moment(i.updated_at_us)
        when 'ready' then {schema}.moment(i.ready_at_us)
        else coalesce((
            select {schema}.moment(max((e.event ->> 1)::bigint))
            from (
                select t.events from {schema}.history t
                where t.hub = i.hub and t.key = i.key and t.execution = i.execution
                order by t.turn desc
                limit 1
            ) last
            cross join lateral {schema}.events_of(last.events, false) e
            where e.event ->> 0 = '2'
        ), {schema}.moment(i.created_at_us))
    end as since,
    case when s.state in ('held back', 'scheduled', 'sleeping') then {schema}.moment(i.ready_at_us) end as until,
    i.owner, w.host, w.pid, i.attempts,
    (select count(*) from {schema}.letters l where l.hub = i.hub and l.key = i.key) as letters,
    (select count(*) from {schema}.queued_activities q where q.hub = i.hub and q.key = i.key) as queued_activities,
    i.execution, i.parent_id, i.tags,
    {schema}.moment(i.created_at_us) as created_at,
    {schema}.moment(i.updated_at_us) as updated_at,
    {schema}.moment(i.completed_at_us) as completed_at
from {schema}.instances i
join {schema}.hubs h on h.hub = i.hub
left join {schema}.workers w on w.hub = i.hub and w.id = i.owner
cross join lateral (
    select case
        when i.status in ('completed', 'failed', 'terminated') then 'ended'
        when i.owner is not null then 'owned'
        when i.ready_at_us <= {schema}.clock_us() then 'ready'
        when i.parked is not null then 'parked'
        when i.hold_until_us > {schema}.clock_us() then 'held back'
        when i.status = 'pending' and i.start_at_us > {schema}.clock_us() then 'scheduled'
        when i.ready_at_us is not null then 'sleeping'
        else 'idle'
    end as state
) s
where not i.is_entity;

-- What an entity's snapshot says, but for its state. Nothing if it cannot be read.
create function {schema}.snapshot_of(p_snapshot bytea)
returns table (
    has_state boolean, holder_id text, holder_execution bigint, holder_seq bigint, since timestamptz, until timestamptz, parked_operations integer
)
language sql immutable strict
begin atomic
    select get_byte(p_snapshot, 1) <> 192,  -- null
        e.event #>> '{1,0,0}', (e.event #>> '{1,0,1}')::bigint, (e.event #>> '{1,0,2}')::bigint,
        {schema}.moment((e.event #>> '{1,1}')::bigint), {schema}.moment(nullif((e.event #>> '{1,2}')::bigint, 0)),
        jsonb_array_length(e.event -> 2)
    from {schema}.events_of('\x91'::bytea || p_snapshot, false) e
    where e.place = 1 and jsonb_typeof(e.event -> 2) = 'array';
end;

-- One row for each entity.
create view {schema}.v_entities as
select h.name as hub, i.id, substr(i.name, 2) as name, substr(i.id, length(i.name) + 2) as key,
    case
        when i.owner is not null then 'owned'
        when i.ready_at_us <= {schema}.clock_us() then 'ready'
        when i.parked is not null then 'parked'
        when i.hold_until_us > {schema}.clock_us() then 'held back'
        when i.ready_at_us is not null then 'sleeping'
        else 'idle'
    end as state,
    {schema}.moment(case when i.ready_at_us > {schema}.clock_us() then i.ready_at_us end) as until,
    i.parked, coalesce(s.has_state, i.state is not null) as has_state, coalesce(s.parked_operations, 0) as parked_operations,
    s.holder_id as locked_by, s.since as locked_since, s.until as locked_until,
    (select count(*) from {schema}.letters l where l.hub = i.hub and l.key = i.key) as letters,
    i.owner, w.host, w.pid, i.attempts, i.execution,
    {schema}.moment(i.created_at_us) as created_at,
    {schema}.moment(i.updated_at_us) as updated_at
from {schema}.instances i
join {schema}.hubs h on h.hub = i.hub
left join {schema}.workers w on w.hub = i.hub and w.id = i.owner
left join lateral {schema}.snapshot_of(i.state) s on true
where i.is_entity;

-- One row for each orchestration that has an entity locked, at place 0, or waits for it, in order. is_going tells whether
-- that execution still is; if not, the letter that ends the lock lies in the entity's mailbox.
create view {schema}.v_locks as
select h.name as hub, i.id as entity_id, k.place, k.holder_id as instance_id, k.execution, k.seq, k.since, k.until,
    coalesce(o.execution = k.execution and o.status not in ('completed', 'failed', 'terminated') and o.parked is null, false) as is_going
from {schema}.instances i
join {schema}.hubs h on h.hub = i.hub
cross join lateral (
    select 0::bigint as place, s.holder_id, s.holder_execution as execution, s.holder_seq as seq, s.since, s.until
    from {schema}.snapshot_of(i.state) s
    where s.holder_id is not null
    union all
    select row_number() over (order by l.id), e.event #>> '{1,0}', (e.event #>> '{1,1}')::bigint, (e.event #>> '{1,2}')::bigint,
        {schema}.moment(l.arrived_at_us), null
    from {schema}.letters l
    cross join lateral {schema}.events_of('\x91'::bytea || l.letter, false) e
    where l.hub = i.hub and l.key = i.key and substr(l.letter, 2, 1) = '\x3d' and e.event ->> 0 = '61'
) k
left join {schema}.instances o on o.hub = i.hub and o.id = k.holder_id
where i.is_entity;

-- One row for each worker. It is gone as soon as nobody holds its lock; a standby does not know about locks.
create view {schema}.v_workers as
select h.name as hub, w.id, w.host, w.pid,
    case
        when l.until_us <= {schema}.clock_us() then 'lease over'
        when w.lifeline is null or pg_is_in_recovery() then 'leased'
        when exists (
            select from pg_locks k
            where k.locktype = 'advisory' and k.objsubid = 1 and k.granted
                and k.database = (select d.oid from pg_database d where d.datname = current_database())
                and k.classid = (w.lifeline >> 32)::oid and k.objid = (w.lifeline & 4294967295)::oid
        ) then 'alive'
        else 'gone'
    end as state,
    make_interval(secs => round((l.until_us - {schema}.clock_us()) / 1000000.0, 1)::double precision) as lease_left,
    (select count(*) from {schema}.instances i where i.hub = w.hub and i.owner = w.id) as instances,
    (select count(*) from {schema}.queued_activities q where q.hub = w.hub and q.owner = w.id) as queued_activities,
    w.seq as commits,
    {schema}.moment(w.registered_at_us) as registered_at,
    w.schema_version
from {schema}.workers w
join {schema}.hubs h on h.hub = w.hub
join {schema}.leases l on l.hub = w.hub and l.worker = w.id;

-- One row for each activity in the queue: those that their own instance's worker does not run itself.
create view {schema}.v_queue as
select h.name as hub, q.name, i.id as instance_id, q.seq, q.attempt,
    case when q.owner is null then 'free' else 'claimed' end as state,
    {schema}.moment(q.queued_at_us) as queued_at,
    q.owner, w.host, w.pid, q.attempts as claims
from {schema}.queued_activities q
join {schema}.hubs h on h.hub = q.hub
join {schema}.instances i on i.hub = q.hub and i.key = q.key
left join {schema}.workers w on w.hub = q.hub and w.id = q.owner;

-- One row for each hub; counts everything that is in it. overdue is how long the oldest ready instance has been waiting for a worker.
create view {schema}.v_hubs as
select h.name as hub, c.*,
    (select count(*) from {schema}.workers w where w.hub = h.hub) as workers,
    (select count(*) from {schema}.letters l where l.hub = h.hub) as letters,
    (select count(*) from {schema}.queued_activities q where q.hub = h.hub and q.owner is null) as free_activities,
    (select count(*) from {schema}.queued_activities q where q.hub = h.hub and q.owner is not null) as claimed_activities
from {schema}.hubs h
cross join lateral (
    select count(*) filter (where i.status = 'pending') as pending,
        count(*) filter (where i.status = 'running' and not i.is_entity) as running,
        count(*) filter (where i.status = 'suspended') as suspended,
        count(*) filter (where i.status = 'completed') as completed,
        count(*) filter (where i.status = 'failed') as failed,
        count(*) filter (where i.status = 'terminated') as terminated,
        count(*) filter (where i.is_entity) as entities,
        count(*) filter (where i.parked is not null) as parked,
        count(*) filter (where i.owner is not null) as owned,
        count(*) filter (where i.ready_at_us <= {schema}.clock_us()) as ready,
        {schema}.moment({schema}.clock_us()) - {schema}.moment(min(i.ready_at_us) filter (where i.ready_at_us <= {schema}.clock_us()))
            as overdue
    from {schema}.instances i
    where i.hub = h.hub
) c;

-- One row for each event of the current execution, payloads and all. Not among the views that grants_to_look opens.
create view {schema}.v_history as
select h.name as hub, i.id, i.execution, e.turn, e.place, {schema}.moment(e.at_us) as at,
    coalesce(k.kind, case e.event ->> 0 when '-1' then 'unreadable' else 'tag ' || (e.event ->> 0) end) as event,
    (
        select jsonb_object_agg(coalesce(k.fields[f.n], f.n::text), f.value)
        from jsonb_array_elements(e.event - 0) with ordinality as f (value, n)
    ) as details
from {schema}.instances i
join {schema}.hubs h on h.hub = i.hub
cross join lateral (
    select t.turn, v.place, v.event,
        max((v.event ->> 1)::bigint) filter (where v.event ->> 0 = '2') over (order by t.turn, v.place) as at_us
    from {schema}.history t
    cross join lateral {schema}.events_of(t.events, true) v
    where t.hub = i.hub and t.key = i.key and t.execution = i.execution
) e
left join {schema}.event_kinds() k on k.tag = (e.event ->> 0)::integer;

-- One row for each letter that no turn has taken yet, payloads and all. Not among them either.
create view {schema}.v_letters as
select h.name as hub, i.id as instance_id, l.id, k.kind as letter,
    case when k.kind in ('EventRaised', 'EntityOperation') then e.event ->> 1 end as name,
    {schema}.moment(l.arrived_at_us) as arrived_at, l.urgent, e.event - 0 as details
from {schema}.letters l
join {schema}.hubs h on h.hub = l.hub
join {schema}.instances i on i.hub = l.hub and i.key = l.key
cross join lateral {schema}.events_of('\x91'::bytea || l.letter, true) e
left join {schema}.event_kinds() k on k.tag = (e.event ->> 0)::integer;
