-- A worker's commit: one call, one transaction, whatever is in the batch.
--
-- s_  the subjects: one row for each instance of which the batch holds turns, or that it lets go, with its first turn; the arrays below name
--     them by their place
-- t_  further turns of subjects           l_  letters that turns consumed
-- x_  what turns change on the instance   k_  queued activities that are no longer wanted, q_  new ones
-- y_  answers to requests                 h_  subjects that end or are parked, whose wills go out: those given here, or else those stored
-- n_  attempts of subjects, counted anew    a_  attempts of claimed activities, counted anew; and whether they are given back
-- r_  results of claimed activities, u_ activities given up because nobody claimed them, p_ what claimed ones report meanwhile, with
--     options in the last row of each; each of these releases a letter, by its place
-- o_  letters to others                   c_  children
-- g_  subjects that are let go: 'release', 'abandon' or 'park'
-- Wills are lists of ids in JSON, for an array of arrays has no ragged edge; the empty list is no will.
-- p_near, p_near_term: workers of the caller's process, as put_letters takes them; near_key, near_worker: what they are to be told of.
-- p_locks are to be locked; p_dying are those whose stored wills may go out.
-- An array that would be empty is null, so that its statement is not run at all; so is a column with nothing in it, or nothing true.
create function {schema}.commit_batch(
    p_hub integer,
    p_worker text,
    p_epoch bigint,
    p_seq bigint,
    p_near text[],
    p_near_term bigint[],
    p_locks text[],
    p_dying text[],
    s_id text[],
    s_execution bigint[],
    s_turn bigint[],
    s_events bytea[],
    s_group integer[],
    t_subject integer[],
    t_execution bigint[],
    t_turn bigint[],
    t_events bytea[],
    l_subject integer[],
    l_id bigint[],
    x_subject integer[],
    x_status text[],
    x_execution bigint[],
    x_version text[],
    x_custom_status bytea[],
    x_ended boolean[],
    x_output bytea[],
    x_failure bytea[],
    x_state bytea[],
    x_will_to text[],
    x_will_letter bytea[],
    h_subject integer[],
    h_will_to text[],
    h_will_letter bytea[],
    y_subject integer[],
    y_request text[],
    y_answer bytea[],
    k_subject integer[],
    k_seq bigint[],
    q_subject integer[],
    q_execution bigint[],
    q_seq bigint[],
    q_attempt integer[],
    q_name text[],
    q_input bytea[],
    q_options bytea[],
    n_subject integer[],
    n_attempts integer[],
    a_item bigint[],
    a_attempts integer[],
    a_is_returned boolean[],
    p_item bigint[],
    p_letter bigint[],
    p_options bytea[],
    r_item bigint[],
    r_letter bigint[],
    u_id text[],
    u_execution bigint[],
    u_seq bigint[],
    u_letter bigint[],
    o_subject integer[],
    o_to text[],
    o_execution bigint[],
    o_letter bytea[],
    o_urgent boolean[],
    o_final boolean[],
    o_opens text[],
    o_parent_id text[],
    o_parent_execution bigint[],
    o_parent_seq bigint[],
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
    c_subject integer[],
    c_refusal bytea[],
    g_subject integer[],
    g_kind text[],
    g_at_us bigint[],
    g_reason text[],
    g_seen bigint[]
) returns table (fenced boolean, dropped integer[], brought_work boolean, near_key bigint[], near_worker text[])
language plpgsql
-- include: function_settings
as $$
declare
    v_now_us bigint;
    v_keys bigint[];
    v_opened bigint[];
    v_heirs text[] := '{}';
    v_attempted bigint[];
    v_ending bigint[];
    v_barred bigint[] := '{}';
    v_found boolean;
    v_will_to text[] := '{}';
    v_will_letter bytea[] := '{}';
    v_created boolean := false;
    v_none boolean[];
begin
    -- The fence. It is also the lock that a takeover needs: from here on nobody can take this worker's instances.
    update {schema}.workers w set seq = w.seq + 1
    where w.hub = p_hub and w.id = p_worker and w.epoch = p_epoch and w.seq = p_seq;
    fenced := not found;
    brought_work := false;
    if fenced then
        return next;
        return;
    end if;

    if o_opens is not null then
        v_opened := {schema}.open_entities(p_hub, o_to, o_opens);
    end if;
    if p_dying is not null then
        v_heirs := {schema}.heirs_of(p_hub, p_dying);
    end if;

    -- A plain turn only appends to history and takes letters out, which needs no lock on the instance.
    if p_locks is not null then
        perform from {schema}.instances i
        where i.hub = p_hub and i.id = any (p_locks || s_id || v_heirs)
            and (i.id = any (p_locks || v_heirs) or i.attempts > 0 or i.ending)
        order by i.id
        for no key update;
    end if;
    v_now_us := {schema}.clock_us();

    -- The subjects' keys in the order of their places; null for those that are not this worker's at that execution.
    -- Compared so that no index on the owner is used, under which there are thousands.
    select array_agg(i.key order by s.place), array_agg(i.key) filter (where i.attempts > 0 and s.turn is not null),
        array_agg(i.key) filter (where i.ending)
    into v_keys, v_attempted, v_ending
    from unnest(s_id, s_execution, s_turn) with ordinality as s (id, execution, turn, place)
    left join {schema}.instances i
        on i.hub = p_hub and i.id = s.id and i.owner is not distinct from p_worker and i.execution = coalesce(s.execution, i.execution);

    if p_locks is null and (v_attempted is not null or v_ending is not null) then
        perform from {schema}.instances i
        where i.hub = p_hub and i.key = any (v_attempted || v_ending)
        order by i.id
        for no key update;
    end if;

    if array_position(v_keys, null) is not null then
        -- All of a group or nothing.
        if s_group is not null then
            select array_agg(case when s.is_whole then s.key end order by s.place) into v_keys
            from (
                select s.place, s.key, s."group" is null or bool_and(s.key is not null) over (partition by s."group") as is_whole
                from unnest(v_keys, s_group) with ordinality as s (key, "group", place)
            ) s;
        end if;
        select array_agg(s.place) into dropped
        from unnest(v_keys, s_turn) with ordinality as s (key, turn, place)
        where s.key is null and s.turn is not null;
    end if;

    if h_subject is not null then
        select coalesce(array_agg(r.id order by w.place, r.nth), '{}'),
            coalesce(array_agg(case when w.will_to is null then i.will_letter else w.will_letter end order by w.place, r.nth), '{}')
        into v_will_to, v_will_letter
        from unnest(h_subject, h_will_to, h_will_letter) with ordinality as w (subject, will_to, will_letter, place)
        join {schema}.instances i on i.hub = p_hub and i.key = v_keys[w.subject]
        cross join lateral unnest(
            case when w.will_to is null then i.will_to else array(select jsonb_array_elements_text(w.will_to::jsonb)) end
        ) with ordinality as r (id, nth);
    end if;

    if s_events is not null then
        insert into {schema}.history (hub, key, execution, turn, events)
        select p_hub, s.key, s.execution, s.turn, s.events
        from unnest(v_keys, s_execution, s_turn, s_events) as s (key, execution, turn, events)
        where s.key is not null and s.events is not null;
    end if;

    if t_subject is not null then
        insert into {schema}.history (hub, key, execution, turn, events)
        select p_hub, v_keys[t.subject], t.execution, t.turn, t.events
        from unnest(t_subject, t_execution, t_turn, t_events) as t (subject, execution, turn, events)
        where v_keys[t.subject] is not null;
    end if;

    if l_subject is not null then
        delete from {schema}.letters l
        using unnest(l_subject, l_id) as t (subject, id)
        where l.hub = p_hub and l.key = v_keys[t.subject] and l.id = t.id;
    end if;

    if x_subject is not null then
        update {schema}.instances i
        set status = coalesce(x.status, i.status),
            execution = coalesce(x.execution, i.execution),
            version = case when x.execution is null then i.version else x.version end,
            custom_status = case when x.custom_status is null then i.custom_status else nullif(x.custom_status, '') end,
            output = x.output,
            failure = x.failure,
            owner = case when x.ended is not true then i.owner end,
            ready_at_us = case when x.ended is not true then i.ready_at_us end,
            completed_at_us = case when x.ended then v_now_us end,
            marked = i.marked and x.ended is not true,
            ending = i.ending and x.ended is not true,
            state = case when x.state is null then i.state else nullif(x.state, '') end,
            will_to = case
                when x.will_to is null then i.will_to
                else nullif(array(select jsonb_array_elements_text(x.will_to::jsonb)), '{}')
            end,
            will_letter = case when x.will_to is null then i.will_letter else x.will_letter end,
            attempts = 0,
            updated_at_us = case
                when num_nonnulls(x.status, x.execution, x.custom_status, x.state) > 0 then v_now_us else i.updated_at_us
            end
        from unnest(
            x_subject, x_status, x_execution, x_version, x_custom_status, x_ended, x_output, x_failure, x_state, x_will_to, x_will_letter
        ) as x (subject, status, execution, version, custom_status, ended, output, failure, state, will_to, will_letter)
        where i.hub = p_hub and i.key = v_keys[x.subject];

        if true = any (x_ended) or array_remove(x_execution, null) <> '{}' then
            delete from {schema}.history h
            using unnest(x_subject, x_execution) as x (subject, execution)
            where h.hub = p_hub and h.key = v_keys[x.subject] and h.execution < x.execution;

            delete from {schema}.letters l
            using unnest(x_subject, x_execution, x_ended) as x (subject, execution, ended)
            where l.hub = p_hub and l.key = v_keys[x.subject] and (x.ended or l.execution < x.execution);

            delete from {schema}.queued_activities q
            using unnest(x_subject, x_execution, x_ended) as x (subject, execution, ended)
            where q.hub = p_hub and q.key = v_keys[x.subject] and (x.ended or x.execution is not null);
            brought_work := brought_work or found;  -- some may be running: whoever runs them is to stop
        end if;
    end if;

    if y_subject is not null then
        insert into {schema}.answers (hub, id, answer, answered_at_us)
        select p_hub, y.request, y.answer, v_now_us
        from unnest(y_subject, y_request, y_answer) with ordinality as y (subject, request, answer, place)
        where v_keys[y.subject] is not null
        order by y.request, y.place
        on conflict do nothing;
    end if;

    if v_attempted is not null then
        update {schema}.instances i set attempts = 0
        where i.hub = p_hub and i.key = any (v_attempted) and i.attempts > 0;
    end if;

    if n_subject is not null then
        update {schema}.instances i set attempts = n.attempts
        from unnest(n_subject, n_attempts) as n (subject, attempts)
        where i.hub = p_hub and i.key = v_keys[n.subject];
    end if;

    if v_ending is not null then
        update {schema}.instances i set ending = false
        where i.hub = p_hub and i.key = any (v_ending) and i.ending
            and not exists (select from {schema}.letters l where l.hub = p_hub and l.key = i.key and l.final);
    end if;

    if k_subject is not null then
        delete from {schema}.queued_activities q
        using unnest(k_subject, k_seq) as k (subject, seq)
        where q.hub = p_hub and q.key = v_keys[k.subject] and q.seq = k.seq;
        brought_work := brought_work or found;
    end if;

    if a_item is not null then
        update {schema}.queued_activities q
        set attempts = a.attempts, owner = case when not a.is_returned then q.owner end
        from unnest(a_item, a_attempts, a_is_returned) as a (item, attempts, is_returned)
        where q.hub = p_hub and q.id = a.item and q.owner is not distinct from p_worker;
        brought_work := brought_work or true = any (a_is_returned);
    end if;

    if p_item is not null then
        with reported as (
            update {schema}.queued_activities q set options = p.options
            from unnest(p_item, p_options) as p (item, options)
            where q.hub = p_hub and q.id = p.item and q.owner is not distinct from p_worker and p.options is not null
            returning q.id
        )
        select v_barred || coalesce(array_agg(p.letter), '{}') into v_barred
        from unnest(p_item, p_letter) as p (item, letter)
        where not exists (select from reported r where r.id = p.item);
    end if;

    if r_item is not null then
        with ended as (
            delete from {schema}.queued_activities q
            using unnest(r_item) as r (item)
            where q.hub = p_hub and q.id = r.item and q.owner is not distinct from p_worker
            returning q.id
        )
        select v_barred || coalesce(array_agg(r.letter), '{}') into v_barred
        from unnest(r_item, r_letter) as r (item, letter)
        where not exists (select from ended e where e.id = r.item);
    end if;

    if u_id is not null then
        with given_up as (
            delete from {schema}.queued_activities q
            using unnest(u_id, u_execution, u_seq, u_letter) as u (id, execution, seq, letter)
            join {schema}.instances i on i.hub = p_hub and i.id = u.id
            where q.hub = p_hub and q.key = i.key and q.execution = u.execution and q.seq = u.seq and q.owner is null
            returning u.letter
        )
        select v_barred || coalesce(array_agg(u.letter), '{}') into v_barred
        from unnest(u_letter) as u (letter)
        where not exists (select from given_up g where g.letter = u.letter);
    end if;

    if g_subject is not null then
        with freed as (
            update {schema}.instances i
            set owner = null,
                marked = false,
                attempts = case g.kind when 'release' then 0 else i.attempts end,
                hold_until_us = case g.kind when 'abandon' then g.at_us else i.hold_until_us end,
                parked = case g.kind when 'park' then g.reason else i.parked end,
                will_to = case g.kind when 'park' then null else i.will_to end,
                will_letter = case g.kind when 'park' then null else i.will_letter end,
                updated_at_us = case g.kind when 'park' then v_now_us else i.updated_at_us end,
                ready_at_us = case g.kind
                    when 'release' then case when exists (
                        select from {schema}.letters l
                        where l.hub = p_hub and l.key = i.key and l.id <> all (coalesce(g_seen, '{}'))
                    ) then v_now_us else g.at_us end
                    when 'abandon' then case when i.ending and i.marked then v_now_us else g.at_us end
                    when 'park' then case when i.ending then v_now_us end
                end
            from unnest(g_subject, g_kind, g_at_us, g_reason) as g (subject, kind, at_us, reason)
            where i.hub = p_hub and i.key = v_keys[g.subject]
            returning i.ready_at_us
        )
        select bool_or(f.ready_at_us is not null) into v_found from freed f;
        brought_work := brought_work or coalesce(v_found, false);
    end if;

    if dropped is not null then
        select v_barred || coalesce(array_agg(o.place), '{}') into v_barred
        from unnest(o_subject) with ordinality as o (subject, place)
        where o.subject = any (dropped);
    end if;

    if c_id is not null then
        with asked as (
            select p.place, p.created, p.will_to, p.will_letter
            from {schema}.put_instances(
                p_hub, v_now_us,
                (
                    select coalesce(array_agg(c.place), '{}')
                    from unnest(c_subject) with ordinality as c (subject, place)
                    where v_keys[c.subject] is null
                ),
                c_id, c_name, c_version, c_events, c_created_at_us, c_start_at_us, c_tags, c_reuse,
                c_parent_id, c_parent_execution, c_parent_seq, c_parent_depth, null
            ) p
        ),
        refused as (
            select c.parent_id, c.parent_execution, c.refusal, c.place
            from unnest(c_parent_id, c_parent_execution, c_refusal) with ordinality
                as c (parent_id, parent_execution, refusal, place)
            where c.refusal is not null and c.place in (select a.place from asked a where not a.created)
        ),
        left_behind as (
            select h.id, a.will_letter as letter from asked a cross join lateral unnest(a.will_to) as h (id)
        )
        select
            (select coalesce(bool_or(a.created), false) from asked a),
            v_will_to || (select array_agg(l.id) from left_behind l),
            v_will_letter || (select array_agg(l.letter) from left_behind l),
            o_to || array_agg(r.parent_id order by r.place),
            -- A column with nothing in it is null, and would not stand in line with what is added.
            coalesce(o_execution, array_fill(null::bigint, array[coalesce(cardinality(o_to), 0)]))
                || array_agg(r.parent_execution order by r.place),
            o_letter || array_agg(r.refusal order by r.place),
            o_urgent || array_agg(false),
            o_final || array_agg(false),
            o_opens || array_agg(null::text),
            o_parent_id || array_agg(null::text),
            o_parent_execution || array_agg(null::bigint),
            o_parent_seq || array_agg(null::bigint)
        into v_created, v_will_to, v_will_letter, o_to, o_execution, o_letter, o_urgent, o_final, o_opens, o_parent_id, o_parent_execution,
            o_parent_seq
        from refused r;
        brought_work := brought_work or v_created;
    end if;

    if o_to is not null then
        select array_agg(p.key) filter (where p.near is not null), array_agg(p.near) filter (where p.near is not null),
            coalesce(bool_or(p.key is not null and p.near is null), false)
        into near_key, near_worker, v_found
        from {schema}.put_letters(
            p_hub, v_now_us, v_barred, null, case when not v_created and v_will_to = '{}' then p_near end, p_near_term, true,
            o_to, o_execution, o_letter, o_urgent, o_final, o_opens, o_parent_id, o_parent_execution, o_parent_seq, null
        ) p;
        brought_work := brought_work or v_found;
    end if;

    -- Before what is left as a will, which opens nobody.
    if v_opened is not null and v_barred <> '{}' then
        perform {schema}.close_entities(p_hub, v_opened);
    end if;

    if v_will_to <> '{}' then
        v_none := array_fill(false, array[cardinality(v_will_to)]);
        perform {schema}.put_letters(
            p_hub, v_now_us, '{}', null, null, null, true, v_will_to, null, v_will_letter, v_none, v_none, null, null, null, null, null
        );
        brought_work := true;
    end if;

    if q_subject is not null then
        insert into {schema}.queued_activities (
            hub, key, execution, seq, queued_at_us, attempt, name, input, options
        )
        select p_hub, v_keys[q.subject], q.execution, q.seq, v_now_us, q.attempt, q.name, q.input, q.options
        from unnest(q_subject, q_execution, q_seq, q_attempt, q_name, q_input, q_options) with ordinality
            as q (subject, execution, seq, attempt, name, input, options, place)
        where v_keys[q.subject] is not null
        order by q.place;
        brought_work := brought_work or found;
    end if;
    return next;
end
$$;

-- A commit of one turn that appends to history and shows a status, perhaps that it is the end, and does nothing else: what commit_batch does with
-- it, all of it, or nothing. It does nothing where there is more to do: where the fence does not hold, the instance is not the worker's at that
-- execution, a will has to go out with the end, or a letter that ends it has come before.
create function {schema}.show_turn(
    p_hub integer,
    p_worker text,
    p_epoch bigint,
    p_seq bigint,
    p_id text,
    p_execution bigint,
    p_turn bigint,
    p_events bytea,
    p_status text,
    p_ended boolean,
    p_output bytea,
    p_failure bytea
) returns table (shown boolean, brought_work boolean)
language plpgsql
-- include: function_settings
as $$
declare
    v_key bigint;
    v_now_us bigint;
begin
    brought_work := false;
    update {schema}.workers w set seq = w.seq + 1
    where w.hub = p_hub and w.id = p_worker and w.epoch = p_epoch and w.seq = p_seq;
    shown := found;
    if not shown then
        return next;
        return;
    end if;

    select i.key into v_key
    from {schema}.instances i
    where i.hub = p_hub and i.id = p_id and i.owner is not distinct from p_worker and i.execution = p_execution
        and case when p_ended then i.will_to is null else not i.ending end
    for no key update;
    shown := found;
    if not shown then
        -- Nobody has seen it move.
        update {schema}.workers w set seq = p_seq where w.hub = p_hub and w.id = p_worker;
        return next;
        return;
    end if;
    v_now_us := {schema}.clock_us();

    insert into {schema}.history (hub, key, execution, turn, events)
    values (p_hub, v_key, p_execution, p_turn, p_events);

    if not p_ended then
        update {schema}.instances i
        set status = p_status, output = null, failure = null, completed_at_us = null, attempts = 0, updated_at_us = v_now_us
        where i.hub = p_hub and i.key = v_key;
        return next;
        return;
    end if;

    update {schema}.instances i
    set status = p_status, output = p_output, failure = p_failure, owner = null, ready_at_us = null, completed_at_us = v_now_us,
        marked = false, ending = false, attempts = 0, updated_at_us = v_now_us
    where i.hub = p_hub and i.key = v_key;
    delete from {schema}.letters l where l.hub = p_hub and l.key = v_key;
    delete from {schema}.queued_activities q where q.hub = p_hub and q.key = v_key;
    brought_work := found;  -- some may be running: whoever runs them is to stop
    return next;
end
$$;

-- After the primary key of history has refused a batch: which of its turns are written already.
create function {schema}.written_turns(
    p_hub integer,
    p_worker text,
    t_id text[],
    t_execution bigint[],
    t_turn bigint[]
) returns table (id text, execution bigint, turn bigint)
language plpgsql stable
-- include: function_settings
as $$
begin
    return query
    select i.id, h.execution, h.turn
    from unnest(t_id, t_execution, t_turn) as t (id, execution, turn)
    join {schema}.instances i on i.hub = p_hub and i.id = t.id and i.owner is not distinct from p_worker
    join {schema}.history h on h.hub = i.hub and h.key = i.key and h.execution = t.execution and h.turn = t.turn;
end
$$;
