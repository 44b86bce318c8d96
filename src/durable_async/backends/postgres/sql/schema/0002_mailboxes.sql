-- Letters into mailboxes.
--
-- Each statement of a function in PL/pgSQL sees what was committed before it began. So every function locks first, and decides on
-- what the next statement sees: worker row, then lease, then instances in byte order of their ids.

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

-- Puts letters into the mailboxes of instances that the caller has locked, and sees to it that somebody looks.
-- Whoever is written to unlocked might be claimed at the same time by a worker that does not see the letter and is not told of it.
-- Items in p_skip are left out. p_max bounds a mailbox, null for no bound; a full one still takes a letter that ends its owner.
create function {schema}.put_letters(
    p_hub integer,
    p_now_us bigint,
    p_skip bigint[],
    p_max integer,
    o_to text[],
    o_execution bigint[],
    o_letter bytea[],
    o_urgent boolean[],
    o_final boolean[],
    o_parent_id text[],
    o_parent_execution bigint[],
    o_parent_seq bigint[],
    o_request text[]
) returns table (place bigint, verdict text)
language plpgsql as $$
declare
    v_own xid := pg_current_xact_id()::xid;  -- stands in each row that this transaction has locked or written
begin
    return query
    with
    found as (
        select o.*, i.key, i.ending,
            case
                when i.key is null then 'not found'
                when v_own not in (i.xmin, i.xmax) and not {schema}.hold_receiver(p_hub, i.key, i.xmin) then 'not found'
                when o.execution <> i.execution then 'not found'
                when o.parent_id is not null and (i.parent_id, i.parent_execution, i.parent_seq)
                    is distinct from (o.parent_id, o.parent_execution, o.parent_seq) then 'not found'
                when i.status in ('completed', 'failed', 'terminated') then 'terminal'
                else 'delivered'
            end as verdict
        from unnest(
            o_to, o_execution, o_letter, o_urgent, o_final, o_parent_id, o_parent_execution, o_parent_seq, o_request
        ) with ordinality as o (
            receiver, execution, letter, urgent, final, parent_id, parent_execution, parent_seq, request, place
        )
        left join {schema}.instances i on i.hub = p_hub and i.id = o.receiver
        where o.place <> all (p_skip)
    ),
    counted as (
        select f.*,
            count(*) filter (where f.verdict = 'delivered') over (partition by f.key order by f.place) as nth,
            count(*) filter (where f.verdict = 'delivered' and f.final) over (partition by f.key order by f.place) as nth_final,
            case when p_max is not null and row_number() over (partition by f.key order by f.place) = 1 then (
                select count(*) from (
                    select from {schema}.letters l where l.hub = p_hub and l.key = f.key limit p_max
                ) bounded
            ) end as held
        from found f
    ),
    judged as (
        select c.place, c.execution, c.letter, c.urgent, c.final, c.request, c.key,
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
        returning letters.key, letters.urgent, letters.final
    ),
    arrivals as (
        select p.key, bool_or(p.urgent) as urgent, bool_or(p.final) as final from placed p group by p.key
    ),
    noticed as (
        select i.key, i.owner, i.owner is not null as marked, i.ending or a.final as ending,
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
        select p_hub, n.owner, n.key from noticed n where n.marked
        on conflict do nothing
    ),
    answered as (
        insert into {schema}.requests (hub, id, answer, answered_at_us)
        select p_hub, j.request, j.verdict, p_now_us
        from judged j
        where j.request is not null and j.verdict <> 'full'
    )
    select j.place, j.verdict from judged j;
end
$$;

-- Answers each request once. A repetition that overtakes its first attempt is refused by the primary key of requests and asks again.
create function {schema}.send_letters(
    p_hub integer,
    p_max integer,
    o_to text[],
    o_execution bigint[],
    o_letter bytea[],
    o_urgent boolean[],
    o_final boolean[],
    o_parent_id text[],
    o_parent_execution bigint[],
    o_parent_seq bigint[],
    o_request text[]
) returns table (place bigint, verdict text)
language plpgsql
-- include: function_settings
as $$
declare
    v_known bigint[];
begin
    perform from {schema}.instances i
    where i.hub = p_hub and i.id = any (o_to)
    order by i.id
    for no key update;

    -- Decided once, before they are answered: another answer may come in between, and that one is refused below.
    select coalesce(array_agg(o.place), '{}') into v_known
    from unnest(o_request) with ordinality as o (request, place)
    join {schema}.requests r on r.hub = p_hub and r.id = o.request;

    return query
    select o.place, r.answer
    from unnest(o_request) with ordinality as o (request, place)
    join {schema}.requests r on r.hub = p_hub and r.id = o.request
    where o.place = any (v_known);

    return query
    select * from {schema}.put_letters(
        p_hub, {schema}.clock_us(), v_known, p_max,
        o_to, o_execution, o_letter, o_urgent, o_final, o_parent_id, o_parent_execution, o_parent_seq, o_request
    );
end
$$;
