-- serves: 1
-- Who a worker is, for people who look at a hub. Workers of the release before this step say nothing of it.

alter table workers add column host text not null default '';

alter table workers add column pid integer not null default 0;

alter table workers add column registered_at_us integer not null default 0;
