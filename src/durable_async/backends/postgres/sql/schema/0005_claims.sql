-- What a worker takes from the hub.

-- Claims ready work and collects letters for what is owned, in one call. The rows differ by their kind:
-- 'hub' (one, first): whether the worker is fenced, the clock in n, the earliest time at which something becomes ready in at_us
-- 'instance': one claimed; 'turn': a row of its history, with whether more follow; 'queued': its activities in the queue
-- 'letter': in the mailbox of one claimed, or of one owned that was marked, or that the worker's process was told of
-- 'activity': one claimed from the queue
-- Names that are null stand for any. What is passed over is left to others: pairs of a name and a version, '' for none.
-- p_told are the latter, each with the last letter that was reported of it; later ones are asked for.
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
    p_told_after bigint[]
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
    v_some_ready boolean;
    v_some_marked boolean;
    v_some_queued boolean;
begin
    -- This is all that an idle worker costs. It takes no lock.
    kind := 'hub';
    n := v_now_us;
    select false,
        p_instances > 0 and exists (
            select from {schema}.instances i
            where i.hub = p_hub and i.ready_at_us <= v_now_us
                and (
                    i.ending
                    or (p_names is null or i.name = any (p_names))
                        and (
                            p_passed_names is null
                            or (i.name, coalesce(i.version, '')) not in (
                                select o.name, o.version from unnest(p_passed_names, p_passed_versions) as o (name, version)
                            )
                        )
                )
        ),
        exists (select from {schema}.marks m where m.hub = p_hub and m.owner = p_worker),
        p_activities > 0 and exists (
            select from {schema}.queued_activities q
            where q.hub = p_hub and q.owner is null and (p_activity_names is null or q.name = any (p_activity_names))
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
    if flag or not (v_some_ready or v_some_marked or v_some_queued or p_told is not null) then
        return next;
        return;
    end if;

    if v_some_ready or v_some_marked or v_some_queued then
        -- A takeover locks this row too: it either sees what is claimed here, or this claim sees that it was taken over.
        update {schema}.leases l set fetched = p_number
        where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch and l.fetched < p_number;
        if not found then
            flag := not exists (
                select from {schema}.leases l where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch
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
        select array_agg(r.key) into v_claimed
        from (
            select i.key from {schema}.instances i
            where i.hub = p_hub and i.ready_at_us <= v_now_us
                and (
                    i.ending
                    or (p_names is null or i.name = any (p_names))
                        and (
                            p_passed_names is null
                            or (i.name, coalesce(i.version, '')) not in (
                                select o.name, o.version from unnest(p_passed_names, p_passed_versions) as o (name, version)
                            )
                        )
                )
            order by i.ready_at_us, i.id
            limit p_instances
            for no key update skip locked
        ) r;
        return query
        update {schema}.instances i
        set owner = p_worker, fetched_in = p_number, ready_at_us = null, hold_until_us = 0, marked = false, attempts = i.attempts + 1, parked = null
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
        from (
            select q.id from {schema}.queued_activities q
            where q.hub = p_hub and q.owner is null and (p_activity_names is null or q.name = any (p_activity_names))
            order by q.id
            limit p_activities
            for update skip locked
        ) f;
        return query
        with taken as (
            update {schema}.queued_activities q
            set owner = p_worker, fetched_in = p_number, attempts = q.attempts + 1
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
