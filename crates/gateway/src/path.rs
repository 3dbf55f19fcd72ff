//! Paths of requests, taken apart.

use percent_encoding::percent_decode_str;

/// The path's segments, decoded after splitting, so an encoded slash stays inside its segment. A segment that is not
/// UTF-8 makes `None`.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    path.trim_start_matches('/').split('/').map(decoded).collect()
}

/// A piece of a path, decoded; `None` if it is not UTF-8.
pub(crate) fn decoded(piece: &str) -> Option<String> {
    percent_decode_str(piece).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_slash_stays_in_its_segment() {
        let segments = segments("/tags/arn%3Aaws%3Aivs%3A%3A%3Achannel%2Fab").expect("UTF-8");
        assert_eq!(segments, ["tags", "arn:aws:ivs:::channel/ab"]);
        assert_eq!(super::segments("/%ff"), None);
    }
}
