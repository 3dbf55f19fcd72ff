// The viewer session: named by the server in the addresses of the variants. A player that names it when it asks again goes on as the same
// viewer, and spends no further use of a token.

/** Of a private or restricted channel the session stands in the path, of an open one in the query. */
const GUARDED = /^\/media\/v\/([^/]+)\//;
const OPEN = "v";
/** Of the playback URL. */
const SESSION = "session";
/** What stands before a rendition's name is the stream's. */
const PLAYLIST = /^(\/media\/(?:v\/[^/]+\/)?[^/]+)\/[^/]+\/media\.m3u8$/;

/** Undefined if the addresses are not of a server that names viewers. */
export function viewerOf(addresses: readonly string[]): string | undefined {
  for (const address of addresses) {
    const url = new URL(address);
    const viewer = GUARDED.exec(url.pathname)?.[1] ?? url.searchParams.get(OPEN);
    if (viewer) return viewer;
  }
  return undefined;
}

/** The playback URL, asking to go on as this viewer. */
export function withViewer(url: string, viewer: string | undefined): string {
  if (viewer === undefined) return url;
  const asked = new URL(url);
  asked.searchParams.set(SESSION, viewer);
  return asked.href;
}

/** Where the viewer of these variants tells how playback fares; undefined if they are not named as this server names them. */
export function beaconAddress(addresses: readonly string[]): string | undefined {
  if (addresses[0] === undefined) return undefined;
  const url = new URL(addresses[0]);
  const stream = PLAYLIST.exec(url.pathname)?.[1];
  if (stream === undefined) return undefined;
  const viewer = url.searchParams.get(OPEN);
  const query = viewer ? `?${OPEN}=${encodeURIComponent(viewer)}` : "";
  return `${url.origin}${stream}/beacon${query}`;
}
