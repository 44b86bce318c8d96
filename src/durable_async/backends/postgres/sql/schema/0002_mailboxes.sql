-- Letters into mailboxes.
--
-- Each statement of a function in PL/pgSQL sees what was committed before it began. So every function locks first, and decides on
-- what the next statement sees: worker row, then entities that are missing, then lease, then instances in byte order of their ids.

-- Brings the entities into being that letters open and that are not there; returns their keys. Called before any instance is locked.
--
-- No deadlock can come of it. Who inserts may wait for somebody who inserts the same id and has not committed: both go through their ids in
-- one order, and hold no lock on an instance, for nobody else can see what was inserted. Or, if it came and was committed meanwhile, for
-- somebody who already changes or deletes it: that one has its insertions behind it, is waited for by those who insert and waits for none of
-- them. Those that are there are left out, so that neither a number is used up nor anybody waited for who writes to them.
create function {schema}.open_entities(p_hub integer, o_to text[], o_opens text[]) returns bigint[]
language plpgsql as $$
declare
    v_now_us bigint := {schema}.clock_us();
    v_keys bigint[];
begin
    -- Mostly all are there, and to look costs half of what an insertion of nothing does.
    perform from unnest(o_to, o_opens) as o (id, name)
    where o.name is not null and not exists (select from {schema}.instances i where i.hub = p_hub and i.id = o.id);
    if not found then
        return null;
    end if;

    with opened as (
        insert into {schema}.instances as i (
            hub, key, id, name, is_entity, status, execution, ready_at_us, start_at_us, created_at_us, updated_at_us
        )
        select p_hub, nextval('{schema}.instance_keys'), n.id, n.name, true, 'running', coalesce(t.execution, 0) + 1, v_now_us, 0,
            v_now_us, v_now_us
        from (
            select o.id collate "C" as id, min(o.name) as name
            from unnest(o_to, o_opens) as o (id, name)
            where o.name is not null
            group by 1
        ) n
        left join {schema}.tombstones t on t.hub = p_hub and t.id = n.id
        where not exists (select from {schema}.instances i where i.hub = p_hub and i.id = n.id)
        order by n.id
        on conflict do nothing
        returning i.key
    )
    select array_agg(o.key) into v_keys from opened o;
    return v_keys;
end
$$;

-- Takes back what was opened for letters that did not go, because their turn was left out, or their request had been answered.
create function {schema}.close_entities(p_hub integer, p_keys bigint[]) returns void
language plpgsql as $$
begin
    delete from {schema}.instances i
    where i.hub = p_hub and i.key = any (p_keys)
        and not exists (select from {schema}.letters l where l.hub = p_hub and l.key = i.key);
end
$$;

-- Locks a receiver that the caller could not lock, because it came, or came anew, while the caller waited for others: but only as the caller
-- sees it, and if it is free, for locks are waited for in one order. Otherwise all is undone, to be tried again.
create function {schema}.hold_receiver(p_hub integer, p_key bigint, p_version xid) returns boolean
language plpgsql as $$
begin
    perform from {schema}.instances i
    where i.hub = p_hub and i.key = p_key and i.xmin = p_version
    for no key update skip locked;
    if not found then
        raise exception 'a receiver came or went while others were waited for' using errcode = 'serialization_failure';
    end if;
    return true;
end
$$;

-- Puts one letter into the mailbox of an instance that the caller has locked: what put_letters does, where it is called for one. The server takes
-- longer to set up that function's statement than to run these.
create function {schema}.put_letter(
    p_hub integer,
    p_now_us bigint,
    p_max integer,
    p_near text[],
    p_near_term bigint[],
    p_to text,
    p_execution bigint,
    p_letter bytea,
    p_urgent boolean,
    p_final boolean,
    p_opens text,
    p_parent_id text,
    p_parent_execution bigint,
    p_parent_seq bigint,
    p_request text
) returns table (place bigint, verdict text, key bigint, near text)
language plpgsql as $$
declare
    v_own xid := pg_current_xact_id()::xid;  -- stands in each row that this transaction has locked or written
    v_late boolean;
    v_held bigint;
    v_ready_at_us bigint;
    r record;
begin
    select i.*, i.xmin as written_by, v_own not in (i.xmin, i.xmax) as late into r
    from {schema}.instances i
    where i.hub = p_hub and i.id = p_to;
    v_late := coalesce(r.late, p_opens is not null);  -- one that was opened, and has gone
    if v_late then
        perform {schema}.hold_receiver(p_hub, r.key, r.written_by);
    end if;

    place := 1;
    verdict := case
        when r.key is null or p_execution <> r.execution then 'not found'
        when p_parent_id is not null and (r.parent_id, r.parent_execution, r.parent_seq)
            is distinct from (p_parent_id, p_parent_execution, p_parent_seq) then 'not found'
        when r.status in ('completed', 'failed', 'terminated') then 'terminal'
        else 'delivered'
    end;
    if p_max is not null and verdict = 'delivered' and not (p_final and not r.ending) then
        -- There are no more of them than numbers between the first and the last: what is far from full is not counted.
        select max(l.id) - min(l.id) into v_held from {schema}.letters l where l.hub = p_hub and l.key = r.key;
        if v_held >= p_max - 1 then
            select count(*) into v_held
            from (select from {schema}.letters l where l.hub = p_hub and l.key = r.key limit p_max) bounded;
            verdict := case when v_held + 1 > p_max then 'full' else verdict end;
        end if;
    end if;
    if p_request is not null and verdict <> 'full' then
        insert into {schema}.requests (hub, id, answer, answered_at_us) values (p_hub, p_request, verdict, p_now_us);
    end if;
    return next;
    if verdict <> 'delivered' then
        return;
    end if;

    insert into {schema}.letters (hub, key, execution, arrived_at_us, urgent, final, letter)
    values (p_hub, r.key, p_execution, p_now_us, p_urgent, p_final, p_letter);

    if r.owner = any (p_near) and not (v_late or r.ending or p_final) then
        select l.worker into near
        from {schema}.leases l
        where l.hub = p_hub and l.worker = r.owner and l.term = p_near_term[array_position(p_near, r.owner)];
    end if;
    v_ready_at_us := case
        when r.owner is not null then null
        when p_final then least(r.ready_at_us, p_now_us)
        when r.parked is not null then r.ready_at_us
        else least(r.ready_at_us, greatest(p_now_us, r.hold_until_us, case when p_urgent then 0 else r.start_at_us end))
    end;
    if (r.marked, r.ending, r.ready_at_us)
        is distinct from (r.owner is not null and (r.marked or near is null), r.ending or p_final, v_ready_at_us) then
        update {schema}.instances i
        set marked = r.owner is not null and (r.marked or near is null), ending = r.ending or p_final, ready_at_us = v_ready_at_us
        where i.hub = p_hub and i.key = r.key;
    end if;
    if r.owner is not null and near is null then
        insert into {schema}.marks (hub, owner, key) values (p_hub, r.owner, r.key) on conflict do nothing;
    end if;
    place := null;
    verdict := null;
    key := r.key;
    return next;
end
$$;

-- Puts letters into the mailboxes of instances that the caller has locked, and sees to it that somebody looks.
-- Whoever is written to unlocked might be claimed at the same time by a worker that does not see the letter and is not told of it.
-- Items in p_skip are left out. p_max bounds a mailbox, null for no bound; a full one still takes a letter that ends its owner.
--
-- p_near are workers of the process that calls. What they own is not marked, for to mark is two writes here, and makes the owner's fetch write
-- as well: the process remembers it as soon as it has the answer, until the fetch that tells of it. If it never gets the answer, it raises the
-- worker's term (mark_unheard), and whoever comes under another term marks. With p_all_near, nothing is left unmarked unless all is: others
-- may act on what they get of this call, and what comes of that must find the rest told.
--
-- Answers in rows of two kinds: place and verdict of a letter; key of a receiver, and the near worker that is to be told, if it is not marked.
create function {schema}.put_letters(
    p_hub integer,
    p_now_us bigint,
    p_skip bigint[],
    p_max integer,
    p_near text[],
    p_near_term bigint[],
    p_all_near boolean,
    o_to text[],
    o_execution bigint[],
    o_letter bytea[],
    o_urgent boolean[],
    o_final boolean[],
    o_opens text[],
    o_parent_id text[],
    o_parent_execution bigint[],
    o_parent_seq bigint[],
    o_request text[]
) returns table (place bigint, verdict text, key bigint, near text)
language plpgsql as $$
declare
    v_own xid := pg_current_xact_id()::xid;  -- stands in each row that this transaction has locked or written
begin
    if cardinality(o_to) = 1 then
        if p_skip = '{}' then
            return query
            select * from {schema}.put_letter(
                p_hub, p_now_us, p_max, p_near, p_near_term, o_to[1], o_execution[1], o_letter[1], coalesce(o_urgent[1], false),
                coalesce(o_final[1], false), o_opens[1], o_parent_id[1], o_parent_execution[1], o_parent_seq[1], o_request[1]
            );
        end if;
        return;
    end if;

    return query
    with
    found as (
        select o.*, i.key, i.ending, i.owner, v_own not in (i.xmin, i.xmax) as is_late,
            case
                when i.key is null and o.opens is null then 'not found'
                when i.key is null and not {schema}.hold_receiver(p_hub, null, null) then 'discarded meanwhile'
                when v_own not in (i.xmin, i.xmax) and not {schema}.hold_receiver(p_hub, i.key, i.xmin) then 'not found'
                when o.execution <> i.execution then 'not found'
                when o.parent_id is not null and (i.parent_id, i.parent_execution, i.parent_seq)
                    is distinct from (o.parent_id, o.parent_execution, o.parent_seq) then 'not found'
                when i.status in ('completed', 'failed', 'terminated') then 'terminal'
                else 'delivered'
            end as verdict
        from (
            select u.receiver, u.execution, u.letter, coalesce(u.urgent, false) as urgent, coalesce(u.final, false) as final, u.opens,
                u.parent_id, u.parent_execution, u.parent_seq, u.request, u.place
            from unnest(
                o_to, o_execution, o_letter, o_urgent, o_final, o_opens, o_parent_id, o_parent_execution, o_parent_seq, o_request
            ) with ordinality as u (
                receiver, execution, letter, urgent, final, opens, parent_id, parent_execution, parent_seq, request, place
            )
        ) o
        left join {schema}.instances i on i.hub = p_hub and i.id = o.receiver
        where o.place <> all (p_skip)
    ),
    counted as (
        select f.*,
            count(*) filter (where f.verdict = 'delivered') over (partition by f.key order by f.place) as nth,
            count(*) filter (where f.verdict = 'delivered' and f.final) over (partition by f.key order by f.place) as nth_final,
            case when p_max is not null and row_number() over (partition by f.key order by f.place) = 1 then (
                -- There are no more of them than numbers between the first and the last: what is far from full is not counted.
                select case when max(l.id) - min(l.id) < p_max - cardinality(o_to) then 0 else (
                    select count(*) from (
                        select from {schema}.letters l where l.hub = p_hub and l.key = f.key limit p_max
                    ) bounded
                ) end
                from {schema}.letters l where l.hub = p_hub and l.key = f.key
            ) end as held
        from found f
    ),
    judged as (
        select c.place, c.execution, c.letter, c.urgent, c.final, c.request, c.key, c.ending, c.owner, c.is_late,
            case
                when c.verdict = 'delivered' and not (c.final and c.nth_final = 1 and not c.ending)
                    and max(c.held) over (partition by c.key) + c.nth > p_max then 'full'
                else c.verdict
            end as verdict
        from counted c
    ),
    placed as (
        insert into {schema}.letters (hub, key, execution, arrived_at_us, urgent, final, letter)
        select p_hub, j.key, j.execution, p_now_us, j.urgent, j.final, j.letter
        from judged j
        where j.verdict = 'delivered'
        order by j.place
    ),
    near as materialized (
        select n.worker
        from unnest(p_near, p_near_term) as n (worker, term)
        join {schema}.leases l on l.hub = p_hub and l.worker = n.worker and l.term = n.term
    ),
    arrivals as (
        -- One that is about to end is marked, for whether it is decides what becomes of it if its owner abandons it.
        select j.key, bool_or(j.urgent) as urgent, bool_or(j.final) as final,
            not bool_or(j.is_late or j.ending or j.final) and min(j.owner) in (select n.worker from near n) as is_near
        from judged j
        where j.verdict = 'delivered'
        group by j.key
    ),
    noticed as (
        select i.key, i.owner, m.near, i.owner is not null and (i.marked or m.near is null) as marked, i.ending or a.final as ending,
            case
                when i.owner is not null then null
                when a.final then least(i.ready_at_us, p_now_us)
                when i.parked is not null then i.ready_at_us
                else least(
                    i.ready_at_us,
                    greatest(p_now_us, i.hold_until_us, case when a.urgent then 0 else i.start_at_us end)
                )
            end as ready_at_us
        from arrivals a
        join {schema}.instances i on i.hub = p_hub and i.key = a.key
        cross join lateral (
            select case when a.is_near and not (p_all_near and exists (select from arrivals b where b.is_near is not true)) then i.owner end
                as near
        ) m
    ),
    woken as (
        update {schema}.instances i
        set marked = n.marked, ending = n.ending, ready_at_us = n.ready_at_us
        from noticed n
        where i.hub = p_hub and i.key = n.key
            and (i.marked, i.ending, i.ready_at_us) is distinct from (n.marked, n.ending, n.ready_at_us)
    ),
    noted as (
        insert into {schema}.marks (hub, owner, key)
        select p_hub, n.owner, n.key from noticed n where n.owner is not null and n.near is null
        on conflict do nothing
    ),
    answered as (
        insert into {schema}.requests (hub, id, answer, answered_at_us)
        select p_hub, j.request, j.verdict, p_now_us
        from judged j
        where j.request is not null and j.verdict <> 'full'
    )
    select j.place, j.verdict, null::bigint, null::text from judged j
    union all
    select null, null, n.key, n.near from noticed n;
end
$$;

-- Answers each request once. A repetition that overtakes its first attempt is refused by the primary key of requests and asks again.
create function {schema}.send_letters(
    p_hub integer,
    p_max integer,
    p_near text[],
    p_near_term bigint[],
    o_to text[],
    o_execution bigint[],
    o_letter bytea[],
    o_urgent boolean[],
    o_final boolean[],
    o_opens text[],
    o_parent_id text[],
    o_parent_execution bigint[],
    o_parent_seq bigint[],
    o_request text[]
) returns table (place bigint, verdict text, key bigint, near text)
language plpgsql
-- include: function_settings
as $$
declare
    v_opened bigint[];
    v_known bigint[];
begin
    if o_opens is not null then
        v_opened := {schema}.open_entities(p_hub, o_to, o_opens);
    end if;
    perform from {schema}.instances i
    where i.hub = p_hub and i.id = any (o_to)
    order by i.id
    for no key update;

    -- Decided once, before they are answered: another answer may come in between, and that one is refused below.
    select coalesce(array_agg(o.place), '{}') into v_known
    from unnest(o_request) with ordinality as o (request, place)
    join {schema}.requests r on r.hub = p_hub and r.id = o.request;

    if v_known <> '{}' then
        return query
        select o.place, r.answer, null::bigint, null::text
        from unnest(o_request) with ordinality as o (request, place)
        join {schema}.requests r on r.hub = p_hub and r.id = o.request
        where o.place = any (v_known);
    end if;

    return query
    select * from {schema}.put_letters(
        p_hub, {schema}.clock_us(), v_known, p_max, p_near, p_near_term, false,
        o_to, o_execution, o_letter, o_urgent, o_final, o_opens, o_parent_id, o_parent_execution, o_parent_seq, o_request
    );

    if v_opened is not null and v_known <> '{}' then
        perform {schema}.close_entities(p_hub, v_opened);
    end if;
end
$$;

-- Puts a letter that comes alone, and answers its request once: what send_letters does with one. It takes plain values, for each array costs the
-- caller and the server more than what one letter has to say.
create function {schema}.send_letter(
    p_hub integer,
    p_max integer,
    p_near text[],
    p_near_term bigint[],
    p_to text,
    p_execution bigint,
    p_letter bytea,
    p_urgent boolean,
    p_final boolean,
    p_opens text,
    p_parent_id text,
    p_parent_execution bigint,
    p_parent_seq bigint,
    p_request text
) returns table (place bigint, verdict text, key bigint, near text)
language plpgsql
-- include: function_settings
as $$
declare
    v_opened bigint[];
begin
    -- Mostly it is there, and nothing has been locked before it that it would have to be opened before.
    perform from {schema}.instances i where i.hub = p_hub and i.id = p_to for no key update;
    if not found and p_opens is not null then
        v_opened := {schema}.open_entities(p_hub, array[p_to], array[p_opens]);
        perform from {schema}.instances i where i.hub = p_hub and i.id = p_to for no key update;
    end if;

    if p_request is not null then
        select r.answer into verdict from {schema}.requests r where r.hub = p_hub and r.id = p_request;
        if found then
            if v_opened is not null then
                perform {schema}.close_entities(p_hub, v_opened);
            end if;
            place := 1;
            return next;
            return;
        end if;
    end if;

    return query
    select * from {schema}.put_letter(
        p_hub, {schema}.clock_us(), p_max, p_near, p_near_term, p_to, p_execution, p_letter, p_urgent, p_final, p_opens,
        p_parent_id, p_parent_execution, p_parent_seq, p_request
    );
end
$$;
