-- What a worker takes from the hub.

-- Which kinds of ready instances a worker may claim: a kind is a name and a version, '' for none; a null name is what is to be ended,
-- whatever its name. The index is searched once for each kind that is there, so that how many there are of a kind costs nothing. Ranges are
-- compared as rows, and the order is given in full, so that no other index will do.
create function {schema}.ready_kinds(
    p_hub integer,
    p_now_us bigint,
    p_names text[],
    p_passed_names text[],
    p_passed_versions text[]
) returns table (name text, version text)
language plpgsql stable
-- include: function_settings
as $$
begin
    return query
    with recursive k (name, version, ready_at_us) as (
        select f.name, f.version, f.ready_at_us
        from unnest(p_names) as n (name)
        cross join lateral (
            select i.name, coalesce(i.version, '') as version, i.ready_at_us from {schema}.instances i
            where i.hub = p_hub and i.ready_at_us is not null and not i.ending and i.name = n.name
            order by i.name, coalesce(i.version, ''), i.ready_at_us
            limit 1
        ) f
        union all
        select f.name, f.version, f.ready_at_us
        from k
        cross join lateral (
            select i.name, coalesce(i.version, '') as version, i.ready_at_us from {schema}.instances i
            where i.hub = p_hub and i.ready_at_us is not null and not i.ending and i.name = k.name and coalesce(i.version, '') > k.version
            order by i.name, coalesce(i.version, ''), i.ready_at_us
            limit 1
        ) f
    )
    select k.name, k.version from k
    where k.ready_at_us <= p_now_us
        and (
            p_passed_names is null
            or (k.name, k.version) not in (
                select o.name, o.version from unnest(p_passed_names, p_passed_versions) as o (name, version)
            )
        )
    union all
    select null, null
    where exists (select from {schema}.instances i where i.hub = p_hub and i.ending and i.ready_at_us <= p_now_us);
end
$$;

-- How many of each of these kinds are among the oldest that are ready.
create function {schema}.ready_quotas(p_hub integer, p_now_us bigint, p_names text[], p_versions text[], p_max integer)
returns table (name text, version text, quota bigint)
language plpgsql stable
-- include: function_settings
as $$
begin
    if cardinality(p_names) = 1 then
        return query select p_names[1], p_versions[1], p_max::bigint;
        return;
    end if;
    return query
    select o.name, o.version, count(*)
    from (
        select r.name, r.version
        from (
            select k.name, k.version, l.ready_at_us, l.id
            from unnest(p_names, p_versions) as k (name, version)
            cross join lateral (
                select i.ready_at_us, i.id from {schema}.instances i
                where i.hub = p_hub and i.ready_at_us is not null and not i.ending
                    and (i.name, coalesce(i.version, '')) >= (k.name, k.version)
                    and (i.name, coalesce(i.version, ''), i.ready_at_us) <= (k.name, k.version, p_now_us)
                order by i.name, coalesce(i.version, ''), i.ready_at_us, i.id
                limit p_max
            ) l
            union all
            select null, null, e.ready_at_us, e.id
            from (
                select i.ready_at_us, i.id from {schema}.instances i
                where i.hub = p_hub and i.ending and i.ready_at_us <= p_now_us
                order by i.ready_at_us, i.id
                limit p_max
            ) e
        ) r
        order by r.ready_at_us, r.id
        limit p_max
    ) o
    group by o.name, o.version;
end
$$;

-- How many of each of these names, or of any, are among the first of the queued activities that nobody has claimed.
create function {schema}.free_quotas(p_hub integer, p_names text[], p_max integer)
returns table (name text, quota bigint)
language plpgsql stable
-- include: function_settings
as $$
begin
    if p_names is null then
        with recursive n (name) as (
            select min(q.name) from {schema}.queued_activities q where q.hub = p_hub and q.owner is null
            union all
            select (select min(q.name) from {schema}.queued_activities q where q.hub = p_hub and q.owner is null and q.name > n.name)
            from n
            where n.name is not null
        )
        select array_agg(n.name) into p_names from n where n.name is not null;
    end if;
    return query
    select o.name, count(*)
    from (
        select k.name
        from unnest(p_names) as k (name)
        cross join lateral (
            select q.id from {schema}.queued_activities q
            where q.hub = p_hub and q.owner is null and (q.name, q.id) >= (k.name, 0) and q.name <= k.name
            order by q.name, q.id
            limit p_max
        ) f
        order by f.id
        limit p_max
    ) o
    group by o.name;
end
$$;

-- Claims ready work and collects letters for what is owned, in one call. The rows differ by their kind:
-- 'hub' (one, first): whether the worker is fenced, the clock in n, the earliest time at which something becomes ready in at_us
-- 'instance': one claimed; 'turn': a row of its history, with whether more follow; 'queued': its activities in the queue
-- 'letter': in the mailbox of one claimed, or of one owned that was marked, or that the worker's process was told of
-- 'activity': one claimed from the queue
-- Names that are null stand for any. What is passed over is left to others: pairs of a name and a version, '' for none.
-- p_told are the latter, each with the last letter that was reported of it; later ones are asked for.
-- Two errands are done along the way: the lease is extended by p_lease_us, if it still stands; and with p_looks_around the first row tells
-- of the hub's workers: how many there are (execution), how many of them are dead (attempts), how much all have committed (parent_seq).
create function {schema}.claim_work(
    p_hub integer,
    p_worker text,
    p_epoch bigint,
    p_number bigint,
    p_instances integer,
    p_names text[],
    p_passed_names text[],
    p_passed_versions text[],
    p_activities integer,
    p_activity_names text[],
    p_history_bytes bigint,
    p_told bigint[],
    p_told_after bigint[],
    p_lease_us bigint,
    p_looks_around boolean
) returns table (
    kind text,
    key bigint,
    n bigint,
    id text,
    body bytea,
    flag boolean,
    name text,
    version text,
    status text,
    execution bigint,
    attempts integer,
    at_us bigint,
    parent_id text,
    parent_execution bigint,
    parent_seq bigint,
    parent_depth integer,
    options bytea
)
language plpgsql
-- include: function_settings
as $$
declare
    v_now_us bigint := {schema}.clock_us();
    v_claimed bigint[];
    v_noted bigint[];
    v_held bigint[];
    v_marked bigint[];
    v_items bigint[];
    v_names text[];
    v_versions text[];
    v_quotas bigint[];
    v_activity_names text[];
    v_activity_quotas bigint[];
    v_some boolean;
    v_some_ready boolean;
    v_some_marked boolean;
    v_some_queued boolean;
begin
    -- This is all that an idle worker costs. It takes no lock, but to extend the lease.
    kind := 'hub';
    n := v_now_us;
    select false,
        p_instances > 0 and exists (
            select from {schema}.instances i
            where i.hub = p_hub and i.ready_at_us <= v_now_us
        ),
        exists (select from {schema}.marks m where m.hub = p_hub and m.owner = p_worker),
        p_activities > 0 and p_activity_names is distinct from '{}' and exists (
            select from {schema}.queued_activities q where q.hub = p_hub and q.owner is null
        ),
        (
            select i.ready_at_us from {schema}.instances i
            where i.hub = p_hub and i.ready_at_us > v_now_us
            order by i.ready_at_us, i.id
            limit 1
        )
    into flag, v_some_ready, v_some_marked, v_some_queued, at_us
    from {schema}.workers w
    where w.hub = p_hub and w.id = p_worker and w.epoch = p_epoch;
    flag := coalesce(flag, true);
    if p_looks_around then
        select count(*), coalesce(sum(w.seq), 0) into execution, parent_seq from {schema}.workers w where w.hub = p_hub;
        attempts := case when execution > 1 then (select count(*) from {schema}.dead_workers(p_hub, p_worker)) else 0 end;
    end if;

    -- Something is ready, or queued: is it for this worker? What is for others must cost nothing, however much of it there is.
    if v_some_ready and p_names is not null then
        select array_agg(k.name), array_agg(k.version)
        into v_names, v_versions
        from {schema}.ready_kinds(p_hub, v_now_us, p_names, p_passed_names, p_passed_versions) k;
        v_some_ready := v_names is not null;
    elsif v_some_ready then
        v_some_ready := exists (
            select from {schema}.instances i
            where i.hub = p_hub and i.ready_at_us <= v_now_us
                and (
                    i.ending
                    or p_passed_names is null
                    or (i.name, coalesce(i.version, '')) not in (
                        select o.name, o.version from unnest(p_passed_names, p_passed_versions) as o (name, version)
                    )
                )
        );
    end if;
    if v_some_queued then
        select array_agg(c.name), array_agg(c.quota)
        into v_activity_names, v_activity_quotas
        from {schema}.free_quotas(p_hub, p_activity_names, p_activities) c;
        v_some_queued := v_activity_names is not null;
    end if;

    v_some := v_some_ready or v_some_marked or v_some_queued;
    if flag or not (v_some or p_told is not null or p_lease_us is not null) then
        return next;
        return;
    end if;

    if v_some_marked and not (v_some_ready or v_some_queued) and p_lease_us is null then
        -- Not waited for by the disk: a mark that a crash puts back has letters told of once more. What is claimed, though, is believed to be
        -- owned as long as the fence holds, and so must survive what the fence survives.
        perform set_config('synchronous_commit', 'off', true);
    end if;
    if v_some or p_lease_us is not null then
        -- A takeover locks this row too: it either sees what is claimed here, or this claim sees that it was taken over.
        update {schema}.leases l
        set fetched = case when v_some then p_number else l.fetched end,
            until_us = case when p_lease_us is null then l.until_us else {schema}.clock_us() + p_lease_us end
        where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch
            and (not v_some or l.fetched < p_number)
            and (p_lease_us is null or l.until_us > {schema}.clock_us());
        if not found then
            -- The lease is over, or this fetch comes late.
            flag := not exists (
                select from {schema}.leases l
                where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch
                    and (p_lease_us is null or l.until_us > {schema}.clock_us())
            );
            v_some_ready := false;
            v_some_marked := false;
            v_some_queued := false;
        end if;
    end if;
    return next;
    if flag then
        return;
    end if;

    if v_some_ready then
        if p_names is null then
            select array_agg(r.key) into v_claimed
            from (
                select i.key from {schema}.instances i
                where i.hub = p_hub and i.ready_at_us <= v_now_us
                    and (
                        i.ending
                        or p_passed_names is null
                        or (i.name, coalesce(i.version, '')) not in (
                            select o.name, o.version from unnest(p_passed_names, p_passed_versions) as o (name, version)
                        )
                    )
                order by i.ready_at_us, i.id
                limit p_instances
                for no key update skip locked
            ) r;
        else
            -- As many of each kind as are among the oldest of all; where another worker has locked one, the next of its kind comes instead.
            select array_agg(c.name), array_agg(c.version), array_agg(c.quota)
            into v_names, v_versions, v_quotas
            from {schema}.ready_quotas(p_hub, v_now_us, v_names, v_versions, p_instances) c;
            select array_agg(r.key order by r.ready_at_us, r.id) into v_claimed
            from (
                select l.key, l.ready_at_us, l.id
                from unnest(v_names, v_versions, v_quotas) as k (name, version, quota)
                cross join lateral (
                    select i.key, i.ready_at_us, i.id from {schema}.instances i
                    where i.hub = p_hub and i.ready_at_us is not null and not i.ending
                        and (i.name, coalesce(i.version, '')) >= (k.name, k.version)
                        and (i.name, coalesce(i.version, ''), i.ready_at_us) <= (k.name, k.version, v_now_us)
                    order by i.name, coalesce(i.version, ''), i.ready_at_us, i.id
                    limit k.quota
                    for no key update skip locked
                ) l
                union all
                select e.key, e.ready_at_us, e.id
                from (
                    select i.key, i.ready_at_us, i.id from {schema}.instances i
                    where i.hub = p_hub and i.ending and i.ready_at_us <= v_now_us
                    order by i.ready_at_us, i.id
                    limit coalesce((select k.quota from unnest(v_names, v_quotas) as k (name, quota) where k.name is null), 0)
                    for no key update skip locked
                ) e
            ) r;
        end if;
        return query
        update {schema}.instances i
        set owner = p_worker, fetched_in = p_number, ready_at_us = null, hold_until_us = 0, marked = false, parked = null,
            attempts = greatest(i.attempts, least(i.attempts + 1, 3))  -- from the fourth on, that is the worker's business
        from unnest(v_claimed) with ordinality as c (key, place)
        where i.hub = p_hub and i.key = c.key
        returning 'instance'::text, i.key, c.place, i.id, i.state, false, i.name, i.version, i.status, i.execution,
            i.attempts, i.start_at_us, i.parent_id, i.parent_execution, i.parent_seq, i.parent_depth, null::bytea;

        return query
        select 'turn'::text, t.key, t.turn, null::text, t.events, t.more, null::text, null::text, null::text, t.execution,
            null::integer, null::bigint, null::text, null::bigint, null::bigint, null::integer, null::bytea
        from (
            select i.key, h.turn, h.execution, h.events,
                sum(octet_length(h.events)) over (partition by i.key order by h.turn) as bytes,
                row_number() over (partition by i.key order by h.turn) as nth,
                lead(true, 1, false) over (partition by i.key order by h.turn) as more
            from unnest(v_claimed) as c (key)
            join {schema}.instances i on i.hub = p_hub and i.key = c.key
            join {schema}.history h on h.hub = p_hub and h.key = i.key and h.execution = i.execution
        ) t
        where t.bytes <= p_history_bytes or t.nth = 1
        order by t.key, t.turn;

        return query
        select distinct 'queued'::text, q.key, q.seq, null::text, null::bytea, false, null::text, null::text, null::text,
            null::bigint, null::integer, null::bigint, null::text, null::bigint, null::bigint, null::integer, null::bytea
        from unnest(v_claimed) as c (key)
        join {schema}.queued_activities q on q.hub = p_hub and q.key = c.key
        order by 2, 3;
    end if;

    -- After the claim, so that a letter is told of that was there before something claimed became ready. Hence no lock is waited for: whose
    -- row somebody else has keeps its mark, and is reported all the same.
    if v_some_marked or v_claimed is not null then
        select array_agg(m.key) into v_noted from {schema}.marks m where m.hub = p_hub and m.owner = p_worker;
    end if;
    if v_noted is not null then
        -- All are locked, also those that are not marked any more: somebody may be about to mark one and find it noted already.
        select array_agg(h.key) into v_held
        from (
            select i.key from {schema}.instances i
            where i.hub = p_hub and i.key = any (v_noted) and i.owner is not distinct from p_worker
            for no key update skip locked
        ) h;
        select array_agg(i.key) into v_marked
        from {schema}.instances i
        where i.hub = p_hub and i.key = any (v_noted) and i.owner is not distinct from p_worker and i.marked;
        update {schema}.instances i set marked = false
        where i.hub = p_hub and i.key = any (v_held) and i.marked;
        delete from {schema}.marks m
        where m.hub = p_hub and m.owner = p_worker and m.key = any (v_noted)
            and (
                m.key = any (v_held)
                or not exists (
                    select from {schema}.instances i where i.hub = p_hub and i.key = m.key and i.owner is not distinct from p_worker
                )
            );
    end if;

    if v_claimed is not null or v_marked is not null or p_told is not null then
        return query
        select 'letter'::text, l.key, l.id, i.id, l.letter, false, null::text, null::text, null::text, l.execution,
            null::integer, null::bigint, null::text, null::bigint, null::bigint, null::integer, null::bytea
        from (
            select c.key, 0::bigint as after from unnest(v_claimed || v_marked) as c (key)
            union all
            select t.key, t.after
            from unnest(p_told, p_told_after) as t (key, after)
            where t.key <> all (coalesce(v_claimed || v_marked, '{}'))
        ) w
        join {schema}.instances i on i.hub = p_hub and i.key = w.key and i.owner is not distinct from p_worker
        join {schema}.letters l on l.hub = p_hub and l.key = i.key and l.id > w.after
        order by l.id;
    end if;

    if v_some_queued then
        select array_agg(f.id) into v_items
        from unnest(v_activity_names, v_activity_quotas) as k (name, quota)
        cross join lateral (
            select q.id from {schema}.queued_activities q
            where q.hub = p_hub and q.owner is null and (q.name, q.id) >= (k.name, 0) and q.name <= k.name
            order by q.name, q.id
            limit k.quota
            for update skip locked
        ) f;
        return query
        with taken as (
            update {schema}.queued_activities q
            set owner = p_worker, fetched_in = p_number, attempts = greatest(q.attempts, least(q.attempts + 1, 3))
            from unnest(v_items) as f (id)
            where q.hub = p_hub and q.id = f.id
            returning q.*
        )
        select 'activity'::text, t.id, t.seq, i.id, t.input, false, t.name, null::text, null::text, t.execution, t.attempts,
            null::bigint, null::text, t.attempt::bigint, null::bigint, null::integer, t.options
        from taken t
        join {schema}.instances i on i.hub = p_hub and i.key = t.key
        order by t.id;
    end if;
end
$$;
