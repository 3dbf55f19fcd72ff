//! The files of a rendition, by name.

use headwater_hls::Position;

/// A file of a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// `media.m3u8`.
    Playlist,
    /// `init-{n}.mp4`.
    Init(u32),
    /// `s{msn}.m4s`.
    Segment(u64),
    /// `s{msn}.p{part}.m4s`.
    Part(Position),
}

impl Resource {
    /// Name of the media playlist.
    pub(crate) const PLAYLIST: &str = "media.m3u8";

    /// Reads a file name. Each file has one name, so that a cache holds it once.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        if file == Resource::PLAYLIST {
            return Some(Resource::Playlist);
        }
        if let Some(index) = file.strip_prefix("init-").and_then(|rest| rest.strip_suffix(".mp4")) {
            return Some(Resource::Init(u32::try_from(number(index)?).ok()?));
        }
        let name = file.strip_prefix('s')?.strip_suffix(".m4s")?;
        match name.split_once(".p") {
            None => Some(Resource::Segment(number(name)?)),
            Some((msn, part)) => {
                Some(Resource::Part(Position { msn: number(msn)?, part: usize::try_from(number(part)?).ok()? }))
            }
        }
    }
}

/// Digits without leading zeros.
fn number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_file_has_one_name() {
        assert_eq!(Resource::parse("media.m3u8"), Some(Resource::Playlist));
        assert_eq!(Resource::parse("init-0.mp4"), Some(Resource::Init(0)));
        assert_eq!(Resource::parse("s120.m4s"), Some(Resource::Segment(120)));
        assert_eq!(Resource::parse("s120.p9.m4s"), Some(Resource::Part(Position { msn: 120, part: 9 })));
        for other in [
            "",
            "s.m4s",
            "s01.m4s",
            "s+1.m4s",
            "s1.p.m4s",
            "s1.p01.m4s",
            "s1.m4s.m4s",
            "init-4294967296.mp4",
            "../s1.m4s",
            "S1.m4s",
        ] {
            assert_eq!(Resource::parse(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(name in "(s|init-)?[0-9]{0,22}(\\.p)?[0-9]{0,22}(\\.m4s|\\.mp4)?|\\PC*") {
            let _ = Resource::parse(&name);
        }
    }
}
