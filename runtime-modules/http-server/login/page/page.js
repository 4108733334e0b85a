/**
 * The login page at work. It stands in for whatever needs a session, under that address, so it only has to load the address again once
 * there is one; under `/login` it goes to the path that `?redirect=` names, or to the front page.
 */
import { hashPassword } from './password-hash.js';

const told = (name) => document.querySelector(`meta[name="${name}"]`).content;
const node = told('node');
const app = told('app');
const base = told('base');

const form = document.getElementById('login');
const password = document.getElementById('password');
const reveal = document.getElementById('reveal');
const submit = document.getElementById('submit');
const problem = document.getElementById('problem');
const hint = document.getElementById('hint');
const about = document.getElementById('about');

/** A second try so soon after the first would be a third, and so on. */
const RESUME_AGAIN_MS = 10_000;

const isLoginPath = /^\/login\/?$/.test(location.pathname);

function destination() {
  if (!isLoginPath) return location.href;
  const wanted = new URLSearchParams(location.search).get('redirect') ?? '/';
  const url = new URL(wanted, location.origin);
  // By the address itself: what looks like a path may still lead elsewhere.
  if (url.origin === location.origin && url.pathname !== '/') return url.href;
  return `${location.protocol}//${base}/`;
}

function proceed() {
  const url = new URL(destination());
  // An address that differs in its fragment only would not be loaded again.
  if (url.href === location.href && url.hash !== '') location.reload();
  else location.replace(url.href);
}

/** A link from elsewhere leaves the cookie out; asked by this page, the node sees it. */
async function resume() {
  if (isLoginPath) return;
  const key = `resumed ${location.href}`;
  if (Date.now() - Number(sessionStorage.getItem(key)) < RESUME_AGAIN_MS) return;
  const answer = await fetch('/login/session', { cache: 'no-store' });
  if (!answer.ok || (await answer.json()) !== true) return;
  sessionStorage.setItem(key, String(Date.now()));
  proceed();
}

function show(text) {
  problem.textContent = text;
  problem.hidden = false;
}

function ready() {
  submit.disabled = false;
  submit.textContent = 'Sign in';
}

/** Counts down on the button; the alert says it once. */
function wait(seconds) {
  submit.disabled = true;
  submit.textContent = `Try again in ${seconds} s`;
  if (seconds <= 0) {
    problem.hidden = true;
    ready();
  } else setTimeout(() => wait(seconds - 1), 1_000);
}

async function textOf(answer) {
  try {
    return String(await answer.json());
  } catch {
    return `The node answered ${answer.status}.`;
  }
}

async function refused(answer) {
  if (answer.status === 429) {
    show('Too many attempts. Your password was not checked; try again in a moment.');
    wait(Math.max(1, Number(answer.headers.get('retry-after')) || 1));
    return;
  }
  if (answer.status === 500) {
    show('That is not the password of this node.');
    password.setAttribute('aria-invalid', 'true');
    password.select();
  } else show(await textOf(answer));
  ready();
}

async function signIn() {
  submit.disabled = true;
  submit.textContent = 'Signing in …';
  try {
    const answer = await fetch('/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        password_hash: await hashPassword(password.value, node),
        subdomain: app === '' ? null : app,
      }),
    });
    if (answer.status >= 399) await refused(answer);
    else proceed();
  } catch {
    show('The node does not answer. Is it running?');
    ready();
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  problem.hidden = true;
  password.removeAttribute('aria-invalid');
  void signIn();
});

reveal.addEventListener('click', () => {
  const shown = password.type === 'text';
  password.type = shown ? 'password' : 'text';
  reveal.textContent = shown ? 'Show' : 'Hide';
  reveal.setAttribute('aria-pressed', String(!shown));
  password.focus();
});

if (app !== '') {
  about.textContent = `Sign in to open ${app}`;
  hint.textContent = `${app} keeps a session of its own, which no other app can use.`;
  hint.hidden = false;
}
if (told('development') === 'true') {
  hint.textContent = 'This is a development node: any password works.';
  hint.hidden = false;
}
ready();
resume().catch(() => undefined);
