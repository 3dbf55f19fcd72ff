//! What players tell of themselves: Common Media Client Data in a query, in headers, or in the body of a beacon.
//!
//! Source: CTA-5004 (keys, forms) and its second version (`ltc`, `bsd`, `bsa`, `bsda`, `dfa`, `msd`). Read: those, `sid`, `br`, `bs`. The
//! rest is ignored, and so is what does not parse: a player's telemetry is never a reason to fail. What is told is believed only as far
//! as it can be true ([`crate::viewers`]).

use headwater_model::Timestamp;
use http::HeaderMap;
use std::borrow::Cow;

/// Bytes of a dictionary that are read; one with all keys of the first version has fewer than 600.
pub(crate) const BYTES_MAX: usize = 2048;
/// Characters of a session's id (CTA-5004: 64).
const SID_CHARACTERS_MAX: usize = 64;
/// The picture at the playhead by the server's clock at its arrival (EXT-X-PROGRAM-DATE-TIME), milliseconds of the Unix epoch. Not CMCD's;
/// names of others have a hyphen.
const PLAYHEAD: &str = "headwater-pdt";
/// Further behind than this is no live playback, or another clock's time.
const LATENCY_MS_MAX: i64 = 3_600_000;
/// Greatest number that is believed: a day in milliseconds. Clocks that are wrong tell more.
const NUMBER_MAX: u64 = 86_400_000;
const HEADERS: [&str; 4] = ["cmcd-session", "cmcd-status", "cmcd-object", "cmcd-request"];

/// What a request or beacon tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The playback session, as the player names it.
    pub(crate) sid: Option<String>,
    /// Bitrate of the media that is asked for or played, kilobits per second.
    pub(crate) bitrate_kbps: Option<u32>,
    /// From the encoder to the picture, milliseconds.
    pub(crate) latency_ms: Option<u32>,
    /// Whether playback stood still since the last time.
    pub(crate) stalled: bool,
    /// How long it stood still the last time, milliseconds.
    pub(crate) stalled_ms: Option<u32>,
    /// How often it stood still since playback began.
    pub(crate) stalls_in_all: Option<u32>,
    /// How long in all, milliseconds.
    pub(crate) stalled_in_all_ms: Option<u32>,
    /// Pictures that were decoded too late to be shown, since playback began.
    pub(crate) dropped_in_all: Option<u32>,
    /// The picture at the playhead, milliseconds of the Unix epoch by the server's clock.
    pub(crate) playhead_ms: Option<i64>,
    /// From the wish to play to the first picture, milliseconds.
    pub(crate) startup_ms: Option<u32>,
}

impl Told {
    /// Whether there is something to measure in it.
    pub(crate) fn measures(&self) -> bool {
        let numbers = [
            self.bitrate_kbps,
            self.latency_ms,
            self.stalls_in_all,
            self.stalled_in_all_ms,
            self.dropped_in_all,
            self.startup_ms,
        ];
        self.stalled || numbers.iter().any(Option::is_some)
    }

    /// Takes the latency from the server's clock alone if the player says which picture it shows: the player's clock may be wrong. The way of
    /// the beacon counts as latency.
    pub(crate) fn arrived_at(mut self, now: Timestamp) -> Self {
        let by_server = self.playhead_ms.map(|playhead| now.0.saturating_sub(playhead));
        let by_server = by_server.filter(|ms| (0..LATENCY_MS_MAX).contains(ms)).and_then(|ms| u32::try_from(ms).ok());
        self.latency_ms = by_server.or(self.latency_ms);
        self
    }

    /// From a request's query, else its headers.
    pub(crate) fn by_request(query: &str, headers: &HeaderMap) -> Self {
        let by_query = Told::by_query(query);
        if by_query == Told::default() { Told::by_headers(headers) } else { by_query }
    }

    /// From a request's query alone.
    pub(crate) fn by_query(query: &str) -> Self {
        if !query.contains("CMCD=") || query.len() > 2 * BYTES_MAX {
            return Told::default();
        }
        let dictionary = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "CMCD");
        dictionary.map(|(_, value)| Told::parse(&value)).unwrap_or_default()
    }

    fn by_headers(headers: &HeaderMap) -> Self {
        let mut told = Told::default();
        for name in HEADERS {
            if let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) {
                told.read(value);
            }
        }
        told
    }

    /// From a dictionary, such as `br=3200,bs,sid="6e2f"`.
    pub(crate) fn parse(dictionary: &str) -> Self {
        let mut told = Told::default();
        told.read(dictionary);
        told
    }

    fn read(&mut self, dictionary: &str) {
        let mut rest = dictionary.get(..BYTES_MAX).unwrap_or(dictionary);
        while !rest.is_empty() {
            let (member, after) = member(rest);
            rest = after;
            let (key, value) = member.split_once('=').unwrap_or((member, "?1"));
            match key.trim() {
                PLAYHEAD => self.playhead_ms = value.parse().ok().or(self.playhead_ms),
                "sid" => self.sid = text(value),
                "br" => self.bitrate_kbps = number(value).or(self.bitrate_kbps),
                "ltc" => self.latency_ms = number(value).or(self.latency_ms),
                "bs" => self.stalled |= value == "?1" || value == "true",
                "bsd" => {
                    self.stalled_ms = number(value).or(self.stalled_ms);
                    self.stalled |= self.stalled_ms.is_some_and(|ms| ms > 0);
                }
                "bsa" => self.stalls_in_all = number(value).or(self.stalls_in_all),
                "bsda" => self.stalled_in_all_ms = number(value).or(self.stalled_in_all_ms),
                "dfa" => self.dropped_in_all = number(value).or(self.dropped_in_all),
                "msd" => self.startup_ms = number(value).or(self.startup_ms),
                _ => {}
            }
        }
    }
}

/// The first member and what follows its comma; a comma within quotes is none.
fn member(text: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// A number; in the second version it may stand in a list with a parameter: `(3200;v)`.
fn number(value: &str) -> Option<u32> {
    let digits = value.trim().trim_start_matches('(');
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    let number: u64 = digits[..end].parse().ok()?;
    u32::try_from(number.min(NUMBER_MAX)).ok()
}

fn text(value: &str) -> Option<String> {
    let inner = value.trim().strip_prefix('"')?.strip_suffix('"')?;
    let plain: Cow<'_, str> = if inner.contains('\\') { inner.replace('\\', "").into() } else { inner.into() };
    let is_good = !plain.is_empty() && plain.chars().count() <= SID_CHARACTERS_MAX;
    is_good.then(|| plain.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_of_a_player_is_understood() {
        // As hls.js writes it for a part.
        let query = "_HLS_msn=3&CMCD=bl%3D1900%2Cbr%3D3200%2Cbs%2Ccid%3D%22a%2Cb%22%2Cd%3D200%2Cmtp%3D12000%2Cot%3Dav%2Csf%3Dh%2Csid%3D%226e2fb550-c457-11e9-bb97-0800200c9a66%22%2Cst%3Dl";
        let told = Told::by_query(query);
        assert_eq!(told.sid.as_deref(), Some("6e2fb550-c457-11e9-bb97-0800200c9a66"));
        assert_eq!((told.bitrate_kbps, told.latency_ms, told.stalled), (Some(3200), None, true));
        assert_eq!(Told::by_query("_HLS_msn=3"), Told::default());
    }

    #[test]
    fn headers_are_read_where_the_query_has_nothing() {
        let mut headers = HeaderMap::new();
        headers.insert("cmcd-object", "br=800,d=2000".parse().unwrap());
        headers.insert("cmcd-status", "bs,rtp=1".parse().unwrap());
        headers.insert("cmcd-session", "sid=\"x\"".parse().unwrap());
        let expected = Told { sid: Some("x".into()), bitrate_kbps: Some(800), stalled: true, ..Told::default() };
        assert_eq!(Told::by_request("a=b", &headers), expected);
    }

    #[test]
    fn the_second_version_s_keys_are_read() {
        let told = Told::parse("br=(3200;v 64;a),ltc=1850,bsd=240");
        assert_eq!((told.bitrate_kbps, told.latency_ms, told.stalled), (Some(3200), Some(1850), true));
        assert!(!Told::parse("bsd=0,bs=?0").stalled);
        let told = Told::parse("bsa=(3;v 1;a),bsda=4100,dfa=12,msd=640");
        assert_eq!((told.stalls_in_all, told.stalled_in_all_ms), (Some(3), Some(4100)));
        assert_eq!((told.dropped_in_all, told.startup_ms), (Some(12), Some(640)));
        assert!(told.measures());
    }

    #[test]
    fn the_latency_is_taken_by_the_server_s_clock_where_it_can_be() {
        let at = |dictionary: &str| Told::parse(dictionary).arrived_at(Timestamp(1_795_498_200_900)).latency_ms;
        assert_eq!(at("ltc=77000,headwater-pdt=1795498200000"), Some(900));
        assert_eq!(at("ltc=1500"), Some(1500));
        for wrong in ["1795498201000", "1", "-9223372036854775808", "x", "99999999999999999999"] {
            assert_eq!(at(&format!("headwater-pdt={wrong},ltc=1500")), Some(1500), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,120}", query in "(CMCD=)?.{0,120}") {
            let told = Told::parse(&text);
            prop_assert!(told.sid.is_none_or(|sid| sid.chars().count() <= SID_CHARACTERS_MAX));
            let _ = Told::by_query(&query);
        }
    }
}
