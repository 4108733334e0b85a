// The page's script. Paths are relative to the process's own root.
const count = document.querySelector('#count');

interface Visits {
  readonly count: number;
}

function show(visits: Visits): void {
  if (count !== null) count.textContent = String(visits.count);
}

async function ask(method: 'GET' | 'POST'): Promise<void> {
  const response = await fetch('visits', { method });
  show((await response.json()) as Visits);
}

/** Stays connected; after a break the number is asked for anew. */
function connect(): void {
  const url = new URL('live', document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  const socket = new WebSocket(url);
  socket.addEventListener('open', () => void ask('GET'));
  socket.addEventListener('message', ({ data }) => show(JSON.parse(String(data)) as Visits));
  socket.addEventListener('close', () => setTimeout(connect, 1_000));
}

document.querySelector('#visit')?.addEventListener('click', () => void ask('POST'));
connect();
