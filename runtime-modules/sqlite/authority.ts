/**
 * What SQL of a guest may do beyond its own tables (H5, M106). Asked by the engine while it compiles, so that no spelling of a
 * statement gets around it: nothing reaches another file, shows where this one is, or outlives the statement on the connection.
 */
import { constants } from 'node:sqlite';

/** Answer or change what concerns this database alone. */
const PRAGMAS_FREE = new Set(
  (
    'table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list foreign_key_check collation_list ' +
    'function_list module_list pragma_list compile_options integrity_check quick_check freelist_count page_count data_version ' +
    'foreign_keys user_version application_id case_sensitive_like recursive_triggers defer_foreign_keys ' +
    'reverse_unordered_selects automatic_index ignore_check_constraints legacy_alter_table optimize analysis_limit ' +
    'incremental_vacuum auto_vacuum shrink_memory wal_checkpoint encoding page_size'
  ).split(' '),
);
/** May be asked; setting them is accepted and has no effect, for they decide about durability, memory or other connections. */
const PRAGMAS_FIXED = new Set(
  (
    'journal_mode synchronous cache_size cache_spill temp_store locking_mode max_page_count journal_size_limit ' +
    'wal_autocheckpoint busy_timeout mmap_size secure_delete threads checkpoint_fullfsync fullfsync query_only ' +
    'cell_size_check read_uncommitted schema_version'
  ).split(' '),
);
const TABLE_MODULES = new Set([
  'fts3',
  'fts4',
  'fts5',
  'fts5vocab',
  'fts3tokenize',
  'fts4aux',
  'rtree',
  'rtree_i32',
  'geopoly',
  'dbstat',
]);
const FUNCTIONS_REFUSED = new Set([
  'load_extension',
  'fts3_tokenizer',
  'readfile',
  'writefile',
  'edit',
]);
const TEMPORARY = new Set([
  constants.SQLITE_CREATE_TEMP_INDEX,
  constants.SQLITE_CREATE_TEMP_TABLE,
  constants.SQLITE_CREATE_TEMP_TRIGGER,
  constants.SQLITE_CREATE_TEMP_VIEW,
]);

/** Pragmas whose effect is the connection's: set again where the database is opened again. */
export const CONNECTION_PRAGMA =
  /^\s*PRAGMA\s+(?:main\s*\.\s*)?(foreign_keys|case_sensitive_like|recursive_triggers|reverse_unordered_selects|automatic_index|ignore_check_constraints|legacy_alter_table|analysis_limit)\s*(?:=|\()/i;

export class Authority {
  /** What is running: a guest's statement, a guest's VACUUM, or our own. */
  running: 'guest' | 'vacuum' | 'own' = 'guest';
  /** Why the last statement was refused. */
  refused: string | undefined;

  /** As `DatabaseSync.setAuthorizer` wants it. */
  readonly decide = (action: number, one: string | null, two: string | null): number => {
    if (this.running === 'own') return constants.SQLITE_OK;
    const refused = this.#refusal(action, one, two);
    if (refused === undefined) return constants.SQLITE_OK;
    if (refused === 'ignored') return constants.SQLITE_IGNORE;
    this.refused = refused;
    return constants.SQLITE_DENY;
  };

  #refusal(action: number, one: string | null, two: string | null): string | undefined {
    switch (action) {
      case constants.SQLITE_ATTACH:
        // VACUUM attaches a nameless temporary database of its own.
        if (this.running === 'vacuum' && one === '') return undefined;
        return this.running === 'vacuum' ? 'VACUUM INTO a file' : 'ATTACH';
      case constants.SQLITE_DETACH:
        return 'DETACH';
      case constants.SQLITE_TRANSACTION:
      case constants.SQLITE_SAVEPOINT:
        if (this.running === 'vacuum') return undefined;
        return 'transactions by statement: the database is shared. Use BeginTx and Commit';
      case constants.SQLITE_PRAGMA:
        return pragmaRefusal(one?.toLowerCase() ?? '', two);
      case constants.SQLITE_FUNCTION:
        return FUNCTIONS_REFUSED.has(two?.toLowerCase() ?? '') ? `${two}()` : undefined;
      case constants.SQLITE_CREATE_VTABLE:
        return TABLE_MODULES.has(two?.toLowerCase() ?? '') ? undefined : `the table module ${two}`;
      default:
        return TEMPORARY.has(action)
          ? 'temporary tables: the database is shared, and may be closed between requests'
          : undefined;
    }
  }
}

function pragmaRefusal(name: string, argument: string | null): string | undefined {
  if (PRAGMAS_FREE.has(name)) return undefined;
  if (PRAGMAS_FIXED.has(name)) return argument === null ? undefined : 'ignored';
  return `PRAGMA ${name}`;
}
