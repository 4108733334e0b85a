/** Setting up a node: which view is next. What each of them does is in its own file. */
import { complain, during, form, make, messageOf, show } from './dom.js';
import { finished, importKeyfile, logIn, setPassword } from './keyfile-views.js';
import { mint } from './mint-view.js';
import { chooseName, chooseWallet } from './name-view.js';
import { node } from './node.js';

const RESET_PATHS = /^\/reset\b/;
const IMPORT_PATHS = /^\/import-keyfile\b/;
const REGISTER_PATHS = /^\/(commit-os-name|mint-os-name|claim-invite|custom-register)\b/;

function enterCode() {
  const code = make('input', {
    type: 'text',
    class: 'text code',
    id: 'code',
    maxlength: 16,
    autocomplete: 'one-time-code',
    autocapitalize: 'characters',
    spellcheck: 'false',
    required: true,
    autofocus: true,
  });
  const submit = make('button', { class: 'button', id: 'submit' }, 'Continue');
  show({
    heading: 'Set up your node',
    text: 'Enter the code that the node shows in its terminal.',
    content: form(
      () =>
        void during(submit, 'Checking …', async () => {
          await node.code(code.value);
          await start();
        }),
      make('div', {}, make('label', { for: 'code' }, 'Code'), code),
      submit,
    ),
  });
}

function views(state) {
  const toName = ['Register a name', () => register(false)];
  const toReset = ['I own a name', () => register(true)];
  const toImport = ['Import a keyfile', () => bring()];
  const toLogin = state.name === null ? [] : [['Log in', () => enter()]];

  const enter = () =>
    logIn(state.name, {
      go: (keyfile) => end(state.name, keyfile, false),
      elsewhere: [['Reset its keys', () => register(true)], toImport],
    });
  const bring = () =>
    importKeyfile({
      go: (keyfile) => end(JSON.parse(atob(keyfile))[0], keyfile, false),
      elsewhere: [...toLogin, toName, toReset],
    });
  const register = (reset) => {
    const elsewhere = [...toLogin, reset ? toName : toReset, toImport];
    chooseName(state, { reset, go: (choice) => connect(choice), elsewhere });
  };
  const connect = (choice) => {
    const elsewhere = [['Another name', () => register(choice.reset)]];
    chooseWallet(state, choice, { go: (wallet) => void own(choice, wallet), elsewhere });
  };
  const own = async (choice, wallet) => {
    const elsewhere = [['Another name', () => register(choice.reset)]];
    try {
      const current = await node.nameState(choice.name, wallet.address);
      if (current.kind === 'taken')
        throw new Error(`${choice.name} belongs to another account than the one connected.`);
      if (current.kind === 'closed')
        throw new Error(`${current.zone} gives no names to this account.`);
      // Registered with this very page, perhaps before it was loaded again: signed as what it is.
      const settled = { ...choice, reset: choice.reset || current.kind === 'owned' };
      await mint(settled, wallet, {
        go: () =>
          setPassword(settled, wallet, { go: (keyfile) => end(choice.name, keyfile, true) }),
        elsewhere,
      });
    } catch (error) {
      complain(messageOf(error));
    }
  };
  const end = (name, keyfile, isNew) => {
    sessionStorage.clear();
    finished(name, keyfile, { isNew }).catch((error) => complain(messageOf(error)));
  };
  return { enter, bring, register };
}

async function start() {
  let state;
  try {
    state = await node.state();
  } catch (error) {
    if (error.status === 401) return enterCode();
    throw error;
  }
  const { enter, bring, register } = views(state);
  const { pathname } = location;
  if (IMPORT_PATHS.test(pathname)) bring();
  else if (RESET_PATHS.test(pathname)) register(true);
  else if (state.name !== null && !REGISTER_PATHS.test(pathname)) enter();
  else register(false);
  if (state.damaged) complain('The keyfile of this home cannot be read. Import a copy of it.');
  return undefined;
}

start().catch((error) => complain(messageOf(error)));
