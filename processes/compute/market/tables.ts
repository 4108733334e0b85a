/**
 * The market's database. `job_events` is the truth: a trigger makes the record in `jobs` of every event's patch, so that one INSERT, which
 * is one transaction, both logs a change and makes it.
 */

/** Versions; only ever add to the end. */
export const MIGRATIONS: readonly (string | readonly string[])[] = [
  [
    `create table jobs (
      job_id text primary key,
      record text not null,
      owner text generated always as (record ->> '$.owner') stored,
      intent_id text generated always as (record ->> '$.intentId') stored,
      state text generated always as (record ->> '$.state') stored,
      payment text generated always as (record ->> '$.payment.state') stored,
      created integer generated always as (record ->> '$.times.created') stored,
      closed integer generated always as (record ->> '$.times.closed') stored,
      expired integer generated always as (coalesce(record ->> '$.expired', 0)) stored
    ) without rowid`,
    'create unique index jobs_intents on jobs(owner, intent_id)',
    'create index jobs_by_owner on jobs(owner, created desc)',
    'create index jobs_by_time on jobs(created desc)',
    'create index jobs_closed on jobs(closed) where expired = 0',
    `create index jobs_open on jobs(state) where state not in ('completed', 'refunded')`,
    `create table job_events (
      job_id text not null,
      seq integer not null,
      at integer not null,
      was text not null,
      now text not null,
      transition text,
      cause text not null,
      patch text not null,
      primary key (job_id, seq)
    ) without rowid`,
    `create trigger job_events_make_records after insert on job_events begin
      insert into jobs(job_id, record) values (new.job_id, json_patch('{}', new.patch))
      on conflict(job_id) do update set record = json_patch(record, new.patch);
    end`,
    /** How providers have done; the last 90 days make their reputation. */
    `create table outcomes (
      node text not null,
      at integer not null,
      job_id text not null,
      attempt integer not null,
      price text not null,
      success integer not null,
      primary key (node, at, job_id, attempt)
    ) without rowid`,
    `create table audits (
      node text not null,
      at integer not null,
      job_id text not null,
      price text not null,
      passed integer not null,
      primary key (node, job_id)
    ) without rowid`,
    /** Providers that the operator named. */
    `create table nodes (
      node text primary key,
      added_at integer not null
    ) without rowid`,
    /** Files that clients send before their jobs, and what jobs leave; the content is in vfs under its hash. */
    `create table uploads (
      owner text not null,
      sha256 text not null,
      bytes integer not null,
      complete integer not null,
      /** Last used; ahead of time for what a job needs. */
      at integer not null,
      primary key (owner, sha256)
    ) without rowid`,
    'create index uploads_by_age on uploads(at)',
    `create table artifacts (
      job_id text not null,
      sha256 text not null,
      size integer not null,
      primary key (job_id, sha256)
    ) without rowid`,
    'create index artifacts_by_hash on artifacts(sha256)',
  ],
  /** Whole logs that are short, in base64: a file for each would cost more than the rest of a small job. */
  `create table short_logs (
    job_id text not null,
    attempt integer not null,
    records text not null,
    primary key (job_id, attempt)
  ) without rowid`,
];
