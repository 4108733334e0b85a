export function join(room: string, show: (text: string) => void): (text: string) => void {
  const url = new URL(`rooms/${encodeURIComponent(room)}`, document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  let socket: WebSocket;
  const connect = (): void => {
    socket = new WebSocket(url);
    socket.addEventListener('message', ({ data }) => show(String(data)));
    socket.addEventListener('close', () => setTimeout(connect, 1_000));
  };
  connect();
  return (text) => socket.send(JSON.stringify({ text }));
}
