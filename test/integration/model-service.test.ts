/** The model service of a whole node with the real extension: OpenAI's wire as its clients read it, who may ask, and what they pay. */
import { describe, expect, it } from 'vitest';
import { Wallet } from 'ethers';
import { typedDataOf } from '../../contracts/compute.ts';
import { ECHO, modelService, NO_WISH, PATIENCE, say } from '../support/model-service.ts';

const service = modelService();

describe('CM39 the interface', () => {
  it('CM39 lists models with prices, and one of them, with a slash in its name or without', async () => {
    const client = await service.newClient(0n);
    const answer = await client.get('/v1/models');
    expect(answer.status).toBe(200);
    const { object, data } = (await answer.json()) as { object: string; data: { id: string }[] };
    expect(object).toBe('list');
    expect(data.map(({ id }) => id)).toEqual(
      [
        ECHO,
        'builtin:embed-hash-384',
        service.llama.model,
        service.ollama.model,
        service.vllm.model,
      ].toSorted(),
    );
    expect(data[0]).toMatchObject({
      object: 'model',
      owned_by: 'test.dev',
      hn: { prices: { in: '1000', out: '3000' }, nodes: ['test.dev'] },
    });
    for (const path of [encodeURIComponent(service.vllm.model), service.vllm.model, ECHO])
      expect(await (await client.get(`/v1/models/${path}`)).json()).toMatchObject({
        id: decodeURIComponent(path),
      });
    expect((await client.get('/v1/models/nobody')).status).toBe(404);
  });

  it('CM39 a whole answer has the members that clients read, and says what it cost', async () => {
    const client = await service.newClient();
    const answer = await client.chat(say('to be or not to be'));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/);
    expect(answer.headers.get('x-hn-node')).toBe('test.dev');
    const body = await answer.json();
    expect(body).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: ECHO,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'to be or not to be' },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 6, completion_tokens: 6, total_tokens: 12 },
    });
    // (6·1000 + 6·3000) / 1000
    expect(answer.headers.get('x-hn-cost')).toBe('24');
    await client.settled(1_000_000n - 24n);
    const { receipts } = await service.owner('GET', '/api/receipts');
    expect(receipts.at(-1)).toMatchObject({
      owner: client.name,
      model: ECHO,
      node: 'test.dev',
      input: 6,
      output: 6,
      cost: '24',
      request_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      response_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('CM39 completions of several prompts, and of tokens', async () => {
    const client = await service.newClient();
    const texts = await client.post('/v1/completions', { model: ECHO, prompt: ['a b', 'c'] });
    expect(await texts.json()).toMatchObject({
      object: 'text_completion',
      choices: [
        { index: 0, text: 'a b', finish_reason: 'stop' },
        { index: 1, text: 'c' },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 3 },
    });
    const tokens = await client.post('/v1/completions', { model: ECHO, prompt: [1, 2, 3] });
    expect(await tokens.json()).toMatchObject({ choices: [{ text: '1 2 3' }] });
  });

  it('CM39 embeddings in both forms, also of a server that has but one', async () => {
    const client = await service.newClient();
    const ask = async (model: string, encoding_format?: string) => {
      const answer = await client.post('/v1/embeddings', { model, input: 'x y', encoding_format });
      return ((await answer.json()) as { data: [{ embedding: unknown }] }).data[0].embedding;
    };
    const floats = (await ask('builtin:embed-hash-384')) as number[];
    expect(floats).toHaveLength(384);
    const bytes = Buffer.from((await ask('builtin:embed-hash-384', 'base64')) as string, 'base64');
    expect(floats.map((_, index) => bytes.readFloatLE(4 * index))).toEqual(floats);
    expect(await ask(service.ollama.model)).toEqual([0.5, -0.25, 1]);
    const converted = Buffer.from((await ask(service.ollama.model, 'base64')) as string, 'base64');
    expect([0, 4, 8].map((offset) => converted.readFloatLE(offset))).toEqual([0.5, -0.25, 1]);
  });

  it('CM39 tokens are counted, health and figures are told', async () => {
    const client = await service.newClient(0n);
    const counted = await client.post('/v1/tokenize', { model: ECHO, prompt: 'a b c' });
    expect(await counted.json()).toEqual({ object: 'tokens', model: ECHO, count: 3 });
    expect(
      await (
        await client.post('/v1/tokenize', { model: service.vllm.model, prompt: 'a b' })
      ).json(),
    ).toMatchObject({ count: 2 });
    expect(
      (await client.post('/v1/tokenize', { model: service.ollama.model, prompt: 'a' })).status,
    ).toBe(501);
    expect(await (await fetch(service.at('/health'))).json()).toEqual({ status: 'ok', models: 5 });
    expect(await (await fetch(service.at('/metrics'))).text()).toMatch(
      /^llm_requests_total\{endpoint="chat"\} \d+$/m,
    );
  });

  it.each([
    ['no key', {}, say('x'), 401, 'invalid_api_key'],
    ['a model that nobody has', undefined, say('x', { model: 'nobody' }), 404, 'model_not_found'],
    ['no messages', undefined, { model: ECHO }, 400, null],
  ])('CM39 %s', async (_, headers, body, status, code) => {
    const client = await service.newClient();
    const answer = await client.chat(body, headers === undefined ? {} : { headers });
    expect(answer.status).toBe(status);
    const { error } = (await answer.json()) as { error: object };
    expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
    expect(error).toMatchObject({ code });
  });

  it('CM39 a body of more than 8 MiB is 413; one that needs several frames passes', async () => {
    const client = await service.newClient(100_000_000n);
    expect((await client.chat(say('x'.repeat(8 * 1024 * 1024)))).status).toBe(413);
    const long = `${'word '.repeat(120_000)}end`;
    const answer = await client.chat(say(long, { max_tokens: 200_000 }));
    expect(answer.status).toBe(200);
    const { choices } = (await answer.json()) as { choices: [{ message: { content: string } }] };
    expect(choices[0].message.content).toBe(long);
  });
});

describe('CM42 the prepaid ledger', () => {
  it('CM42 T28 of 100 requests at once on a balance for ten, ten pass', async () => {
    const client = await service.newClient(0n);
    // 2 messages' worth and half a character in, 20 out: 17 + 60.
    const body = say('x', { max_tokens: 20 });
    await service.owner('POST', '/api/ledger', { owner: client.name, amount: '770', ref: 'ten' });
    const answers = await Promise.all(Array.from({ length: 100 }, () => client.chat(body)));
    const passed = answers.filter(({ status }) => status === 200).length;
    const refused = answers.filter(({ status }) => status === 402).length;
    expect(passed + refused).toBe(100);
    // What an early one did not use may be enough for a later one; more than the balance never is.
    expect(passed).toBeGreaterThanOrEqual(10);
    await client.settled(770n - BigInt(passed) * 4n);
    let sum = 0n;
    let after = 0;
    for (let more = true; more;) {
      const { entries } = await service.owner('GET', `/api/ledger?after=${after}`);
      for (const { entry, debit, credit } of entries) {
        sum += BigInt(credit) - BigInt(debit);
        after = entry;
      }
      more = entries.length > 0;
    }
    expect(after).toBeGreaterThan(100);
    expect(sum).toBe(0n);
  });

  it('CM42 money counts once, however often it is told', async () => {
    const client = await service.newClient(5n);
    const again = { owner: client.name, amount: '5', ref: `tx-${client.name}` };
    await expect(service.owner('POST', '/api/ledger', again)).rejects.toThrow('409');
    expect(await client.has()).toBe(5n);
    const answer = await client.chat(say('x'));
    expect(answer.status).toBe(402);
    expect(await answer.json()).toMatchObject({ error: { code: 'payment_required' } });
  });
});

describe('CM43 voucher sessions', () => {
  it('CM43 serving stops above what may be owed, and goes on with a voucher', async () => {
    const wallet = Wallet.createRandom();
    const jobId = `0x${'5e'.repeat(32)}`;
    const escrow = `0x${'e5'.repeat(20)}`;
    // No facilitator runs here, so the owner says what the chain does.
    await expect(service.owner('POST', '/api/sessions', { jobId, chain: null })).rejects.toThrow(
      'NoSession',
    );
    const chain = {
      ...{ escrow, chainId: 31_337, signer: wallet.address, attempt: 2 },
      ...{ price: '100000', deadline: Math.floor(Date.now() / 1_000) + 3_600 },
    };
    const { key, id } = await service.owner('POST', '/api/sessions', { jobId, chain });
    const client = service.client('session', key, id);
    // A request of 16,000 tokens may cost nearly all that may be owed.
    const big = say('word '.repeat(4_000), { max_tokens: 12_000 });
    expect((await client.chat(big)).status).toBe(200);
    const view = async () =>
      (await (await client.get('/v1/vouchers')).json()) as Record<string, string>;
    await expect
      .poll(view, PATIENCE)
      .toMatchObject({ served: '16000', debt: '16000', wanted: true });
    const stopped = await client.chat(big);
    expect(stopped.status).toBe(402);
    expect(await stopped.json()).toMatchObject({ error: { code: 'voucher_required' } });

    const voucherOf = async (cumulative: bigint, attempt = 2, by = wallet) => {
      const voucher = { jobId, attempt, cumulative, tokensIn: 4_000n, tokensOut: 4_000n };
      const domain = {
        name: 'HypernodeEscrow',
        chainId: 31_337,
        verifyingContract: escrow,
      } as const;
      // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as wallets take it
      const data = typedDataOf(domain, 'Voucher', voucher) as any;
      const { EIP712Domain: _, ...types } = data.types;
      const signature = await by.signTypedData(data.domain, types, data.message);
      const wire = {
        ...voucher,
        cumulative: String(cumulative),
        tokensIn: '4000',
        tokensOut: '4000',
      };
      return client.post('/v1/vouchers', { voucher: wire, signature });
    };
    // Of another attempt, by somebody else, beyond the price: none.
    expect((await voucherOf(16_000n, 1)).status).toBe(400);
    expect((await voucherOf(16_000n, 2, Wallet.createRandom())).status).toBe(400);
    expect((await voucherOf(100_001n)).status).toBe(400);
    const accepted = await voucherOf(16_000n);
    expect(await accepted.json()).toMatchObject({ signed: '16000', debt: '0', wanted: false });
    expect((await voucherOf(15_999n)).status).toBe(400);
    const next = await client.chat(big);
    expect(next.status).toBe(200);
    const { sessions } = await service.owner('GET', '/api/sessions');
    expect(sessions[0]).toMatchObject({
      jobId,
      claim: { voucher: { cumulative: '16000', attempt: 2 }, signature: expect.any(String) },
    });
  }, 60_000);
});

describe('CM45 keys', () => {
  it('CM45 a key opens what it names, and nothing once it is revoked', async () => {
    const client = await service.newClient(1_000_000n, { models: [ECHO], endpoints: ['chat'] });
    expect((await client.chat(say('x'))).status).toBe(200);
    const other403 = await client.chat(say('x', { model: service.llama.model }));
    expect(other403.status).toBe(403);
    expect((await client.post('/v1/completions', { model: ECHO, prompt: 'x' })).status).toBe(403);
    await service.owner('DELETE', `/api/keys/${client.id}`);
    expect((await client.chat(say('x'))).status).toBe(401);
    const { keys } = await service.owner('GET', '/api/keys');
    const listed = keys.find(({ id }: { id: string }) => id === client.id);
    expect(listed).toMatchObject({ owner: client.name, revokedAt: expect.any(Number) });
    expect(JSON.stringify(keys)).not.toContain(client.key);
  });

  it('CM45 a limited key is told how much is left, and when to come again', async () => {
    const client = await service.newClient(1_000_000n, { rpm: 2, tpm: 100_000 });
    const first = await client.chat(say('x'));
    expect(first.headers.get('x-ratelimit-limit-requests')).toBe('2');
    expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('1');
    expect(first.headers.get('x-ratelimit-limit-tokens')).toBe('100000');
    expect(first.headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+s$/);
    await client.chat(say('x'));
    const third = await client.chat(say('x'));
    expect(third.status).toBe(429);
    expect(Number(third.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await third.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
  });

  it('CM45 a daily budget ends with 429', async () => {
    const client = await service.newClient(1_000_000n, { dailyBudget: '100' });
    expect((await client.chat(say('x', { max_tokens: 20 }))).status).toBe(200);
    const answer = await client.chat(say('x', { max_tokens: 40 }));
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({ error: { code: 'insufficient_quota' } });
  });

  it('CM45 the owner’s routes need the login', async () => {
    for (const path of ['/api/keys', '/api/ledger', '/api/receipts', '/api/sessions'])
      // What comes is the page to log in at.
      await expect((await fetch(service.at(path))).json()).rejects.toThrow(SyntaxError);
    const body = JSON.stringify({ owner: 'nobody', ...NO_WISH });
    expect((await fetch(service.at('/api/keys'), { method: 'POST', body })).status).not.toBe(201);
    const { keys } = await service.owner('GET', '/api/keys');
    expect(keys.map((key: { owner: string }) => key.owner)).not.toContain('nobody');
  });

  it('CM45 after a restart keys open, money is there, and what was kept for requests is free again', async () => {
    const client = await service.newClient(1_000n);
    service.ollama.pace = () => new Promise(() => undefined);
    const hanging = client
      .chat(say('x', { model: service.ollama.model, max_tokens: 100 }))
      .then(({ status }) => status)
      .catch(() => 0);
    await expect.poll(() => client.has(), PATIENCE).toBeLessThan(1_000n);
    await service.compute.restart();
    await hanging;
    await service.ready();
    service.ollama.pace = () => Promise.resolve();
    await client.settled(1_000n);
    expect((await client.chat(say('x', { max_tokens: 20 }))).status).toBe(200);
  }, 120_000);

  // Last: it uses up what this address may get wrong.
  it('CM45 T26 twenty wrong keys a minute of one address, then 429', async () => {
    const wrong = service.client('x', `hnk_live_${'A'.repeat(43)}`, 'x');
    const statuses: number[] = [];
    for (let n = 0; n < 22; n += 1) statuses.push((await wrong.get('/v1/models')).status);
    expect(new Set(statuses.slice(0, 15))).toEqual(new Set([401]));
    expect(statuses.at(-1)).toBe(429);
    const right = await service.newClient(0n);
    expect((await right.get('/v1/models')).status).toBe(200);
  });
});
