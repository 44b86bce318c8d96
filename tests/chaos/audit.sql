-- The server's own ledger: who committed what and when, written by triggers in the same transactions.
-- process is what a worker process calls itself in its DSN; session is the backend, a new one for each connection.
create schema chaos;

create table chaos.audit (
    id bigint generated always as identity,
    at_us bigint not null default (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    kind text not null,
    process text default nullif(current_setting('chaos.process', true), ''),
    session integer not null default pg_backend_pid(),
    worker text,
    epoch bigint,
    seq bigint,
    hub integer,
    key bigint,
    execution bigint,
    turn bigint
);

create function chaos.note_worker() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        insert into chaos.audit (kind, worker, epoch, seq) values ('gone', old.id, old.epoch, old.seq);
    elsif tg_op = 'INSERT' then
        insert into chaos.audit (kind, worker, epoch, seq) values ('came', new.id, new.epoch, new.seq);
    else
        insert into chaos.audit (kind, worker, epoch, seq) values ('commit', new.id, new.epoch, new.seq);
    end if;
    return null;
end
$$;

create function chaos.note_turns() returns trigger language plpgsql as $$
begin
    insert into chaos.audit (kind, hub, key, execution, turn)
    select 'turn', a.hub, a.key, a.execution, a.turn from added a;
    return null;
end
$$;

create trigger chaos_workers after insert or update or delete on durable_async.workers
for each row execute function chaos.note_worker();

create trigger chaos_turns after insert on durable_async.history
referencing new table as added for each statement execute function chaos.note_turns();
