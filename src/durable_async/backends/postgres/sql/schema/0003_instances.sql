-- Lives of instances: begun by clients and by turns, ended for good by purge and replacement.

-- Deletes lives that the caller has locked, with everything that belongs to them.
create function {schema}.remove_lives(p_hub integer, p_keys bigint[]) returns void
language plpgsql as $$
begin
    delete from {schema}.history h where h.hub = p_hub and h.key = any (p_keys);
    delete from {schema}.letters l where l.hub = p_hub and l.key = any (p_keys);
    delete from {schema}.queued_activities q where q.hub = p_hub and q.key = any (p_keys);
    insert into {schema}.graves (hub, key, buried_at_us)
    select i.hub, i.key, {schema}.clock_us()
    from {schema}.instances i
    where i.hub = p_hub and i.key = any (p_keys) and i.owner is not null;
    delete from {schema}.instances i where i.hub = p_hub and i.key = any (p_keys);
end
$$;

-- Whose letters may have to go out when these ids are replaced or end: the receivers of their wills. To be locked with them; should a will change
-- before they are, put_letters sees to it.
create function {schema}.heirs_of(p_hub integer, p_ids text[]) returns text[]
language plpgsql as $$
begin
    return (
        select coalesce(array_agg(distinct h.id), '{}')
        from {schema}.instances i
        cross join lateral unnest(i.will_to) as h (id)
        where i.hub = p_hub and i.id = any (p_ids)
    );
end
$$;

-- Creates instances, each according to its reuse policy: 0 keeps what is there, 1 replaces what has ended, 2 replaces any orchestration.
-- The caller has locked those that are there. Items in p_skip are left out. Answers come in any order, with the will of what was replaced.
-- Of those whose id is new, p_worker owns at once what c_taken says, as if it had claimed it in a fetch of this negative number; the caller has
-- locked its lease.
create function {schema}.put_instances(
    p_hub integer,
    p_now_us bigint,
    p_skip bigint[],
    c_id text[],
    c_name text[],
    c_version text[],
    c_events bytea[],
    c_created_at_us bigint[],
    c_start_at_us bigint[],
    c_tags text[],
    c_reuse smallint[],
    c_parent_id text[],
    c_parent_execution bigint[],
    c_parent_seq bigint[],
    c_parent_depth integer[],
    c_request text[],
    p_worker text default null,
    p_number bigint default null,
    c_taken boolean[] default null
) returns table (place bigint, created boolean, status text, execution bigint, will_to text[], will_letter bytea, taken bigint)
language plpgsql as $$
declare
    v_keys bigint[];
    v_fresh integer;
    v_there record;
    c record;
begin
    select array_agg(nextval('{schema}.instance_keys')) into v_keys from unnest(c_id);

    -- Most ids are new: those begin in one statement. In the order of their ids, in which everybody waits for everybody.
    insert into {schema}.instances (
        hub, key, id, name, version, status, execution, ready_at_us, start_at_us, created_at_us, updated_at_us,
        tags, parent_id, parent_execution, parent_seq, parent_depth, owner, fetched_in, attempts
    )
    select p_hub, n.key, n.id, n.name, n.version, 'pending', coalesce(t.execution, 0) + 1,
        case when n.taken then null else greatest(p_now_us, n.start_at_us) end, n.start_at_us, n.created_at_us, p_now_us,
        n.tags::jsonb, n.parent_id, n.parent_execution, n.parent_seq, n.parent_depth,
        case when n.taken then p_worker end, case when n.taken then p_number else 0 end, case when n.taken then 1 else 0 end
    from unnest(
        v_keys, c_id, c_name, c_version, c_created_at_us, c_start_at_us, c_tags,
        c_parent_id, c_parent_execution, c_parent_seq, c_parent_depth, c_taken
    ) with ordinality as n (
        key, id, name, version, created_at_us, start_at_us, tags,
        parent_id, parent_execution, parent_seq, parent_depth, taken, place
    )
    left join {schema}.tombstones t on t.hub = p_hub and t.id = n.id
    where n.place <> all (p_skip)
    order by n.id, n.place
    on conflict do nothing;
    get diagnostics v_fresh = row_count;

    insert into {schema}.history (hub, key, execution, turn, events)
    select p_hub, i.key, i.execution, 0, n.events
    from unnest(v_keys, c_events) as n (key, events)
    join {schema}.instances i on i.hub = p_hub and i.key = n.key;

    insert into {schema}.requests (hub, id, answer, answered_at_us)
    select p_hub, n.request, 'true pending ' || i.execution, p_now_us
    from unnest(v_keys, c_request) as n (key, request)
    join {schema}.instances i on i.hub = p_hub and i.key = n.key
    where n.request is not null;

    return query
    select n.place, true, i.status, i.execution, null::text[], null::bytea, case when i.owner is not null then i.key end
    from unnest(v_keys) with ordinality as n (key, place)
    join {schema}.instances i on i.hub = p_hub and i.key = n.key;

    if v_fresh + cardinality(p_skip) = cardinality(c_id) then
        return;
    end if;

    for c in
        select n.*
        from unnest(
            v_keys, c_id, c_name, c_version, c_events, c_created_at_us, c_start_at_us, c_tags, c_reuse,
            c_parent_id, c_parent_execution, c_parent_seq, c_parent_depth, c_request
        ) with ordinality as n (
            key, id, name, version, events, created_at_us, start_at_us, tags, reuse,
            parent_id, parent_execution, parent_seq, parent_depth, request, place
        )
        where n.place <> all (p_skip)
            and not exists (select from {schema}.instances i where i.hub = p_hub and i.key = n.key)
        order by n.place
    loop
        if c.reuse = 0 then
            select i.key, i.status, i.execution, i.is_entity, i.will_to, i.will_letter into v_there
            from {schema}.instances i
            where i.hub = p_hub and i.id = c.id;
        else
            -- Locked already, unless it came just now; then it is not waited for, because locks are waited for in one order.
            select i.key, i.status, i.execution, i.is_entity, i.will_to, i.will_letter into v_there
            from {schema}.instances i
            where i.hub = p_hub and i.id = c.id
            for no key update skip locked;
        end if;
        if v_there.key is null then
            raise exception 'the id came or went while it was looked at' using errcode = 'serialization_failure';
        end if;
        place := c.place;
        created := c.reuse = 2 and not v_there.is_entity
            or (c.reuse = 1 and v_there.status in ('completed', 'failed', 'terminated'));
        status := v_there.status;
        execution := v_there.execution;
        will_to := null;
        will_letter := null;
        taken := null;
        if created then
            status := 'pending';
            execution := execution + 1;
            will_to := v_there.will_to;
            will_letter := v_there.will_letter;
            perform {schema}.remove_lives(p_hub, array[v_there.key]);
            insert into {schema}.instances (
                hub, key, id, name, version, status, execution, ready_at_us, start_at_us, created_at_us, updated_at_us,
                tags, parent_id, parent_execution, parent_seq, parent_depth
            ) values (
                p_hub, c.key, c.id, c.name, c.version, status, execution, greatest(p_now_us, c.start_at_us), c.start_at_us,
                c.created_at_us, p_now_us, c.tags::jsonb, c.parent_id, c.parent_execution, c.parent_seq, c.parent_depth
            );
            insert into {schema}.history (hub, key, execution, turn, events)
            values (p_hub, c.key, execution, 0, c.events);
        end if;
        if c.request is not null then
            insert into {schema}.requests (hub, id, answer, answered_at_us)
            values (p_hub, c.request, concat_ws(' ', created::text, status, execution), p_now_us);
        end if;
        return next;
    end loop;
end
$$;

-- Answers each request once, as send_letters does.
--
-- p_worker, of the process that calls, offers to begin with c_taken at once: that saves the write of a claim, and whoever looks for something to
-- claim. It owns them under a number of that process, by which mark_unheard undoes this if the process does not hear of it. Its lease is locked, as a
-- takeover locks it, so that one of them sees the other; before all else, for locks are waited for in one order. What comes of the start must find
-- told what was sent before it. So while anything is marked, nothing is taken: the fetch that tells of that will claim.
-- Answers with the key of what was taken.
create function {schema}.create_instances(
    p_hub integer,
    c_id text[],
    c_name text[],
    c_version text[],
    c_events bytea[],
    c_created_at_us bigint[],
    c_start_at_us bigint[],
    c_tags text[],
    c_reuse smallint[],
    c_parent_id text[],
    c_parent_execution bigint[],
    c_parent_seq bigint[],
    c_parent_depth integer[],
    c_request text[],
    p_worker text,
    p_epoch bigint,
    p_term bigint,
    p_number bigint,
    c_taken boolean[]
) returns table (place bigint, created boolean, status text, execution bigint, taken bigint)
language plpgsql
-- include: function_settings
as $$
declare
    v_now_us bigint;
    v_known bigint[];
    v_heirs text[] := '{}';
    v_to text[] := '{}';
    v_letter bytea[] := '{}';
    v_none boolean[];
    v_put record;
begin
    if p_worker is not null then
        perform from {schema}.leases l
        where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch and l.term = p_term
        for key share;
        if not found or exists (select from {schema}.marks m where m.hub = p_hub and m.owner = p_worker) then
            c_taken := null;
        end if;
    end if;

    if 2 = any (c_reuse) then
        v_heirs := {schema}.heirs_of(p_hub, c_id);
    end if;
    perform from {schema}.instances i
    where i.hub = p_hub and i.id = any (c_id || v_heirs)
    order by i.id
    for no key update;
    v_now_us := {schema}.clock_us();

    -- Decided once, before they are answered: another answer may come in between, and that one is refused below.
    select coalesce(array_agg(n.place), '{}') into v_known
    from unnest(c_request) with ordinality as n (request, place)
    join {schema}.requests r on r.hub = p_hub and r.id = n.request;

    return query
    select n.place, split_part(r.answer, ' ', 1)::boolean, split_part(r.answer, ' ', 2), split_part(r.answer, ' ', 3)::bigint, null::bigint
    from unnest(c_request) with ordinality as n (request, place)
    join {schema}.requests r on r.hub = p_hub and r.id = n.request
    where n.place = any (v_known);

    for v_put in
        select * from {schema}.put_instances(
            p_hub, v_now_us, v_known, c_id, c_name, c_version, c_events, c_created_at_us, c_start_at_us,
            c_tags, c_reuse, c_parent_id, c_parent_execution, c_parent_seq, c_parent_depth, c_request, p_worker, p_number, c_taken
        )
    loop
        place := v_put.place;
        taken := v_put.taken;
        created := v_put.created;
        status := v_put.status;
        execution := v_put.execution;
        v_to := v_to || v_put.will_to;
        v_letter := v_letter || array_fill(v_put.will_letter, array[coalesce(cardinality(v_put.will_to), 0)]);
        return next;
    end loop;

    if v_to <> '{}' then
        v_none := array_fill(false, array[cardinality(v_to)]);
        perform {schema}.put_letters(
            p_hub, v_now_us, '{}', null, null, null, false, v_to, null, v_letter, v_none, v_none, null, null, null, null, null
        );
    end if;
end
$$;

-- What create_instances does for one orchestration without a parent whose id is new, in fewer and plainer statements. It does nothing, and
-- answers with no row, where there is more to look at: the id is there, or the request has been answered.
create function {schema}.start_instance(
    p_hub integer,
    p_id text,
    p_name text,
    p_version text,
    p_events bytea,
    p_created_at_us bigint,
    p_start_at_us bigint,
    p_tags text,
    p_request text,
    p_worker text,
    p_epoch bigint,
    p_term bigint,
    p_number bigint
) returns table (execution bigint, taken bigint)
language plpgsql
-- include: function_settings
as $$
declare
    v_key bigint := nextval('{schema}.instance_keys');
    v_now_us bigint;
    v_last bigint;
begin
    if p_worker is not null then
        perform from {schema}.leases l
        where l.hub = p_hub and l.worker = p_worker and l.epoch = p_epoch and l.term = p_term
        for key share;
        if found and not exists (select from {schema}.marks m where m.hub = p_hub and m.owner = p_worker) then
            taken := v_key;
        end if;
    end if;

    if exists (select from {schema}.requests r where r.hub = p_hub and r.id = p_request) then
        return;
    end if;
    v_now_us := {schema}.clock_us();
    execution := 1;

    insert into {schema}.instances (
        hub, key, id, name, version, status, execution, ready_at_us, start_at_us, created_at_us, updated_at_us,
        tags, owner, fetched_in, attempts
    ) values (
        p_hub, v_key, p_id, p_name, p_version, 'pending', execution,
        case when taken is null then greatest(v_now_us, p_start_at_us) end, p_start_at_us, p_created_at_us, v_now_us, p_tags::jsonb,
        case when taken is not null then p_worker end, case when taken is not null then p_number else 0 end,
        case when taken is not null then 1 else 0 end
    )
    on conflict do nothing;
    if not found then
        return;
    end if;
    -- Only now, for it may have waited for a purge.
    select t.execution into v_last from {schema}.tombstones t where t.hub = p_hub and t.id = p_id;
    if found then
        execution := v_last + 1;
        update {schema}.instances i set execution = v_last + 1 where i.hub = p_hub and i.key = v_key;
    end if;
    insert into {schema}.history (hub, key, execution, turn, events) values (p_hub, v_key, execution, 0, p_events);
    if p_request is not null then
        insert into {schema}.requests (hub, id, answer, answered_at_us)
        values (p_hub, p_request, 'true pending ' || execution, v_now_us);
    end if;
    return next;
end
$$;

-- Deletes lives that the caller has locked, remembers their last executions, and returns their ids.
create function {schema}.bury_lives(p_hub integer, p_keys bigint[]) returns setof text
language plpgsql as $$
begin
    if p_keys is null then
        return;
    end if;

    insert into {schema}.tombstones (hub, id, execution, purged_at_us)
    select i.hub, i.id, i.execution, {schema}.clock_us()
    from {schema}.instances i
    where i.hub = p_hub and i.key = any (p_keys)
    order by i.id
    on conflict (hub, id) do update
        set execution = excluded.execution, purged_at_us = excluded.purged_at_us;

    return query
    select i.id from {schema}.instances i where i.hub = p_hub and i.key = any (p_keys);

    perform {schema}.remove_lives(p_hub, p_keys);
end
$$;

-- Deletes those that have ended, and remembers their last execution.
create function {schema}.purge_instances(p_hub integer, p_ids text[]) returns setof text
language plpgsql
-- include: function_settings
as $$
declare
    v_keys bigint[];
begin
    perform from {schema}.instances i
    where i.hub = p_hub and i.id = any (p_ids)
    order by i.id
    for no key update;

    select array_agg(i.key) into v_keys
    from {schema}.instances i
    where i.hub = p_hub and i.id = any (p_ids) and i.status in ('completed', 'failed', 'terminated');
    return query select * from {schema}.bury_lives(p_hub, v_keys);
end
$$;

-- Forgets entities that hold nothing, and remembers their last execution; an owner's next turn finds nothing to be written to.
create function {schema}.discard_entities(p_hub integer, p_ids text[]) returns setof text
language plpgsql
-- include: function_settings
as $$
declare
    v_locked bigint[];
    v_keys bigint[];
begin
    select array_agg(e.key) into v_locked
    from (
        select i.key from {schema}.instances i
        where i.hub = p_hub and i.id = any (p_ids) and i.is_entity
        order by i.id
        for no key update
    ) e;
    select array_agg(i.key) into v_keys
    from {schema}.instances i
    where i.hub = p_hub and i.key = any (v_locked) and i.state is null
        and not exists (select from {schema}.letters l where l.hub = p_hub and l.key = i.key);
    return query select * from {schema}.bury_lives(p_hub, v_keys);
end
$$;

-- Sets failed instances going again as their next execution, all or none; returns whether it did. What ended as a child of theirs is one of
-- the next execution from then on.
create function {schema}.rewrite_instances(
    p_hub integer,
    w_id text[],
    w_execution bigint[],
    w_events bytea[],
    w_parent_id text[],
    w_parent_execution bigint[],
    w_parent_seq bigint[],
    w_parent_depth integer[],
    o_to text[],
    o_execution bigint[],
    o_letter bytea[]
) returns boolean
language plpgsql
-- include: function_settings
as $$
declare
    v_now_us bigint;
    v_keys bigint[];
    v_children text[];
    v_none boolean[];
begin
    select array_agg(c.id) into v_children
    from unnest(w_id, w_execution) as w (id, execution)
    join {schema}.instances c
        on c.hub = p_hub and c.parent_id = w.id and c.parent_execution = w.execution and c.completed_at_us is not null;
    perform from {schema}.instances i
    where i.hub = p_hub and i.id = any (w_id || v_children)
    order by i.id
    for no key update;

    v_now_us := {schema}.clock_us();
    select array_agg(i.key order by w.place) into v_keys
    from unnest(w_id, w_execution) with ordinality as w (id, execution, place)
    join {schema}.instances i
        on i.hub = p_hub and i.id = w.id and i.execution = w.execution and i.status = 'failed';
    if cardinality(v_keys) is distinct from cardinality(w_id) then
        return false;
    end if;

    update {schema}.instances i
    set parent_execution = i.parent_execution + 1
    where i.hub = p_hub and i.id = any (v_children) and i.completed_at_us is not null
        and i.parent_execution = w_execution[array_position(w_id, i.parent_id)];
    delete from {schema}.history h where h.hub = p_hub and h.key = any (v_keys);
    delete from {schema}.queued_activities q where q.hub = p_hub and q.key = any (v_keys);
    update {schema}.instances i
    set status = 'running', execution = w.execution + 1, completed_at_us = null, updated_at_us = v_now_us,
        attempts = 0, hold_until_us = 0, parked = null, ready_at_us = v_now_us, output = null, failure = null,
        parent_id = w.parent_id, parent_execution = w.parent_execution,
        parent_seq = w.parent_seq, parent_depth = w.parent_depth
    from unnest(v_keys, w_execution, w_parent_id, w_parent_execution, w_parent_seq, w_parent_depth)
        as w (key, execution, parent_id, parent_execution, parent_seq, parent_depth)
    where i.hub = p_hub and i.key = w.key;
    insert into {schema}.history (hub, key, execution, turn, events)
    select p_hub, w.key, w.execution + 1, 0, w.events
    from unnest(v_keys, w_execution, w_events) as w (key, execution, events);

    select array_agg(false) into v_none from unnest(o_to);
    perform {schema}.put_letters(
        p_hub, v_now_us, '{}', null, null, null, false, o_to, o_execution, o_letter, v_none, v_none, null, null, null, null, null
    );
    return true;
end
$$;

-- Deletes those that ended p_age_us ago, of the next p_max in order of completion, and returns them; and in a last row, which has no name, how
-- many were looked at, and the place of the last one. Found first and locked then, and nobody is waited for: what is locked is being rewound,
-- replaced or purged. What was rewound meanwhile has not ended any more; what was replaced is gone.
create function {schema}.expire_instances(
    p_hub integer,
    p_age_us bigint,
    p_statuses text[],
    p_names text[],
    p_other_than text[],
    p_after_us bigint,
    p_after_id text,
    p_max integer,
    p_deletes boolean
) returns table (id text, name text, ended_us bigint, looked_at integer)
language plpgsql
-- include: function_settings
as $$
declare
    v_until_us bigint := {schema}.clock_us() - p_age_us;
    v_next bigint[];
    v_keys bigint[];
begin
    select array_agg(n.key) into v_next
    from (
        select i.key from {schema}.instances i
        where i.hub = p_hub and i.completed_at_us >= p_after_us and i.completed_at_us <= v_until_us
            and (i.completed_at_us, i.id) > (p_after_us, p_after_id)
        order by i.completed_at_us, i.id
        limit p_max
    ) n;
    if v_next is null then
        return;
    end if;

    -- A child stays as long as the run of its parent goes on that started it, and when that has failed, which a rewind lets go on. No parent
    -- whose child is to go comes to need it later, so nobody asks again under the lock.
    select array_agg(i.key) into v_keys
    from {schema}.instances i
    where i.hub = p_hub and i.key = any (v_next) and i.status = any (p_statuses)
        and (p_names is null or i.name = any (p_names)) and i.name <> all (p_other_than)
        and not exists (
            select from {schema}.instances p
            where p.hub = p_hub and p.id = i.parent_id and p.execution = i.parent_execution
                and (p.completed_at_us is null or p.status = 'failed')
        );
    if p_deletes then
        select array_agg(o.key) into v_keys
        from (
            select i.key from {schema}.instances i
            where i.hub = p_hub and i.key = any (v_keys) and i.completed_at_us <= v_until_us
            order by i.id
            for no key update skip locked
        ) o;
    end if;

    return query
    select i.id, i.name, null::bigint, null::integer from {schema}.instances i where i.hub = p_hub and i.key = any (v_keys);
    return query
    select i.id, null::text, i.completed_at_us, cardinality(v_next)
    from {schema}.instances i
    where i.hub = p_hub and i.key = v_next[cardinality(v_next)];

    if p_deletes then
        perform {schema}.bury_lives(p_hub, v_keys);
    end if;
end
$$;

-- Puts parked instances back, ready at once with no attempts counted.
create function {schema}.unpark_instances(p_hub integer, p_ids text[]) returns setof text
language plpgsql
-- include: function_settings
as $$
declare
    v_now_us bigint;
begin
    perform from {schema}.instances i
    where i.hub = p_hub and i.id = any (p_ids)
    order by i.id
    for no key update;

    v_now_us := {schema}.clock_us();
    return query
    update {schema}.instances i
    set parked = null, attempts = 0, hold_until_us = 0, ready_at_us = v_now_us, updated_at_us = v_now_us
    where i.hub = p_hub and i.id = any (p_ids) and i.parked is not null
    returning i.id;
end
$$;

-- What a client sees of instances. In a function because it is asked all the time: planned once, and by the unique index also in a hub that
-- the statistics do not know yet. Every other index that begins with the hub looks as good then, and a table that was empty like nothing.
create function {schema}.read_instances(p_hub integer, p_payloads boolean, p_ids text[])
returns table (
    id text,
    name text,
    version text,
    status text,
    execution bigint,
    created_at_us bigint,
    updated_at_us bigint,
    completed_at_us bigint,
    start_at_us bigint,
    tags text,
    parent_id text,
    parent_execution bigint,
    parent_seq bigint,
    parent_depth integer,
    custom_status bytea,
    failure bytea,
    parked text,
    owner text,
    output bytea,
    started_events bytea
)
language plpgsql stable
-- include: function_settings
as $$
begin
    return query
    select i.id, i.name, i.version, i.status, i.execution, i.created_at_us, i.updated_at_us, i.completed_at_us, i.start_at_us,
        i.tags::text, i.parent_id, i.parent_execution, i.parent_seq, i.parent_depth, i.custom_status, i.failure, i.parked, i.owner,
        case when p_payloads then i.output end,
        case when p_payloads then (
            select h.events from {schema}.history h
            where h.hub = i.hub and h.key = i.key and h.execution = i.execution and h.turn = 0
        ) end
    from {schema}.instances i
    where i.hub = p_hub and i.id = any (p_ids);
end
$$;

-- A parent's children, or those with some tags. Their index is chosen here: a planner that does not know the bounds of a range of creation
-- would rather search that.
create function {schema}.few_instances(p_hub integer, p_parent_id text, p_tags jsonb) returns setof {schema}.instances
language plpgsql stable
-- include: function_settings
as $$
begin
    if p_parent_id is not null then
        return query select i.* from {schema}.instances i where i.hub = p_hub and i.parent_id = p_parent_id;
    else
        return query select i.* from {schema}.instances i where i.hub = p_hub and i.tags @> p_tags;
    end if;
end
$$;

-- Entities by their ids; those between two ids, of which the second is left out, after a third, in order. In functions for the same reasons.
create function {schema}.entities_of(p_hub integer, p_ids text[]) returns setof {schema}.instances
language plpgsql stable
-- include: function_settings
as $$
begin
    return query select i.* from {schema}.instances i where i.hub = p_hub and i.id = any (p_ids) and i.is_entity;
end
$$;

create function {schema}.entities_within(
    p_hub integer,
    p_from text,
    p_below text,
    p_after text,
    p_updated_from_us bigint,
    p_updated_to_us bigint,
    p_has_state boolean,
    p_max integer
) returns setof {schema}.instances
language plpgsql stable
-- include: function_settings
as $$
begin
    return query
    select i.*
    from {schema}.instances i
    where i.hub = p_hub and i.id >= p_from and i.id < p_below and i.id > p_after and i.is_entity
        and (p_updated_from_us is null or i.updated_at_us >= p_updated_from_us)
        and (p_updated_to_us is null or i.updated_at_us < p_updated_to_us)
        and (p_has_state is null or (i.state is not null) = p_has_state)
    order by i.id
    limit p_max;
end
$$;

-- What came of requests.
create function {schema}.read_answers(p_hub integer, p_ids text[]) returns table (id text, answer bytea)
language plpgsql stable
-- include: function_settings
as $$
begin
    return query select a.id, a.answer from {schema}.answers a where a.hub = p_hub and a.id = any (p_ids);
end
$$;
