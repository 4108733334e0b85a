/** The documents this process serves: its own page, and the widgets of apps, each behind a policy of its own. */
import { GUARDS, type WebAnswer } from './web.ts';

/**
 * Scripts and styles come from files of this node alone. Frames may lead anywhere: apps and widgets live on subdomains, which a policy
 * cannot name. Nobody may frame this page, or its buttons could be clicked unseen.
 */
export const PAGE_POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "frame-src 'self' http: https:",
  "base-uri 'none'",
  "object-src 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * A widget may run its own inline scripts and styles, with an origin of its own and without a network: it can neither act as the owner
 * nor send anything away. Not `srcdoc`, whose documents are bound by the policy of the page around them.
 */
export const WIDGET_POLICY = [
  'sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox',
  "default-src 'none'",
  "script-src 'unsafe-inline'",
  "style-src 'unsafe-inline' 'self'",
  "img-src 'self' data:",
  "frame-ancestors 'self'",
].join('; ');

/** The page of the homepage; every page of it is the same document. */
export function page(html: Uint8Array): WebAnswer {
  return document(html, PAGE_POLICY);
}

/** A widget that is HTML, as a document in the colours of the page around it. A whole document is served as it is. */
export function widgetPage(widget: string, theme: string | undefined): WebAnswer {
  if (/^\s*<(!doctype|html)[\s>]/i.test(widget)) return document(widget, WIDGET_POLICY);
  const chosen = theme === 'dark' || theme === 'light' ? ` data-theme="${theme}"` : '';
  const html =
    `<!doctype html><html${chosen}><head><meta charset="utf-8">` +
    `<link rel="stylesheet" href="/hyperware.css"><base target="_blank"></head>` +
    `<body class="hw-widget">${widget}</body></html>`;
  return document(html, WIDGET_POLICY);
}

/** What the page takes for HTML; anything else is an address (packages.md §14.3). */
export function isHtml(widget: string): boolean {
  return /^\s*</.test(widget);
}

function document(body: Uint8Array | string, policy: string): WebAnswer {
  const headers = {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': policy,
    'Cache-Control': 'no-cache',
    ...GUARDS,
  };
  return { status: 200, headers, body };
}

/** The time, in the widget that the homepage brings itself. */
export const CLOCK = `
<style>
  body { display: grid; place-content: center; text-align: center; min-height: calc(100vh - 2rem); }
  time { font-size: clamp(2rem, 17vw, 4rem); font-weight: 300; letter-spacing: -0.03em; line-height: 1; font-variant-numeric: tabular-nums; }
  p { margin: 0.6rem 0 0; color: var(--hw-text-muted, gray); }
</style>
<time id="time"></time>
<p id="date"></p>
<script>
  const time = document.getElementById('time');
  const date = document.getElementById('date');
  function tick() {
    const now = new Date();
    time.textContent = now.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    date.textContent = now.toLocaleDateString([], { weekday: 'long', day: 'numeric', month: 'long' });
    setTimeout(tick, 1000 - now.getMilliseconds());
  }
  tick();
</script>`;
