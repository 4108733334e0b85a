/** Passwords and keyfiles: a new password, the password of the keyfile that is here, a keyfile from elsewhere, and the end. */
import { hashPassword } from '../login/password-hash.js';
import { complain, during, form, make, passwordField, show, usernameField } from './dom.js';
import { node, nodeIsUp } from './node.js';

const PASSWORD_CHARS_MIN = 8;

/** For a name that is on chain with this node's keys. `go(keyfile)` follows. */
export function setPassword(choice, wallet, { go }) {
  const first = passwordField({
    id: 'password',
    label: 'New password',
    autocomplete: 'new-password',
    autofocus: true,
  });
  const second = passwordField({
    id: 'again',
    label: 'Once more',
    autocomplete: 'new-password',
  });
  const submit = make('button', { class: 'button', id: 'submit' }, 'Sign and start the node');
  const boot = async () => {
    if (first.input.value.length < PASSWORD_CHARS_MIN)
      throw new Error(`At least ${PASSWORD_CHARS_MIN} characters, please.`);
    if (first.input.value !== second.input.value) throw new Error('The two passwords differ.');
    const info = {
      password_hash: await hashPassword(first.input.value, choice.name),
      username: choice.name,
      timestamp: Date.now(),
      direct: choice.direct,
      reset: choice.reset,
    };
    submit.textContent = 'Sign in your wallet …';
    const signature = await wallet.signBoot(info);
    submit.textContent = 'Starting …';
    const { id } = await node.state().then(({ chain }) => chain);
    go(await node.boot({ ...info, owner: wallet.address, signature, chain_id: id }));
  };
  show({
    heading: 'Set a password',
    text: 'It locks the keys of your node on this machine, and opens its pages. It cannot be replaced if you lose it.',
    content: form(
      () => void during(submit, 'Hashing …', boot),
      usernameField(choice.name),
      first.field,
      second.field,
      submit,
    ),
  });
}

/** The keyfile that is here. */
export function logIn(name, { go, elsewhere }) {
  const { field, input } = passwordField({
    id: 'password',
    label: 'Password',
    autocomplete: 'current-password',
    autofocus: true,
  });
  const submit = make('button', { class: 'button', id: 'submit' }, 'Start the node');
  const unlock = async () => {
    try {
      go(await node.login(await hashPassword(input.value, name)));
    } catch (error) {
      if (error.status === 401) input.select();
      throw error.status === 401 ? new Error('That is not the password of this node.') : error;
    }
  };
  show({
    heading: name,
    text: 'Your node starts when you log in.',
    content: form(
      () => void during(submit, 'Opening …', unlock),
      usernameField(name),
      field,
      submit,
    ),
    elsewhere,
  });
}

/** A keyfile that was saved before, from another machine or another client. */
export function importKeyfile({ go, elsewhere }) {
  const file = make('input', { type: 'file', class: 'text file', id: 'file', required: true });
  const whose = make('p', { class: 'note', 'aria-live': 'polite' });
  const { field, input } = passwordField({
    id: 'password',
    label: 'Its password',
    autocomplete: 'current-password',
  });
  const submit = make('button', { class: 'button', id: 'submit' }, 'Import and start the node');
  let keyfile;
  let name;
  file.addEventListener('change', async () => {
    complain();
    keyfile = undefined;
    name = undefined;
    const [chosen] = file.files;
    if (chosen === undefined) return;
    try {
      ({ keyfile, name } = await read(chosen));
      whose.textContent = `The keyfile of ${name}.`;
      input.focus();
    } catch (error) {
      whose.textContent = '';
      complain(error.message);
    }
  });
  const bring = async () => {
    if (keyfile === undefined) throw new Error('Choose a keyfile first.');
    try {
      go(await node.importKeyfile(await hashPassword(input.value, name), keyfile));
    } catch (error) {
      if (error.status === 401) input.select();
      throw error.status === 401 ? new Error('That is not the password of this keyfile.') : error;
    }
  };
  show({
    heading: 'Import a keyfile',
    text: 'From another machine, or another client. A node of that name must not run elsewhere too.',
    content: form(
      () => void during(submit, 'Opening …', bring),
      make('div', {}, make('label', { for: 'file' }, 'Keyfile'), file, whose),
      field,
      submit,
    ),
    elsewhere,
  });
}

/** The file's text, and whose it is: its name is the salt of the password. */
async function read(file) {
  if (file.size > 65_536) throw new Error('That is too large for a keyfile.');
  const text = await file.text();
  // As the pages save it, base64; or as it is on disk, JSON.
  const isJson = text.trimStart().startsWith('[');
  const keyfile = isJson ? btoa(text.trim()) : text.replace(/\s+/g, '');
  try {
    const [name] = JSON.parse(isJson ? text : atob(keyfile));
    if (typeof name === 'string' && name !== '') return { keyfile, name };
  } catch {
    // Older ones are binary; the name is the first thing in them.
    const name = isJson ? undefined : binaryName(keyfile);
    if (name !== undefined) return { keyfile, name };
  }
  throw new Error('That is not a keyfile.');
}

function binaryName(base64) {
  try {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const length = new DataView(bytes.buffer).getUint32(0, true);
    const name = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length));
    return /^[0-9a-z-]+(\.[0-9a-z-]+)+$/.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

/** The node is on its way up. */
export async function finished(name, keyfile, { isNew }) {
  const url = URL.createObjectURL(new Blob([keyfile], { type: 'text/plain' }));
  const save = make(
    'a',
    { class: 'button', href: url, download: `${name}.keyfile` },
    'Save the keyfile',
  );
  const open = make(
    'a',
    { class: 'button quiet', href: '/', id: 'open', hidden: true },
    'Open your node',
  );
  const note = make(
    'p',
    { class: 'note centred', 'aria-live': 'polite' },
    'The node is starting …',
  );
  show({
    heading: name,
    text: isNew
      ? 'The name is yours. Keep a copy of its keyfile somewhere else: with it and your password you can move or restore the node.'
      : '',
    content: make('div', { class: 'stack' }, isNew ? save : undefined, open, note),
  });
  await nodeIsUp();
  note.textContent = 'The node is up.';
  open.hidden = false;
  if (!isNew) location.replace('/');
}
