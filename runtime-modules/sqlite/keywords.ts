/** The gate before SQL is looked at: its first word (runtime-modules.md §4, M87 to M89). Pure. */

const QUERY = new Set('ANALYZE ATTACH BEGIN EXPLAIN PRAGMA SELECT VALUES WITH'.split(' '));
const WRITE = new Set(
  (
    'ALTER ANALYZE COMMIT CREATE DELETE DETACH DROP END INSERT REINDEX RELEASE RENAME REPLACE ROLLBACK ' +
    'SAVEPOINT UPDATE VACUUM'
  ).split(' '),
);
/** Statements that cannot write, whatever follows. */
const READ_ONLY = new Set(['SELECT', 'VALUES', 'EXPLAIN']);

/** What separates words is Unicode white space, as the reference has it. */
export function firstWord(sql: string): string {
  let end = 0;
  while (isLetter(sql.charCodeAt(end))) end += 1;
  // As a rule it is all that: no regular expression needed.
  const next = sql.charCodeAt(end);
  if (end > 0 && (next === 0x20 || next === 0x0a)) return sql.slice(0, end).toUpperCase();
  return /^\s*(\S*)/u.exec(sql)?.[1]?.toUpperCase() ?? '';
}

function isLetter(code: number): boolean {
  return (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
}

export function isQuery(sql: string): boolean {
  return QUERY.has(firstWord(sql));
}

export function isWrite(sql: string): boolean {
  return WRITE.has(firstWord(sql));
}

/** Cannot change the database, so that it can go on while others write. */
export function isReadOnly(sql: string): boolean {
  const word = firstWord(sql);
  return READ_ONLY.has(word) || (word === 'WITH' && !/insert|update|delete|replace/i.test(sql));
}
