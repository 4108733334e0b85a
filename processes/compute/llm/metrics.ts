/** What `GET /metrics` says, in Prometheus's text form: counts since the process started. */
import type { Endpoint } from './openai.ts';

const ENDPOINTS: readonly Endpoint[] = ['chat', 'completions', 'embeddings'];

interface Counts {
  answered: number;
  refused: number;
  input: number;
  output: number;
  cost: bigint;
}

export class Metrics {
  readonly #counts = new Map<Endpoint, Counts>(
    ENDPOINTS.map((one) => [one, { answered: 0, refused: 0, input: 0, output: 0, cost: 0n }]),
  );

  answered(
    endpoint: Endpoint,
    {
      input,
      output,
      cost,
    }: { readonly input: number; readonly output: number; readonly cost: bigint },
  ): void {
    const counts = this.#counts.get(endpoint)!;
    counts.answered += 1;
    counts.input += input;
    counts.output += output;
    counts.cost += cost;
  }

  /** Before any backend heard of it. */
  refused(endpoint: Endpoint): void {
    this.#counts.get(endpoint)!.refused += 1;
  }

  text(): string {
    const lines = (
      name: string,
      help: string,
      value: (counts: Counts) => number | bigint,
    ): string =>
      [
        `# HELP ${name} ${help}`,
        `# TYPE ${name} counter`,
        ...ENDPOINTS.map((one) => `${name}{endpoint="${one}"} ${value(this.#counts.get(one)!)}`),
      ].join('\n');
    return `${[
      lines('llm_requests_total', 'Requests that went to a backend.', (c) => c.answered),
      lines('llm_refused_total', 'Requests that were refused before.', (c) => c.refused),
      lines('llm_tokens_in_total', 'Tokens billed that went in.', (c) => c.input),
      lines('llm_tokens_out_total', 'Tokens billed that came out.', (c) => c.output),
      lines('llm_cost_micro_hyper_total', 'Billed, in millionths of HYPER.', (c) => c.cost),
    ].join('\n')}\n`;
  }
}
