/** The fields of a new job. */
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { type Draft, FUNCTIONS, type Kind, textOf } from './draft.ts';
import { hashed, type HashedFile } from './files.ts';
import { bytes } from './format.ts';
import { html } from './html.ts';

interface FormProps {
  readonly draft: Draft;
  readonly change: (part: Partial<Draft>) => void;
}

const KINDS: readonly (readonly [Kind, string])[] = [
  ['builtin', 'Function'],
  ['wasm', 'WebAssembly'],
  ['container', 'Container'],
  ['spec', 'Spec (JSON)'],
];

export function DraftForm({ draft, change }: FormProps): VNode {
  const choose = (kind: Kind): void =>
    change(kind === 'spec' ? { kind, text: textOf(draft) } : { kind });
  return html`
    <div class="card fields">
      <fieldset class="kinds">
        <legend>What is to be run</legend>
        ${KINDS.map(
          ([kind, name]) =>
            html`<label key=${kind} class="chip">
              <input
                type="radio"
                name="kind"
                value=${kind}
                checked=${draft.kind === kind}
                onChange=${() => choose(kind)}
              />
              ${name}
            </label>`,
        )}
      </fieldset>
      ${draft.kind === 'builtin' && html`<${FunctionFields} draft=${draft} change=${change} />`}
      ${draft.kind === 'wasm' && html`<${WasmFields} draft=${draft} change=${change} />`}
      ${draft.kind === 'container' && html`<${ContainerFields} draft=${draft} change=${change} />`}
      ${
        draft.kind === 'spec'
          ? html`<${SpecField} draft=${draft} change=${change} />`
          : html`<${Files} draft=${draft} change=${change} />
              <${More} draft=${draft} change=${change} />`
      }
    </div>
  `;
}

function FunctionFields({ draft, change }: FormProps): VNode {
  const choose = (event: Event): void => {
    const fn = valueOf(event);
    change({ fn, args: FUNCTIONS.find(([name]) => name === fn)?.[1] ?? '{}' });
  };
  const what = FUNCTIONS.find(([name]) => name === draft.fn)?.[2];
  return html`
    <div class="field">
      <label for="fn">Function</label>
      <select id="fn" value=${draft.fn} onChange=${choose}>
        ${FUNCTIONS.map(([name]) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select>
      <small>${what}</small>
    </div>
    <div class="field">
      <label for="args">Arguments</label>
      <textarea
        id="args"
        rows="2"
        spellcheck=${false}
        value=${draft.args}
        onInput=${(event: Event) => change({ args: valueOf(event) })}
      ></textarea>
    </div>
  `;
}

function WasmFields({ draft, change }: FormProps): VNode {
  const [problem, setProblem] = useState('');
  const choose = (event: Event): void => {
    const [file] = filesOf(event);
    if (file === undefined) return;
    hashed(file).then(
      (module) => {
        setProblem('');
        change({ module });
      },
      (error: Error) => setProblem(error.message),
    );
  };
  return html`
    <div class="field">
      <label for="module">Component</label>
      <input id="module" type="file" accept=".wasm" onChange=${choose} />
      <small role="status"
        >${problem || (draft.module === undefined ? 'A WebAssembly component with wasi:cli/run' : '')}</small
      >
    </div>
    <${Command} draft=${draft} change=${change} label="Arguments" />
  `;
}

function ContainerFields({ draft, change }: FormProps): VNode {
  return html`
    <div class="field">
      <label for="image">Image</label>
      <input
        id="image"
        value=${draft.image}
        spellcheck=${false}
        autocapitalize="none"
        placeholder="repository@sha256:…"
        onInput=${(event: Event) => change({ image: valueOf(event) })}
      />
      <small>By digest: a tag may be another program tomorrow.</small>
    </div>
    <${Command} draft=${draft} change=${change} label="Command" />
  `;
}

function Command({ draft, change, label }: FormProps & { readonly label: string }): VNode {
  return html`<div class="field">
    <label for="command">${label}</label>
    <input
      id="command"
      value=${draft.command}
      spellcheck=${false}
      autocapitalize="none"
      placeholder="python /job/in/run.py"
      onInput=${(event: Event) => change({ command: valueOf(event) })}
    />
    <small>Words; quotes hold some together. There is no shell.</small>
  </div>`;
}

function SpecField({ draft, change }: FormProps): VNode {
  return html`<div class="field">
    <label for="spec">Spec</label>
    <textarea
      id="spec"
      rows="22"
      spellcheck=${false}
      value=${draft.text}
      onInput=${(event: Event) => change({ text: valueOf(event) })}
    ></textarea>
    <small>Its files must be with the market already: kit job submit SPEC.json sends them.</small>
  </div>`;
}

function Files({ draft, change }: FormProps): VNode {
  const [told, setTold] = useState('');
  const choose = (event: Event): void => {
    const files = filesOf(event);
    setTold(files.length === 0 ? '' : 'Hashing …');
    hashAll(files).then(
      (inputs) => {
        setTold('');
        change({ inputs });
      },
      (error: Error) => setTold(error.message),
    );
  };
  return html`<div class="field">
    <label for="inputs">Files that it reads</label>
    <input id="inputs" type="file" multiple onChange=${choose} />
    ${
      draft.inputs.length > 0 &&
      html`<ul class="chosen">
        ${draft.inputs.map(
          ({ file, sha256 }) =>
            html`<li key=${file.name}>
              ${file.name} <small>${bytes(file.size)} · ${sha256.slice(0, 12)}…</small>
            </li>`,
        )}
      </ul>`
    }
    <small role="status">${told}</small>
  </div>`;
}

async function hashAll(files: readonly File[]): Promise<readonly HashedFile[]> {
  const all: HashedFile[] = [];
  for (const file of files) all.push(await hashed(file));
  return all;
}

const CHOICES = [
  ['type', 'Kind of work', ['custom', 'inference', 'training', 'rendering', 'embedding']],
  ['priority', 'Priority', ['low', 'normal', 'high', 'urgent']],
  ['verify', 'Results are compared', ['exact', 'tolerance', 'image', 'none']],
] as const;
const NUMBERS = [
  ['timeoutS', 'Seconds at most', 'of its type'],
  ['gpus', 'GPUs', '0'],
  ['vramMiB', 'MiB of each GPU', 'any'],
  ['replicas', 'Runs by different operators', '1'],
] as const;

function More({ draft, change }: FormProps): VNode {
  return html`<details class="more">
    <summary>Limits, GPUs, priority</summary>
    <div class="grid">
      ${NUMBERS.map(
        ([name, label, placeholder]) =>
          html`<div class="field" key=${name}>
            <label for=${name}>${label}</label>
            <input
              id=${name}
              inputmode="numeric"
              value=${draft[name]}
              placeholder=${placeholder}
              onInput=${(event: Event) => change({ [name]: valueOf(event) })}
            />
          </div>`,
      )}
      ${CHOICES.map(
        ([name, label, options]) =>
          html`<div class="field" key=${name}>
            <label for=${name}>${label}</label>
            <select
              id=${name}
              value=${draft[name]}
              onChange=${(event: Event) => change({ [name]: valueOf(event) })}
            >
              ${options.map((option) => html`<option key=${option} value=${option}>${option}</option>`)}
            </select>
          </div>`,
      )}
      <div class="field">
        <label for="label">Name in lists</label>
        <input
          id="label"
          value=${draft.label}
          maxlength="100"
          onInput=${(event: Event) => change({ label: valueOf(event) })}
        />
      </div>
    </div>
  </details>`;
}

function valueOf({ currentTarget }: Event): string {
  // Proof of the type: it is asked of fields only.
  return (currentTarget as HTMLInputElement).value;
}

function filesOf({ currentTarget }: Event): readonly File[] {
  return [...((currentTarget as HTMLInputElement).files ?? [])];
}
