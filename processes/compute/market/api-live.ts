/** The WebSocket: subscriptions to jobs, nodes and figures (compute-market.md §13). */
import type { Channel } from '../../lib/http-server.ts';
import { t } from '../../lib/index.ts';
import type { MarketHttp } from './api.ts';
import type { Principal } from './auth.ts';
import type { FeedSocket } from './feed.ts';
import { TOPICS_MAX } from './feed.ts';
import { ownJob } from './job-access.ts';
import type { Market } from './parts.ts';

const said = t.record({
  op: t.text,
  topics: t.option(t.list(t.text)),
  token: t.option(t.text),
  since: t.option(t.u64),
});
type Said = t.Decoded<typeof said>;

const TOPIC_CHARS_MAX = 100;

export function liveSocket(http: MarketHttp, market: () => Market): void {
  const ends = new Map<Channel<string>, FeedSocket>();
  http.sockets<Said, string>(
    '/ws',
    {
      receives: said,
      onOpen: (channel) => {
        ends.set(channel, { push: (text) => channel.push(text) });
      },
      onMessage: async (channel, message) => {
        const end = ends.get(channel);
        if (end === undefined) return;
        const problem = await act(market(), end, message);
        if (problem !== undefined) {
          await channel.push(JSON.stringify({ event: 'error', data: problem }));
        }
      },
      onClose: (channel) => {
        const end = ends.get(channel);
        ends.delete(channel);
        if (end !== undefined) market().feed.unsubscribe(end);
      },
    },
    { authenticated: false },
  );
}

/** @returns why it is refused */
async function act(
  market: Market,
  end: FeedSocket,
  { op, topics = [], token, since }: Said,
): Promise<{ readonly code: string; readonly message: string } | undefined> {
  if (op === 'ping') {
    await end.push(JSON.stringify({ event: 'pong', seq: market.feed.lastSeq }));
    return undefined;
  }
  if (op === 'unsubscribe') {
    market.feed.unsubscribe(end, topics);
    return undefined;
  }
  if (op !== 'subscribe')
    return { code: 'BAD_REQUEST', message: 'op is subscribe, unsubscribe or ping' };
  const known = token === undefined ? undefined : market.auth.principalOf(token);
  if (token !== undefined && known === undefined) {
    return { code: 'UNAUTHORIZED', message: 'the token is not good any more' };
  }
  for (const topic of topics) {
    const problem = await topicProblem(market, known?.principal, topic);
    if (problem !== undefined) return problem;
  }
  const taken = market.feed.subscribe(end, {
    topics,
    // Who is nobody sees what is nobody's.
    owner:
      known === undefined
        ? ''
        : known.principal.kind === 'operator'
          ? undefined
          : known.principal.owner,
    since: since === undefined ? undefined : Number(since),
  });
  if (!taken)
    return { code: 'TOO_LARGE', message: `a socket follows ${TOPICS_MAX} topics at most` };
  await end.push(
    JSON.stringify({ event: 'subscribed', seq: market.feed.lastSeq, data: { topics } }),
  );
  return undefined;
}

async function topicProblem(
  market: Market,
  principal: Principal | undefined,
  topic: string,
): Promise<{ readonly code: string; readonly message: string } | undefined> {
  const [kind = '', id = ''] = topic.slice(0, TOPIC_CHARS_MAX).split(':');
  if (topic === 'network' || kind === 'node') return undefined;
  if (topic !== 'jobs' && kind !== 'job') {
    return { code: 'BAD_REQUEST', message: 'topics are jobs, job:<id>, node:<id> and network' };
  }
  if (principal === undefined) return { code: 'UNAUTHORIZED', message: `${topic} needs a token` };
  if (topic === 'jobs') return undefined;
  try {
    await ownJob(market, principal, id);
    return undefined;
  } catch {
    return { code: 'NOT_FOUND', message: `there is no job ${id}` };
  }
}
