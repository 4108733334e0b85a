/** Making and showing what is on the page. Text is always text: nothing here takes HTML. */

/** An element; `on` has listeners, what is undefined or false is left out. */
export function make(tag, { on = {}, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

const title = document.getElementById('title');
const about = document.getElementById('about');
const view = document.getElementById('view');
/** The links to other views. */
export const ways = document.getElementById('ways');
const problem = document.getElementById('problem');

/** Puts a view on the page. `elsewhere` has the other things one may want to do: text and action. */
export function show({ heading, text = '', content, elsewhere = [], focus = true }) {
  title.textContent = heading;
  document.title = heading;
  about.textContent = text;
  view.replaceChildren(content);
  complain();
  ways.replaceChildren(
    ...elsewhere.map(([label, go]) =>
      make('button', { type: 'button', class: 'link', on: { click: go } }, label),
    ),
  );
  ways.hidden = elsewhere.length === 0;
  const first = view.querySelector('[autofocus]');
  if (first !== null) first.focus();
  else if (focus) title.focus();
}

/** Says what is wrong; without text, that nothing is any more. */
export function complain(text = '') {
  problem.textContent = text;
  problem.hidden = text === '';
}

/** Runs what a button does: once at a time, with its text saying so, and what goes wrong said. */
export async function during(button, text, action) {
  const before = button.textContent;
  button.disabled = true;
  button.textContent = text;
  complain();
  try {
    await action();
  } catch (error) {
    complain(messageOf(error));
  } finally {
    button.disabled = false;
    button.textContent = before;
  }
}

export function messageOf(error) {
  return String(error?.message ?? error);
}

/** A field for a password, with a button that shows what is in it. */
export function passwordField({ id, label, autocomplete, autofocus = false }) {
  const input = make('input', {
    type: 'password',
    class: 'text',
    id,
    autocomplete,
    autocapitalize: 'off',
    spellcheck: 'false',
    maxlength: 1024,
    required: true,
    autofocus,
  });
  const reveal = make('button', { type: 'button', class: 'show', 'aria-pressed': 'false' }, 'Show');
  reveal.addEventListener('click', () => {
    const shown = input.type === 'text';
    input.type = shown ? 'password' : 'text';
    reveal.textContent = shown ? 'Show' : 'Hide';
    reveal.setAttribute('aria-pressed', String(!shown));
    input.focus();
  });
  const field = make(
    'div',
    {},
    make('label', { for: id }, label),
    make('div', { class: 'password' }, input, reveal),
  );
  return { field, input };
}

/** For password managers, which want to know whose password it is. */
export function usernameField(name) {
  return make('input', {
    class: 'aside',
    type: 'text',
    value: name,
    autocomplete: 'username',
    tabindex: -1,
    'aria-hidden': 'true',
    readonly: true,
  });
}

export function form(submit, ...children) {
  return make(
    'form',
    {
      on: {
        submit: (event) => {
          event.preventDefault();
          submit();
        },
      },
    },
    ...children,
  );
}
