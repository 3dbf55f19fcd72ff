//! Doors for fuzzing: what this crate reads of viewers and no other crate needs, by plain types.

use crate::admission::{PlaybackKey, verify};
use crate::cmcd::Told;
use crate::range::{Range, Wanted};
use crate::resource::Resource;
use headwater_model::Timestamp;
use headwater_model::playback::{Claims, Refusal};
use http::HeaderMap;

/// What a player tells in a query or in headers, and in a beacon: whether there is something to measure, and its latency by a clock.
pub fn told(query: &str, headers: &HeaderMap, beacon: &str, now: Timestamp) -> [(bool, Option<u32>); 2] {
    [Told::by_request(query, headers), Told::parse(beacon)].map(|told| {
        let told = told.arrived_at(now);
        (told.measures(), told.latency_ms)
    })
}

/// The bytes of a file of that length that a request wants: from the first to before the second. `None` if it wants what is not there.
pub fn wanted(headers: &HeaderMap, length: u64) -> Option<(u64, u64)> {
    match Range::read(headers).of(length) {
        Wanted::All => Some((0, length)),
        Wanted::Part { start, end } => Some((start, end)),
        Wanted::Unsatisfiable => None,
    }
}

/// Whether a file of a rendition may have that name.
pub fn is_resource(file: &str) -> bool {
    Resource::parse(file).is_some()
}

/// The claims of a token, by a key that has signed none.
///
/// # Errors
/// Always: it is refused.
pub fn token(token: &str) -> Result<Claims, Refusal> {
    // The base point of the curve (SEC 2, "secp384r1"): a key that everybody could sign with, and that nobody uses.
    const X: &str = "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7";
    const Y: &str = "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f";
    let digits = format!("04{X}{Y}");
    let point = (0..digits.len()).step_by(2).filter_map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok());
    verify(token, &[PlaybackKey(point.collect())])
}
