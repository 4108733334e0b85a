/**
 * Light or dark as chosen on the homepage, before anything is drawn. On the subdomain of a package it is as the system says: storage is
 * an origin's own.
 */
try {
  const chosen = localStorage.getItem('homepage-theme');
  if (chosen !== null) document.documentElement.dataset['theme'] = chosen;
} catch {
  // Storage is off in this browser.
}
