// The site's configuration, written by the server beside the page.

export interface SiteConfig {
  readonly title: string;
  readonly channelId: string;
  readonly playbackUrl: string;
  readonly interactUrl: string;
}

const NEEDED = ["title", "channelId", "playbackUrl", "interactUrl"] as const;

/** Throws a sentence that says what is missing. */
export function parseConfig(value: unknown, page: URL): SiteConfig {
  const found = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  for (const name of NEEDED) {
    if (typeof found[name] !== "string") throw new Error(`config.json has no text "${name}"`);
  }
  const { title, channelId, playbackUrl, interactUrl } = found as Record<(typeof NEEDED)[number], string>;
  return { title, channelId, playbackUrl: reachable(playbackUrl, page), interactUrl: reachable(interactUrl, page).replace(/\/+$/, "") };
}

/**
 * The configuration names `localhost` until the server was given a domain. A viewer who came by another name or address is on
 * another machine, where `localhost` can only be wrong; the address that brought the page brings the stream.
 */
export function reachable(address: string, page: URL): string {
  const url = new URL(address, page);
  if (loopback(url.hostname) && !loopback(page.hostname)) url.host = page.host;
  return url.href;
}

function loopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
