/** Choosing a name, and how the node is reached. */
import { complain, during, form, make, show } from './dom.js';
import { node } from './node.js';
import { shortAddress, Wallet, wallets } from './wallet.js';

const ZONE_DEFAULT = 'os';
const TYPING_MS = 350;

/** What was chosen before the page was loaded again. */
const KEPT = 'hyperloom setup';

export function keep(choice) {
  sessionStorage.setItem(KEPT, JSON.stringify(choice));
}

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

/** `reset`: for a name that its owner has already. `go(choice)` follows. */
export function chooseName(state, { reset, go, elsewhere }) {
  const before = kept();
  const name = make('input', {
    type: 'text',
    class: 'text',
    id: 'name',
    value: before.name ?? '',
    placeholder: reset ? 'alice-smith.os' : 'nine or more letters, such as alice-smith',
    autocomplete: 'off',
    autocapitalize: 'none',
    spellcheck: 'false',
    maxlength: 256,
    required: true,
    autofocus: true,
    'aria-describedby': 'availability',
  });
  const availability = make('p', { class: 'note', id: 'availability', 'aria-live': 'polite' });
  const reach = reachFields(state, before);
  const submit = make('button', { class: 'button', id: 'submit' }, 'Continue');
  const look = lookUp(name, availability, { reset });
  name.addEventListener('input', () => look.soon());
  const content = form(
    () =>
      during(submit, 'Asking the chain …', async () => {
        const refused = await look.now();
        if (refused !== undefined) return name.focus();
        const choice = { name: fullName(name.value), reset, ...reach.value() };
        keep(choice);
        go(choice);
      }),
    make('div', {}, make('label', { for: 'name' }, 'Name'), name, availability),
    reach.fields,
    submit,
  );
  show({
    heading: reset ? 'Reset the keys of a name' : 'Name your node',
    text: reset
      ? 'A name you own gets the keys of this node. A node that runs under it elsewhere stops being it.'
      : `Registered on ${state.chain.name}, it is yours for good. You need a wallet in this browser.`,
    content,
    elsewhere,
  });
  if (name.value !== '') look.soon();
}

/** With the zone that most names are in, if it is left out. */
export function fullName(text) {
  const name = text.trim().toLowerCase().replace(/\.$/, '');
  return name === '' || name.includes('.') ? name : `${name}.${ZONE_DEFAULT}`;
}

/** Asks about what is typed, when typing rests; answers to earlier questions are dropped. */
function lookUp(input, note, { reset }) {
  let asked = 0;
  let timer;
  const say = (text, kind = '') => {
    note.textContent = text;
    note.className = `note ${kind}`;
    input.setAttribute('aria-invalid', String(kind === 'bad'));
  };
  const now = async () => {
    clearTimeout(timer);
    const mine = (asked += 1);
    const name = fullName(input.value);
    if (name === '') return say('');
    try {
      const state = await node.nameState(name);
      if (mine !== asked) return undefined;
      const { text, good } = verdict(name, state, reset);
      say(text, good ? 'good' : 'bad');
      return good ? undefined : text;
    } catch (error) {
      if (mine === asked) say(error.message, 'bad');
      return error.message;
    }
  };
  const soon = () => {
    clearTimeout(timer);
    asked += 1;
    complain();
    say(input.value === '' ? '' : `${fullName(input.value)} …`);
    timer = setTimeout(() => void now(), TYPING_MS);
  };
  return { now, soon };
}

function verdict(name, state, reset) {
  if (state.kind === 'invalid') return { text: state.why, good: false };
  if (state.kind === 'taken') {
    const owner = shortAddress(state.owner);
    return reset
      ? { text: `${name} belongs to ${owner}. Connect that account next.`, good: true }
      : { text: `${name} is taken, by ${owner}.`, good: false };
  }
  if (reset) return { text: `Nobody has ${name} yet.`, good: false };
  return { text: `${name} is free.`, good: true };
}

function reachFields(state, before) {
  const radio = (value, label, text, checked) =>
    make(
      'label',
      { class: 'choice' },
      make('input', { type: 'radio', name: 'reach', value, checked }),
      label,
      make('small', {}, text),
    );
  const isDirect = before.direct === true;
  const field = (id, label, value, mode) =>
    make(
      'div',
      {},
      make('label', { for: id }, label),
      make('input', { class: 'text', id, value, inputmode: mode, autocomplete: 'off' }),
    );
  const address = make(
    'div',
    { class: 'reach', hidden: !isDirect },
    field('ip', 'IP address', before.ip ?? state.ip, 'decimal'),
    field('ws-port', 'WebSocket port', before.ws_port ?? state.ports.ws, 'numeric'),
    field('tcp-port', 'TCP port', before.tcp_port ?? state.ports.tcp, 'numeric'),
  );
  const choices = make(
    'div',
    { class: 'choices' },
    radio(
      'routers',
      'Through routers',
      'Works everywhere, behind any router or firewall.',
      !isDirect,
    ),
    radio(
      'direct',
      'Directly',
      'Faster. This machine must be reachable at a public address.',
      isDirect,
    ),
    address,
  );
  const chosen = () => choices.querySelector('input[name=reach]:checked').value === 'direct';
  choices.addEventListener('change', () => {
    address.hidden = !chosen();
  });
  const value = () => {
    if (!chosen()) return { direct: false };
    const of = (id) => document.getElementById(id).value.trim();
    return {
      direct: true,
      ip: of('ip'),
      ws_port: port(of('ws-port')),
      tcp_port: port(of('tcp-port')),
    };
  };
  const fields = make('fieldset', {}, make('legend', {}, 'How others reach it'), choices);
  return { fields, value };
}

function port(text) {
  const number = text === '' ? 0 : Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  throw new Error(`"${text}" is not a port: they go from 1 to 65535, and 0 leaves one out.`);
}

/** Which wallet; `go(wallet)` follows. */
export function chooseWallet(state, choice, { go, elsewhere }) {
  const list = make('div', { class: 'stack' });
  const fill = () => {
    const offered = wallets();
    list.replaceChildren(
      ...(offered.length > 0
        ? offered.map(walletButton)
        : [
            make(
              'p',
              { class: 'note centred' },
              'This browser has no wallet. Install one, such as MetaMask or Rabby; or register in a terminal, with hyperloom register.',
            ),
            make('button', { type: 'button', class: 'button', on: { click: fill } }, 'Look again'),
          ]),
    );
  };
  const walletButton = ({ name, icon, provider }) => {
    const label = make('span', {}, `Connect ${name}`);
    const safe = typeof icon === 'string' && icon.startsWith('data:image/');
    const button = make(
      'button',
      { type: 'button', class: 'button wallet' },
      safe ? make('img', { src: icon, alt: '' }) : undefined,
      label,
    );
    button.addEventListener('click', async () => {
      button.disabled = true;
      complain();
      try {
        go(await Wallet.connect(provider, state.chain));
      } catch (error) {
        complain(error?.message ?? String(error));
      } finally {
        button.disabled = false;
      }
    });
    return button;
  };
  fill();
  // Wallets announce themselves in their own time.
  setTimeout(fill, 200);
  show({
    heading: choice.name,
    text: choice.reset
      ? 'Connect the account that owns this name.'
      : 'Connect the account that is to own this name.',
    content: list,
    elsewhere,
  });
}
