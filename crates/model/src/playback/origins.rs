//! Lists of origins that may play.

use super::Refusal;

/// Which pages may play: all, or those of a list. `https://a.example`, `https://*.a.example`; `*` is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Reads a list with commas between. Empty is all.
    pub fn parse(text: &str) -> Self {
        Origins::from_list(text.split(','))
    }

    /// From entries, of which empty ones are left out; none is all.
    pub fn from_list(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let entries = entries.into_iter().map(|entry| normal(entry.as_ref()));
        Origins(entries.filter(|entry| !entry.is_empty()).collect())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries, so that all pages may play.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, in the form that they are compared in.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether a page of this origin may play.
    pub fn allow(&self, origin: &str) -> bool {
        let origin = normal(origin);
        self.0.is_empty() || self.0.iter().any(|entry| entry == "*" || *entry == origin || is_below(&origin, entry))
    }

    /// Whether a request with this header `Origin` is from a page that may play.
    ///
    /// # Errors
    /// [`Refusal::Origin`]; also without the header, which browsers always send across origins.
    pub fn admit(&self, origin: Option<&str>) -> Result<(), Refusal> {
        if origin.is_some_and(|origin| self.allow(origin)) { Ok(()) } else { Err(Refusal::Origin) }
    }
}

/// Lowercase, without the scheme's own port.
fn normal(origin: &str) -> String {
    let origin = origin.trim().to_ascii_lowercase();
    for (scheme, port) in [("https://", ":443"), ("http://", ":80")] {
        if let Some(bare) = origin.strip_suffix(port)
            && bare.starts_with(scheme)
        {
            return bare.to_owned();
        }
    }
    origin
}

/// Whether an entry has `*.` in front of a domain that the origin's host is below.
fn is_below(origin: &str, entry: &str) -> bool {
    let (Some((scheme, domain)), Some((origin_scheme, host))) = (entry.split_once("://*."), origin.split_once("://"))
    else {
        return false;
    };
    // The dot is part of what must match, so `https://evil-a.example` is not below `a.example`.
    scheme == origin_scheme
        && !domain.is_empty()
        && host.len() > domain.len() + 1
        && host.ends_with(domain)
        && host.as_bytes()[host.len() - domain.len() - 1] == b'.'
}
