/**
 * The types of `standard`'s functions in each generation (kernel.md §2, §9). A component states the types of what it imports; the
 * lean bindings go by the contract's layout and the generic ones by the component's words, so the two must agree.
 */
import type { FuncType } from '../abi/types.ts';
import { describeFunction } from '../wasi/signatures.ts';
import type { GenerationTraits } from './bindings.ts';

const PROCESS_ID = 'record{process-name:string,package-name:string,publisher-node:string}';
const ADDRESS = `record{node:string,process:${PROCESS_ID}}`;
const BLOB = 'record{mime:option<string>,bytes:list<u8>}';
const CAPABILITY = `record{issuer:${ADDRESS},params:string}`;
const CAPABILITIES = `list<${CAPABILITY}>`;
const REST = `body:list<u8>,metadata:option<string>,capabilities:${CAPABILITIES}`;
const REQUEST = `record{inherit:bool,expects-response:option<u64>,${REST}}`;
const RESPONSE = `record{inherit:bool,${REST}}`;
const CONTEXT = 'option<list<u8>>';
const MESSAGE = `variant{request(${REQUEST}),response(tuple<${RESPONSE},${CONTEXT}>)}`;
const ON_EXIT = `variant{none,restart,requests(list<tuple<${ADDRESS},${REQUEST},option<${BLOB}>>>)}`;

/** What generations before kinode:process@1.0.0 did not have. */
const SINCE_1 = ['our', 'has-blob', 'last-blob'];

/** One function a name: parameters, then the result after an arrow. */
function table(traits: GenerationTraits): Readonly<Record<string, string>> {
  const target = traits.sendErrorTarget ? `target:${ADDRESS},` : '';
  const sendError = `record{kind:enum{offline,timeout},${target}message:${MESSAGE},lazy-load-blob:option<${BLOB}>}`;
  const grants = traits.grantParams ? `list<tuple<${PROCESS_ID},string>>` : `list<${PROCESS_ID}>`;
  const received = `tuple<${ADDRESS},${MESSAGE}>`;
  const outgoing = `${ADDRESS},${REQUEST},${CONTEXT},option<${BLOB}>`;
  return {
    'print-to-terminal': '(u8,string)',
    our: `() -> ${ADDRESS}`,
    'get-on-exit': `() -> ${ON_EXIT}`,
    'set-on-exit': `(${ON_EXIT})`,
    'get-state': '() -> option<list<u8>>',
    'set-state': '(list<u8>)',
    'clear-state': '()',
    spawn: `(option<string>,string,${ON_EXIT},${CAPABILITIES},${grants},bool) -> result<${PROCESS_ID},enum{name-taken,no-file-at-path}>`,
    'save-capabilities': `(${CAPABILITIES})`,
    'drop-capabilities': `(${CAPABILITIES})`,
    'our-capabilities': `() -> ${CAPABILITIES}`,
    receive: `() -> result<${received},tuple<${sendError},${CONTEXT}>>`,
    'has-blob': '() -> bool',
    'get-blob': `() -> option<${BLOB}>`,
    'last-blob': `() -> option<${BLOB}>`,
    'send-request': `(${outgoing})`,
    'send-requests': `(list<tuple<${outgoing}>>)`,
    'send-response': `(${RESPONSE},option<${BLOB}>)`,
    'send-and-await-response': `(${ADDRESS},${REQUEST},option<${BLOB}>) -> result<${received},${sendError}>`,
  };
}

const tables = new Map<string, Readonly<Record<string, string>>>();

/**
 * What is wrong with a component's import of a function of `standard`; undefined if nothing is.
 * @param importName  a supported generation's, such as `hyperware:process/standard@1.0.0`
 */
export function standardMismatch(
  importName: string,
  functionName: string,
  type: FuncType,
  traits: GenerationTraits,
): string | undefined {
  const key = `${traits.sendErrorTarget} ${traits.grantParams}`;
  let known = tables.get(key);
  if (known === undefined) {
    known = table(traits);
    tables.set(key, known);
  }
  const missing =
    !Object.hasOwn(known, functionName) ||
    (!traits.grantParams && SINCE_1.includes(functionName)) ||
    (!traits.sendErrorTarget && functionName === 'drop-capabilities');
  if (missing) return `"${importName}" has no function "${functionName}"`;
  if (describeFunction(type) === known[functionName]) return undefined;
  return `"${importName}" has "${functionName}" as ${known[functionName]}, the component imports it otherwise`;
}
