// Asks the playback URL what is being broadcast, without disturbing playback.

export interface Probe {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Names the broadcast by its variants' paths: they hold the stream session's epoch. Empty unless the status is 200. */
  readonly session: string;
  /** The variants' addresses: they name the viewer too. */
  readonly addresses: readonly string[];
}

/** No answer for this long counts as none: the playlist is small and never held back by the server. */
const PROBE_TIMEOUT_MS = 8000;

export async function probe(url: string, credentials: RequestCredentials, fetchFrom: typeof fetch = fetch): Promise<Probe> {
  try {
    const answer = await fetchFrom(url, { cache: "no-store", credentials, signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    if (!answer.ok) {
      await answer.body?.cancel();
      return { status: answer.status, session: "", addresses: [] };
    }
    const addresses = variants(await answer.text(), answer.url || url);
    return { status: answer.status, session: sessionOf(addresses), addresses };
  } catch {
    return { status: 0, session: "", addresses: [] };
  }
}

/** Absolute addresses of the variants, in the playlist's order; of a media playlist, its own. */
export function variants(playlist: string, url: string): string[] {
  const lines = playlist.split(/\r?\n/);
  const found: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (!line.startsWith("#EXT-X-STREAM-INF")) continue;
    const address = lines.slice(index + 1).find((next) => next !== "" && !next.startsWith("#"));
    if (address !== undefined) found.push(new URL(address, url).href);
  }
  return found.length > 0 ? found : [url];
}

/** What names the viewer in a private channel's paths, anew with each multivariant playlist. */
const VIEWER = /^\/media\/v\/[^/]+\//;

/** Order, host, query and the viewer do not matter: they change with the ladder, a CDN, a token or each asking. */
export function sessionOf(addresses: readonly string[]): string {
  return addresses
    .map((address) => new URL(address).pathname.replace(VIEWER, "/media/"))
    .sort()
    .join(" ");
}
