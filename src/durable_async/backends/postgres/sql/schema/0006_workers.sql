-- The life of workers.

-- Which other workers are dead: their lease ran out, or nobody holds the lock that their process would hold.
create function {schema}.dead_workers(p_hub integer, p_worker text)
returns table (id text, epoch bigint, expired boolean)
language plpgsql
-- include: function_settings
as $$
begin
    return query
    with held as materialized (
        select (k.classid::bigint << 32) | k.objid::bigint as lifeline
        from pg_locks k
        join pg_database d on d.oid = k.database and d.datname = current_database()
        where k.locktype = 'advisory' and k.objsubid = 1 and k.granted
    )
    select w.id, w.epoch, l.until_us <= {schema}.clock_us()
    from {schema}.workers w
    join {schema}.leases l on l.hub = w.hub and l.worker = w.id
    where w.hub = p_hub and w.id <> p_worker
        and (
            l.until_us <= {schema}.clock_us()
            or (w.lifeline is not null and w.lifeline not in (select h.lifeline from held h))
        );
end
$$;

-- All workers, with how much each holds. Dead are those that take_over would find.
create function {schema}.read_workers(p_hub integer)
returns table (
    id text,
    host text,
    pid integer,
    registered_at_us bigint,
    lease_until_us bigint,
    epoch bigint,
    commits bigint,
    is_alive boolean,
    instances bigint,
    activities bigint
)
language plpgsql
-- include: function_settings
as $$
begin
    return query
    with dead as materialized (select d.id from {schema}.dead_workers(p_hub, '') d)
    select w.id, w.host, w.pid, w.registered_at_us, l.until_us, w.epoch, w.seq,
        w.id not in (select d.id from dead d),
        (select count(*) from {schema}.instances i where i.hub = p_hub and i.owner = w.id),
        (select count(*) from {schema}.queued_activities q where q.hub = p_hub and q.owner = w.id)
    from {schema}.workers w
    join {schema}.leases l on l.hub = w.hub and l.worker = w.id
    where w.hub = p_hub
    order by w.id;
end
$$;

-- Frees what a worker owns that the caller has locked out: all, or what it claimed in one fetch; in any case all of it is locked. After a
-- death the attempt stands; what is handed back does not count. What one fetch claimed, nobody has tried: attempts from the fourth on are of
-- earlier trials, and stand.
create function {schema}.free_work(p_hub integer, p_worker text, p_handed_back integer, p_fetch bigint default null)
returns integer
language plpgsql as $$
declare
    v_keys bigint[];
    v_freed integer;
begin
    -- All at once, for locks are waited for in one order; and those whose activities it has claimed, for whoever else writes several rows of
    -- the queue holds their instances, and takes the rows in another order.
    select array_agg(o.key) into v_keys
    from (
        select i.key from {schema}.instances i where i.hub = p_hub and i.owner = p_worker
        union
        select q.key from {schema}.queued_activities q where q.hub = p_hub and q.owner = p_worker
    ) o;
    perform from {schema}.instances i
    where i.hub = p_hub and i.key = any (v_keys)
    order by i.id
    for no key update;
    update {schema}.instances i
    set owner = null, ready_at_us = {schema}.clock_us(), hold_until_us = 0, marked = false,
        attempts = case when p_fetch is null or i.attempts <= 3 then greatest(i.attempts - p_handed_back, 0) else i.attempts end
    where i.hub = p_hub and i.owner = p_worker and (p_fetch is null or i.fetched_in = p_fetch);
    get diagnostics v_freed = row_count;
    update {schema}.queued_activities q
    set owner = null,
        attempts = case when p_fetch is null or q.attempts <= 3 then greatest(q.attempts - p_handed_back, 0) else q.attempts end
    where q.hub = p_hub and q.owner = p_worker and (p_fetch is null or q.fetched_in = p_fetch);
    if p_fetch is null then
        delete from {schema}.marks m where m.hub = p_hub and m.owner = p_worker;
    end if;
    return v_freed;
end
$$;

-- Takes over from one worker, if it is still dead under the lock of its rows; returns the number of instances freed, null if nothing
-- was done. The caller's own epoch is compared first: -1 if it is over.
create function {schema}.take_over(p_hub integer, p_worker text, p_epoch bigint, p_dead text, p_dead_epoch bigint)
returns integer
language plpgsql
-- include: function_settings
as $$
begin
    perform from {schema}.workers w where w.hub = p_hub and w.id = p_worker and w.epoch = p_epoch;
    if not found then
        return -1;
    end if;
    perform from {schema}.workers w where w.hub = p_hub and w.id = p_dead and w.epoch = p_dead_epoch for update;
    if not found then
        return null;
    end if;
    perform from {schema}.leases l where l.hub = p_hub and l.worker = p_dead for update;
    perform from {schema}.dead_workers(p_hub, p_worker) d where d.id = p_dead;
    if not found then
        return null;
    end if;
    delete from {schema}.workers w where w.hub = p_hub and w.id = p_dead;
    delete from {schema}.leases l where l.hub = p_hub and l.worker = p_dead;
    return {schema}.free_work(p_hub, p_dead, 0);
end
$$;

-- Hands everything back and forgets the worker; returns whether it was still there.
create function {schema}.retire_worker(p_hub integer, p_worker text, p_epoch bigint) returns boolean
language plpgsql
-- include: function_settings
as $$
begin
    delete from {schema}.workers w where w.hub = p_hub and w.id = p_worker and w.epoch = p_epoch;
    if not found then
        return false;
    end if;
    delete from {schema}.leases l where l.hub = p_hub and l.worker = p_worker;
    perform {schema}.free_work(p_hub, p_worker, 1);
    return true;
end
$$;

-- Marks what a worker owns and has letters; the caller has locked it.
create function {schema}.mark_mailboxes(p_hub integer, p_worker text) returns void
language plpgsql as $$
begin
    with marked as (
        update {schema}.instances i set marked = true
        where i.hub = p_hub and i.owner = p_worker
            and exists (select from {schema}.letters l where l.hub = p_hub and l.key = i.key)
        returning i.key
    )
    insert into {schema}.marks (hub, owner, key)
    select p_hub, p_worker, m.key from marked m
    on conflict do nothing;
end
$$;

-- Undoes a fetch whose answer was lost, and refuses it if it is still to come; returns whether the worker stands. The lease is locked
-- first, as a fetch does.
create function {schema}.take_stock(p_hub integer, p_worker text, p_epoch bigint, p_number bigint) returns boolean
language plpgsql
set lock_timeout = '2s'  -- a renewal of the lease waits for this
-- include: function_settings
as $$
begin
    update {schema}.leases l set fetched = greatest(l.fetched, p_number)
    where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch;
    if not found then
        return false;
    end if;
    perform {schema}.free_work(p_hub, p_worker, 1, p_number);
    perform {schema}.mark_mailboxes(p_hub, p_worker);
    return true;
end
$$;

-- After letters were put in without a mark, and the answer that told its process was lost: from here on only who knows the new term leaves
-- out the mark. Whoever read the old one holds the receiver's lock, so that its letter is there when the lock is had. Returns whether the
-- worker stands.
--
-- p_lost are the numbers of starts that may have been taken for the worker, and that its process does not know of: those are given back, as if
-- they had not been. A start that still runs holds the lease, and is waited for; one that has not begun finds another term.
create function {schema}.mark_unheard(p_hub integer, p_worker text, p_epoch bigint, p_term bigint, p_lost bigint[]) returns boolean
language plpgsql
set lock_timeout = '2s'  -- a renewal of the lease waits for this
-- include: function_settings
as $$
begin
    if p_lost is not null then
        perform from {schema}.leases l where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch for update;
    end if;
    update {schema}.leases l set term = greatest(l.term, p_term)
    where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch;
    if not found then
        return false;
    end if;
    perform from {schema}.instances i
    where i.hub = p_hub and i.owner = p_worker
    order by i.id
    for no key update;
    if p_lost is not null then
        update {schema}.instances i
        set owner = null, ready_at_us = {schema}.clock_us(), marked = false, attempts = greatest(i.attempts - 1, 0)
        where i.hub = p_hub and i.owner = p_worker and i.fetched_in = any (p_lost);
    end if;
    perform {schema}.mark_mailboxes(p_hub, p_worker);
    return true;
end
$$;

-- Forgets what is old enough, in small portions: nobody is to wait for a sweep. Returns how many rows of the table with the most there were,
-- so that the caller sees whether there may be more. The graves' age is such that no commit that began before the burial is under way.
create function {schema}.sweep(p_hub integer, p_requests_us bigint, p_tombstones_us bigint, p_graves_us bigint, p_max integer)
returns integer
language plpgsql
-- include: function_settings
as $$
declare
    v_now_us bigint := {schema}.clock_us();  -- read once, or no index could be searched for it
    v_keys bigint[];
    v_count integer;
    v_most integer;
begin
    -- Found once, by their places: as a join, the search might run once for each row.
    delete from {schema}.requests where ctid = any (array(
        select r.ctid from {schema}.requests r
        where r.hub = p_hub and r.answered_at_us < v_now_us - p_requests_us
        order by r.answered_at_us
        limit p_max
        for update skip locked
    ));
    get diagnostics v_most = row_count;
    delete from {schema}.answers where ctid = any (array(
        select a.ctid from {schema}.answers a
        where a.hub = p_hub and a.answered_at_us < v_now_us - p_requests_us
        order by a.answered_at_us
        limit p_max
        for update skip locked
    ));
    get diagnostics v_count = row_count;
    v_most := greatest(v_most, v_count);
    delete from {schema}.tombstones where ctid = any (array(
        select t.ctid from {schema}.tombstones t
        where t.hub = p_hub and t.purged_at_us < v_now_us - p_tombstones_us
        order by t.purged_at_us
        limit p_max
        for update skip locked
    ));
    get diagnostics v_count = row_count;
    v_most := greatest(v_most, v_count);
    -- What a turn still wrote under a replaced life's key.
    with old as (
        delete from {schema}.graves where ctid = any (array(
            select g.ctid from {schema}.graves g
            where g.hub = p_hub and g.buried_at_us < v_now_us - p_graves_us
            limit p_max
            for update skip locked
        ))
        returning key
    )
    select array_agg(o.key) into v_keys from old o;
    if v_keys is not null then
        delete from {schema}.history h where h.hub = p_hub and h.key = any (v_keys);
        delete from {schema}.letters l where l.hub = p_hub and l.key = any (v_keys);
        delete from {schema}.queued_activities q where q.hub = p_hub and q.key = any (v_keys);
    end if;
    return greatest(v_most, cardinality(v_keys));
end
$$;
