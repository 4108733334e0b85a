import { defineProcess, t } from 'hyperware';
import { fetch, HttpClientError } from 'hyperware/http-client';
import { HttpError, HttpServer, reply } from 'hyperware/http-server';

const forecast = t.record({ degrees: t.f64 });

const http = new HttpServer();
http.get('/weather/:town', async ({ params, signal }, process) => {
  const url = `https://weather.example/${encodeURIComponent(params.town)}`;
  try {
    const response = await fetch(process, url, { timeoutS: 10, signal });
    if (!response.ok) throw new HttpError(502, `the forecast says ${response.status}`);
    return reply.coded(forecast, response.json(forecast));
  } catch (error) {
    if (!(error instanceof HttpClientError)) throw error;
    throw new HttpError(502, `no forecast: ${error.code}`);
  }
});

export default defineProcess({ http });
