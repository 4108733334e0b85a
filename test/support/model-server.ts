/** A model server at a port of this machine that behaves as llama.cpp, Ollama or vLLM do (compute-market.md §12.3), and as a test wants. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Habits = 'llama.cpp' | 'ollama' | 'vllm';

export interface Received {
  readonly path: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a test reads requests of any shape
  readonly body: any;
  /** The client broke off before the end. */
  aborted: boolean;
}

export class ModelServer implements AsyncDisposable {
  readonly received: Received[] = [];
  /** What it says, a piece an event. */
  pieces: readonly string[] = ['one', ' two', ' three'];
  /** Waited for before each piece. */
  pace: (at: number) => Promise<void> = () => Promise.resolve();
  /** Whether usage is told; multiplied by that. */
  usage: number | undefined = 1;
  /** Answers with that status instead. */
  failing: number | undefined;
  /** Breaks the connection off after so many pieces. */
  breakAfter: number | undefined;
  readonly #habits: Habits;
  readonly #server: Server;

  private constructor(habits: Habits) {
    this.#habits = habits;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  static async start(habits: Habits): Promise<ModelServer> {
    const made = new ModelServer(habits);
    made.#server.listen(0, '127.0.0.1');
    await once(made.#server, 'listening');
    return made;
  }

  get base(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  get model(): string {
    return { 'llama.cpp': 'gguf/tiny', ollama: 'tiny:1b', vllm: 'org/tiny' }[this.#habits];
  }

  /** Requests for answers, without those for lists and counts. */
  get asked(): readonly Received[] {
    return this.received.filter(({ path }) => path.startsWith('/v1/') && path !== '/v1/models');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString();
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    const path = request.url ?? '';
    const received: Received = { path, body, aborted: false };
    this.received.push(received);
    response.on('close', () => (received.aborted = !response.writableFinished));
    const json = (status: number, value: object): void =>
      void response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(JSON.stringify(value));
    if (path === '/v1/models')
      return json(200, { object: 'list', data: [{ id: this.model, object: 'model' }] });
    if (path === '/tokenize') return this.#tokenize(received, json);
    if (this.failing !== undefined) return json(this.failing, this.#error('it fails'));
    if (path === '/v1/embeddings') {
      // Ollama has but one form of vectors, whatever it is asked for.
      const embedding = [0.5, -0.25, 1];
      const usage = { prompt_tokens: 4, total_tokens: 4 };
      const data = [{ object: 'embedding', index: 0, embedding }];
      return json(200, { object: 'list', model: this.model, data, usage });
    }
    if (path !== '/v1/chat/completions' && path !== '/v1/completions')
      return json(404, this.#error('no such path'));
    if (this.#habits === 'vllm' && received.body.model !== this.model)
      return json(404, this.#error(`The model ${received.body.model} does not exist.`));
    return received.body.stream === true
      ? this.#stream(received, response)
      : this.#whole(received, json);
  }

  /** Words; Ollama counts for nobody. */
  #tokenize({ body }: Received, json: (status: number, value: object) => void): void {
    if (this.#habits === 'ollama') return json(404, { error: '404 page not found' });
    const words = (body.content as string).split(/\s+/u).filter((word) => word !== '');
    const tokens = words.map((_, at) => at);
    return json(
      200,
      this.#habits === 'vllm' ? { count: tokens.length, tokens, max_model_len: 512 } : { tokens },
    );
  }

  #error(message: string): object {
    if (this.#habits === 'ollama') return { error: { message, type: 'api_error' } };
    if (this.#habits === 'vllm')
      return { object: 'error', message, type: 'NotFoundError', code: 404 };
    return { error: { code: 500, message, type: 'server_error' } };
  }

  #usageOf(pieces: number): object | undefined {
    if (this.usage === undefined) return undefined;
    const completion_tokens = pieces * this.usage;
    return { prompt_tokens: 3, completion_tokens, total_tokens: 3 + completion_tokens };
  }

  async #whole(
    { path, body }: Received,
    json: (status: number, value: object) => void,
  ): Promise<void> {
    const pieces = this.pieces.slice(0, body.max_tokens ?? Infinity);
    for (const at of pieces.keys()) await this.pace(at);
    const content = pieces.join('');
    const finish_reason = pieces.length < this.pieces.length ? 'length' : 'stop';
    const said =
      path === '/v1/completions' ? { text: content } : { message: { role: 'assistant', content } };
    const usage = this.#usageOf(pieces.length);
    json(200, {
      id: 'theirs',
      object: 'chat.completion',
      created: 1,
      model: 'as-they-call-it',
      choices: [{ index: 0, ...said, finish_reason }],
      ...(this.#habits === 'llama.cpp' ? { timings: { predicted_n: 3 } } : {}),
      ...(usage === undefined ? {} : { usage }),
    });
  }

  async #stream({ path, body }: Received, response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    const chat = path === '/v1/chat/completions';
    const pieces = this.pieces.slice(0, body.max_tokens ?? Infinity);
    const event = async (choices: readonly object[], more: object = {}): Promise<void> => {
      const made = {
        id: 'theirs',
        object: 'chat.completion.chunk',
        created: 1,
        model: 'as-they-call-it',
      };
      const taken = response.write(`data: ${JSON.stringify({ ...made, choices, ...more })}\n\n`);
      if (!taken && !response.destroyed)
        await Promise.race([once(response, 'drain'), once(response, 'close')]);
    };
    if (chat)
      await event([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
    for (const [at, piece] of pieces.entries()) {
      await this.pace(at);
      if (at === this.breakAfter) return void response.destroy();
      if (response.destroyed) return;
      const said = chat ? { delta: { content: piece } } : { text: piece };
      await event([{ index: 0, ...said, finish_reason: null }]);
    }
    const finish_reason = pieces.length < this.pieces.length ? 'length' : 'stop';
    const stopped = this.#habits === 'vllm' ? { stop_reason: null } : {};
    await event([
      { index: 0, ...(chat ? { delta: {} } : { text: '' }), finish_reason, ...stopped },
    ]);
    const usage = this.#usageOf(pieces.length);
    if (usage !== undefined && body.stream_options?.include_usage === true)
      await event([], { usage });
    response.end('data: [DONE]\n\n');
  }
}
