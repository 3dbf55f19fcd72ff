//! The web assets, built by npm and embedded in the binary: the player script and the built-in viewer site.
//!
//! `build.rs` builds `web/` when its sources changed. Paths here are those below `web/dist`:
//! `player/v1/headwater-player.js`, `site/index.html`, `site/assets/…`.

/// Where the player script stands, both here and below the web listener's root.
pub const PLAYER_PATH: &str = "player/v1/headwater-player.js";

/// Path, entity tag and content of each built file, ordered by path.
static FILES: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// One embedded file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asset {
    /// The content.
    pub bytes: &'static [u8],
    /// For the `Content-Type` header.
    pub content_type: &'static str,
    /// For the `ETag` header: strong, with its quotes.
    pub etag: &'static str,
    /// The path holds a digest of the content: it may be cached for good.
    pub immutable: bool,
}

impl Asset {
    /// For the `Cache-Control` header.
    #[must_use]
    pub fn cache_control(&self) -> &'static str {
        if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" }
    }
}

/// The file at a path below `web/dist`, without a leading slash.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    let index = FILES.binary_search_by(|(name, ..)| (*name).cmp(path)).ok()?;
    let (name, etag, bytes) = FILES[index];
    Some(Asset { bytes, content_type: content_type(name), etag, immutable: name.starts_with("site/assets/") })
}

/// The built-in site's file at a URL path: `/` is its page.
#[must_use]
pub fn site(url_path: &str) -> Option<Asset> {
    let path = url_path.trim_start_matches('/');
    asset(&format!("site/{}", if path.is_empty() { "index.html" } else { path }))
}

/// The content security policy of the built-in site's page: its own scripts and styles, media and answers from `web`
/// (an origin such as `http://localhost:8080`), nothing else.
#[must_use]
pub fn site_csp(web: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         media-src 'self' blob: {web}; connect-src 'self' {web}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'self'"
    )
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may end by a panic")]
mod tests {
    use super::*;

    #[test]
    fn player_script_is_embedded_and_sets_both_names() {
        let script = asset(PLAYER_PATH).unwrap();
        assert_eq!(script.content_type, "text/javascript; charset=utf-8");
        assert_eq!(script.cache_control(), "no-cache");
        let text = std::str::from_utf8(script.bytes).unwrap();
        assert!(text.contains("window.HeadwaterPlayer") && text.contains("window.IVSPlayer"));
    }

    #[test]
    fn page_names_only_files_that_are_embedded_and_runs_no_inline_script() {
        let page = site("/").unwrap();
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        assert_eq!(site("/index.html"), Some(page));
        let text = std::str::from_utf8(page.bytes).unwrap();
        let mut named = 0;
        for attribute in ["src=\"./", "href=\"./"] {
            for part in text.split(attribute).skip(1) {
                let path = part.split('"').next().unwrap();
                if path == "config.json" {
                    continue;
                }
                let file = site(path).unwrap_or_else(|| panic!("{path} is named by the page and not embedded"));
                assert!(!file.bytes.is_empty());
                named += 1;
            }
        }
        assert!(named >= 2, "a script and a style");
        assert!(!text.split("<script").skip(1).any(|tag| !tag.split('>').next().unwrap().contains("src=")));
        assert!(!text.contains("style=\"") && !text.contains("<style"));
    }

    #[test]
    fn hashed_files_may_be_cached_for_good() {
        let (hashed, ..) = FILES.iter().find(|(name, ..)| name.starts_with("site/assets/")).unwrap();
        assert!(asset(hashed).unwrap().immutable);
    }

    /// Raised in the change that needs it, with the reason. hls.js is 590 KB of each.
    #[test]
    fn scripts_stay_within_their_budget() {
        for (name, _, bytes) in FILES.iter().filter(|(name, ..)| name.ends_with(".js")) {
            assert!(bytes.len() < 650_000, "{name}: {} bytes", bytes.len());
        }
    }

    #[test]
    fn paths_outside_are_unknown() {
        for path in [
            "",
            "site",
            "site/",
            "/player/v1/headwater-player.js",
            "../Cargo.toml",
            "site/../player/v1/headwater-player.js",
        ] {
            assert_eq!(asset(path), None, "{path}");
        }
        assert_eq!(site("/../player/v1/headwater-player.js"), None);
    }

    #[test]
    fn entity_tags_are_strong_and_of_the_content() {
        for (name, etag, bytes) in FILES {
            assert!(etag.len() == 34 && etag.starts_with('"') && etag.ends_with('"'), "{name}");
            let twin = FILES.iter().find(|(_, other, content)| other == etag && content != bytes);
            assert!(twin.is_none(), "{name}");
        }
    }
}
