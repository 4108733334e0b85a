/** What the pages ask the node. */

/** The node answered with an error; `message` is its sentence. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: 'no-store', ...options });
  } catch {
    throw new Refused(0, 'The node does not answer. Is it running?');
  }
  let value;
  try {
    value = await answer.json();
  } catch {
    value = undefined;
  }
  // 302 is how a boot or a login succeeds.
  if (answer.ok || answer.status === 302) return value;
  const text = typeof value === 'string' ? value : `The node answered ${answer.status}.`;
  throw new Refused(answer.status, text);
}

function post(path, body) {
  const headers = { 'Content-Type': 'application/json' };
  return ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

export const node = {
  state: () => ask('/setup/state'),
  nameState: (name, wallet) =>
    ask(
      `/setup/name?${new URLSearchParams({ name, ...(wallet === undefined ? {} : { wallet }) })}`,
    ),
  transaction: (plan) => post('/setup/transaction', plan),
  code: (code) => post('/setup/code', { code }),
  boot: (info) => post('/boot', info),
  login: (password_hash) => post('/login', { password_hash }),
  vet: (password_hash, keyfile) => post('/vet-keyfile', { password_hash, keyfile }),
  importKeyfile: (password_hash, keyfile) => post('/import-keyfile', { password_hash, keyfile }),
};

const UP_POLL_MS = 1_000;

/** Times that the front page is waited for when the node is up: its process starts later, on a busy machine much later, or is not installed. */
const FRONT_POLLS_MAX = 60;

/** Resolves when the setup is over and the node itself answers on this port, with its front page. */
export async function nodeIsUp() {
  for (let front = 0; front < FRONT_POLLS_MAX;) {
    await new Promise((resolve) => setTimeout(resolve, UP_POLL_MS));
    try {
      // Only a setup has this path.
      if ((await fetch('/setup/state', { cache: 'no-store' })).status !== 404) continue;
      front++;
      if ((await fetch('/', { cache: 'no-store' })).status !== 404) return;
    } catch {
      // Between the two: nobody answers.
    }
  }
}
