/** The tile's picture. */
export const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">' +
  '<rect x="4" y="4" width="56" height="56" rx="14" fill="#8a4b12"/>' +
  '<g fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round" stroke-linejoin="round">' +
  '<rect x="20" y="20" width="24" height="24" rx="5"/>' +
  '<path d="M28 12v8M36 12v8M28 44v8M36 44v8M12 28h8M12 36h8M44 28h8M44 36h8" opacity=".65"/>' +
  '<path d="M27 33l4 4 7-9"/></g></svg>';
