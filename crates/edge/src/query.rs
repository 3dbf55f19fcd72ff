//! Delivery directives in a playlist's query. Source: rfc8216bis, "Playlist Delivery Directives".

use headwater_hls::Delta;

/// Bytes of a query that are read. The directives of a client have fewer than 60; more is not from a player.
const QUERY_BYTES_MAX: usize = 2048;

/// What a client asks of a media playlist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// Wait for this, if anything.
    pub wait_for: Option<WaitFor>,
    /// Whether segments may be left out.
    pub delta: Delta,
}

/// `_HLS_msn` with or without `_HLS_part`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFor {
    /// A media sequence number.
    pub msn: u64,
    /// A part of that segment; `None` is the whole segment.
    pub part: Option<usize>,
}

/// Why directives are none: each is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than a client's directives ever are.
    #[error("the query is too long")]
    TooLong,
    /// A directive that wants a number.
    #[error("{name} is not a decimal number")]
    Number {
        /// The directive.
        name: &'static str,
    },
    /// A directive more than once.
    #[error("{name} is given twice")]
    Twice {
        /// The directive.
        name: &'static str,
    },
    /// A part of no segment.
    #[error("_HLS_part without _HLS_msn")]
    PartAlone,
    /// A value that the specification does not have.
    #[error("_HLS_skip is neither YES nor v2")]
    Skip,
}

/// Whether a viewer of the multivariant playlist wants the rendition without pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundAlone {
    /// It does.
    Asked,
    /// It says nothing of it.
    NotAsked,
}

/// Reads `allow_audio_only=true` from the query of the multivariant playlist, as Amazon IVS has it.
pub fn sound_alone(query: &str) -> SoundAlone {
    let head = query.get(..2 * QUERY_BYTES_MAX).unwrap_or(query);
    let asked =
        form_urlencoded::parse(head.as_bytes()).any(|(name, value)| name == "allow_audio_only" && value == "true");
    if asked { SoundAlone::Asked } else { SoundAlone::NotAsked }
}

/// Reads the playback token from the query of the multivariant playlist. A token is at most 2 KB, and a query may hold more beside it.
pub(crate) fn token(query: &str) -> Option<String> {
    let head = query.get(..2 * QUERY_BYTES_MAX).unwrap_or(query);
    form_urlencoded::parse(head.as_bytes()).find(|(name, _)| name == "token").map(|(_, token)| token.into_owned())
}

/// Reads the viewer session from the query of the multivariant playlist: a player that has one goes on with it. Its characters need no
/// decoding.
pub(crate) fn viewer_session(query: &str) -> Option<&str> {
    let head = query.get(..2 * QUERY_BYTES_MAX).unwrap_or(query);
    head.split('&').find_map(|pair| pair.strip_prefix("session=")).filter(|name| !name.is_empty())
}

impl Directives {
    /// Reads the query. Parameters of others are ignored. A second `?` separates as `&` does: clients that put directives behind an
    /// address without looking find a query there already, the viewer's name.
    ///
    /// # Errors
    /// [`Error`]: a directive that the specification does not allow.
    pub fn parse(query: &str) -> Result<Self, Error> {
        const MSN: &str = "_HLS_msn";
        const PART: &str = "_HLS_part";
        const SKIP: &str = "_HLS_skip";
        if query.len() > QUERY_BYTES_MAX {
            return Err(Error::TooLong);
        }
        let (mut msn, mut part, mut skip) = (None, None, None);
        for (name, value) in query.split('?').flat_map(|some| form_urlencoded::parse(some.as_bytes())) {
            match &*name {
                MSN => once(&mut msn, MSN, number(MSN, &value)?)?,
                PART => once(&mut part, PART, number(PART, &value)?)?,
                SKIP if matches!(&*value, "YES" | "v2") => once(&mut skip, SKIP, Delta::Skip)?,
                SKIP => return Err(Error::Skip),
                _ => {}
            }
        }
        let part = part.map(|part| usize::try_from(part).map_err(|_| Error::Number { name: PART })).transpose()?;
        let wait_for = match (msn, part) {
            (Some(msn), part) => Some(WaitFor { msn, part }),
            (None, Some(_)) => return Err(Error::PartAlone),
            (None, None) => None,
        };
        Ok(Directives { wait_for, delta: skip.unwrap_or_default() })
    }
}

fn once<T>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), Error> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::Twice { name }),
    }
}

/// A decimal-integer: digits only, within 64 bits.
fn number(name: &'static str, value: &str) -> Result<u64, Error> {
    if value.bytes().all(|byte| byte.is_ascii_digit()) { value.parse().ok() } else { None }
        .ok_or(Error::Number { name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(msn: u64, part: Option<usize>, delta: Delta) -> Result<Directives, Error> {
        Ok(Directives { wait_for: Some(WaitFor { msn, part }), delta })
    }

    #[test]
    fn directives_are_read_in_any_order_and_company() {
        assert_eq!(Directives::parse(""), Ok(Directives::default()));
        assert_eq!(Directives::parse("_HLS_msn=7"), waiting(7, None, Delta::Full));
        assert_eq!(Directives::parse("a=b&_HLS_part=0&_HLS_msn=7&&x"), waiting(7, Some(0), Delta::Full));
        assert_eq!(Directives::parse("_HLS_skip=YES&_HLS_msn=7&_HLS_part=3"), waiting(7, Some(3), Delta::Skip));
        assert_eq!(Directives::parse("v=name?_HLS_msn=7&_HLS_part=1"), waiting(7, Some(1), Delta::Full));
        assert_eq!(Directives::parse("_HLS_skip=v2"), Ok(Directives { wait_for: None, delta: Delta::Skip }));
    }

    #[test]
    fn what_is_no_directive_is_an_error() {
        for (query, error) in [
            ("_HLS_part=1", Error::PartAlone),
            ("_HLS_msn=", Error::Number { name: "_HLS_msn" }),
            ("_HLS_msn=-1", Error::Number { name: "_HLS_msn" }),
            ("_HLS_msn=%2B1", Error::Number { name: "_HLS_msn" }),
            ("_HLS_msn=1.5", Error::Number { name: "_HLS_msn" }),
            ("_HLS_msn=18446744073709551616", Error::Number { name: "_HLS_msn" }),
            ("_HLS_msn=1&_HLS_part=x", Error::Number { name: "_HLS_part" }),
            ("_HLS_msn=1&_HLS_msn=1", Error::Twice { name: "_HLS_msn" }),
            ("_HLS_skip=yes", Error::Skip),
        ] {
            assert_eq!(Directives::parse(query), Err(error), "{query}");
        }
        assert_eq!(Directives::parse(&"a".repeat(QUERY_BYTES_MAX + 1)), Err(Error::TooLong));
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "\\PC*") {
            let _ = Directives::parse(&query);
        }

        #[test]
        fn near_misses_do_not_panic_and_numbers_survive(
            names in prop::collection::vec((prop::sample::select(vec!["_HLS_msn", "_HLS_part", "_HLS_skip", "_HLS_", "x"]), "[0-9YESv2%+&=-]{0,24}"), 0..6),
            msn in any::<u64>(),
            part in any::<u32>(),
        ) {
            let query: Vec<_> = names.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let _ = Directives::parse(&query.join("&"));
            let query = format!("_HLS_msn={msn}&_HLS_part={part}");
            prop_assert_eq!(Directives::parse(&query), waiting(msn, Some(part as usize), Delta::Full));
        }
    }
}
