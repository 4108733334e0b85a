import { defineProcess, t } from 'hyperware';
import { folder } from 'hyperware/http-folder';
import { HttpServer, strictHeaders } from 'hyperware/http-server';

const said = t.record({ text: t.text });
const heard = t.union({ Said: t.record({ by: t.u32, text: t.text }), Present: t.u32 });

const http = new HttpServer();
http.files(folder('ui', { headers: strictHeaders }));

const room = http.sockets('/rooms/:room', {
  receives: said,
  sends: heard,
  onOpen: async () => {
    await room.broadcast({ kind: 'Present', value: room.channels.size });
  },
  onMessage: async (from, { text }) => {
    for (const channel of room.channels) {
      if (channel.params['room'] !== from.params['room']) continue;
      await channel.send({ kind: 'Said', value: { by: from.id, text } });
    }
  },
});

export default defineProcess({ http });
