/**
 * The transactions, one after another. What comes next is for the chain to say, through the node: a page that was closed in between
 * goes on where it was.
 */
import { complain, make, messageOf, show, ways } from './dom.js';
import { node } from './node.js';
import { shortAddress } from './wallet.js';

const POLL_MS = 1_000;
/** The node's provider may be some blocks behind the wallet's. */
const BEHIND_MS_MAX = 60_000;

const STEPS = {
  commit: ['Reserve the name', 'Nobody can see which name, so nobody can be faster.'],
  wait: ['Wait a moment', 'The reservation has to age for some seconds.'],
  mint: ['Register it', 'The name becomes yours, with the keys of this node.'],
  reset: ['Write the new keys', 'The name gets the keys of this node.'],
};

/** `go()` follows when the name has this node's keys. */
export async function mint(choice, wallet, { go, elsewhere }) {
  const first = await node.nameState(choice.name, wallet.address);
  if (first.kind === 'owned' && first.has_our_key) return go();
  const order =
    first.kind === 'owned'
      ? ['reset']
      : first.kind === 'commit'
        ? ['commit', 'wait', 'mint']
        : ['mint'];
  const steps = new Steps(order);
  const button = make('button', { type: 'button', class: 'button', id: 'submit' });
  const content = make(
    'div',
    { class: 'stack' },
    factsOf(choice, wallet, wallet.chainName),
    steps.list,
    button,
  );
  show({
    heading: choice.name,
    text:
      order.length > 1
        ? 'Two transactions in your wallet, with a pause between them.'
        : 'One transaction in your wallet.',
    content,
    elsewhere,
  });
  const run = async () => {
    button.disabled = true;
    button.textContent = 'See your wallet …';
    complain();
    ways.hidden = true;
    try {
      await carryOut(choice, wallet, steps, button);
      go();
    } catch (error) {
      complain(messageOf(error));
      steps.rest();
      ways.hidden = false;
      button.disabled = false;
      button.textContent = 'Try again';
    }
  };
  button.textContent = first.kind === 'owned' ? 'Write the keys' : 'Register';
  button.addEventListener('click', () => void run());
  wallet.onChange(() => location.reload());
  button.focus();
  return undefined;
}

function factsOf({ direct, ip }, { address }, chain) {
  const fact = (label, value) => [make('dt', {}, label), make('dd', {}, value)];
  return make(
    'dl',
    { class: 'facts' },
    ...fact('Owner', shortAddress(address)),
    ...fact('Chain', chain),
    ...fact('Reached', direct ? `directly, at ${ip}` : 'through routers'),
  );
}

async function carryOut(choice, wallet, steps, button) {
  const { name, direct, ip, ws_port, tcp_port } = choice;
  const plan = { name, wallet: wallet.address, direct, ip, ws_port, tcp_port };
  for (;;) {
    const { step, transaction } = await node.transaction(plan);
    steps.now(step);
    if (transaction === null) {
      await waitUntilReady(name, wallet.address, (text) => {
        steps.say(step, text);
        button.textContent = 'Waiting …';
      });
      continue;
    }
    button.textContent = 'See your wallet …';
    await wallet.send(transaction);
    button.textContent = 'Waiting for the chain …';
    const isLast = step !== 'commit';
    await seen(name, wallet.address, (state) =>
      isLast ? state.has_our_key === true : state.commit !== 'none',
    );
    if (isLast) return steps.finish();
  }
}

async function waitUntilReady(name, address, say) {
  for (;;) {
    const state = await node.nameState(name, address);
    if (state.kind !== 'commit' || state.commit !== 'waiting') return;
    say(`${state.ready_in_s} s to go`);
    await pause();
  }
}

/** Waits until the node sees what the wallet's transaction did. */
async function seen(name, address, isThere) {
  const endMs = Date.now() + BEHIND_MS_MAX;
  for (;;) {
    const state = await node.nameState(name, address);
    if (isThere(state)) return;
    if (state.kind === 'taken') throw new Error(`Somebody was faster: ${name} is taken now.`);
    if (Date.now() > endMs)
      throw new Error('The transaction went through, but the node does not see it yet. Try again.');
    await pause();
  }
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

class Steps {
  #items;
  #order;

  constructor(order) {
    this.#order = order;
    this.#items = new Map(
      order.map((step, index) => {
        const [heading, text] = STEPS[step];
        const dot = make('span', { class: 'dot', 'aria-hidden': 'true' }, String(index + 1));
        const note = make('small', {}, text);
        const item = make('li', {}, dot, make('div', {}, make('strong', {}, heading), note));
        return [step, { item, dot, note }];
      }),
    );
    this.list = make(
      'ol',
      { class: 'steps' },
      ...Array.from(this.#items.values(), ({ item }) => item),
    );
  }

  now(step) {
    const at = this.#order.indexOf(step);
    for (const [index, each] of this.#order.entries()) {
      const { item, dot } = this.#items.get(each);
      item.className = index < at ? 'done' : index === at ? 'busy' : '';
      if (index < at) dot.textContent = '✓';
      if (index === at) item.setAttribute('aria-current', 'step');
      else item.removeAttribute('aria-current');
    }
  }

  say(step, text) {
    this.#items.get(step).note.textContent = text;
  }

  rest() {
    for (const { item } of this.#items.values()) item.classList.remove('busy');
  }

  finish() {
    for (const { item, dot } of this.#items.values()) {
      item.className = 'done';
      item.removeAttribute('aria-current');
      dot.textContent = '✓';
    }
  }
}
