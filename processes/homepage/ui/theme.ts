/**
 * Runs before anything is drawn, so that a chosen theme does not flash up as the other one. It imports nothing, because it is fetched
 * as a plain script: a module would wait for the page. The name in the storage is that of app/theme.ts.
 */
try {
  const chosen = localStorage.getItem('homepage-theme');
  if (chosen !== null) document.documentElement.dataset['theme'] = chosen;
} catch {
  // Storage is off in this browser: it looks as the system says.
}
