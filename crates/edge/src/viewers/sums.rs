//! What a stream's viewers are together.

use super::seen::Figures;
use headwater_live::{Audience, Troubles};
use std::collections::{BTreeMap, VecDeque};

/// The country of an address that is in none, as IVS names it.
const UNKNOWN: &str = "UNKNOWN";
/// Publications in a minute.
const PUBLICATIONS_A_MINUTE: usize = 12;

/// The troubles of a stream's last minute, by publication.
#[derive(Default)]
pub(super) struct Minute(VecDeque<Troubles>);

impl Minute {
    /// Adds what came since the last publication; the sum of the minute that ends with it.
    pub(super) fn add(&mut self, troubles: Troubles) -> Troubles {
        if self.0.len() == PUBLICATIONS_A_MINUTE {
            self.0.pop_front();
        }
        self.0.push_back(troubles);
        self.0.iter().fold(Troubles::default(), |sum, one| sum.and(*one))
    }
}

/// Sums viewers up. `names` has each rendition with its number.
pub(super) fn audience(viewers: &[Figures], names: &[(u64, String)], last_minute: Troubles) -> Audience {
    let sorted = |of: fn(&Figures) -> Option<u32>| {
        let mut values: Vec<u32> = viewers.iter().filter_map(of).collect();
        values.sort_unstable();
        values
    };
    let latencies = sorted(|figures| figures.latency_ms);
    let startups = sorted(|figures| figures.startup_ms);
    let bitrates = sorted(|figures| figures.bitrate_kbps);
    let count = |is: &dyn Fn(&Figures) -> bool| viewers.iter().filter(|figures| is(figures)).count() as u64;
    let watching = |number| count(&|figures| figures.rendition == Some(number));
    let renditions = names.iter().map(|(number, name)| (name.clone(), watching(*number)));
    let mut renditions: Vec<(String, u64)> = renditions.filter(|(_, viewers)| *viewers > 0).collect();
    renditions.sort_by(|(one, many), (other, more)| more.cmp(many).then(one.cmp(other)));
    let mut countries = BTreeMap::new();
    for figures in viewers {
        *countries.entry(figures.country).or_insert(0_u64) += 1;
    }
    let named = |code: Option<[u8; 2]>| code.map_or(UNKNOWN.into(), |code| String::from_utf8_lossy(&code).into_owned());
    let mut countries: Vec<(String, u64)> =
        countries.into_iter().map(|(code, viewers)| (named(code), viewers)).collect();
    countries.sort_by(|(one, many), (other, more)| more.cmp(many).then(one.cmp(other)));
    Audience {
        viewers: viewers.len() as u64,
        measured: count(&|figures| figures.measured),
        stalled: count(&|figures| figures.stalled),
        latency_p50_ms: percentile(&latencies, 50),
        latency_p95_ms: percentile(&latencies, 95),
        startup_p50_ms: percentile(&startups, 50),
        startup_p95_ms: percentile(&startups, 95),
        bitrate_p50_bps: percentile(&bitrates, 50).map(|kbps| u64::from(kbps) * 1000),
        last_minute,
        countries,
        renditions,
    }
}

/// The value that so many of a hundred do not exceed ("nearest rank").
fn percentile(sorted: &[u32], hundredths: usize) -> Option<u32> {
    let rank = (sorted.len() * hundredths).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_told() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[7], 95), Some(7));
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 95)), (Some(50), Some(95)));
    }

    #[test]
    fn those_that_tell_nothing_are_counted_and_not_measured() {
        let told = Figures { measured: true, rendition: Some(1), ..Figures::default() };
        let viewers = [
            Figures {
                country: Some(*b"DE"),
                latency_ms: Some(1500),
                bitrate_kbps: Some(3000),
                startup_ms: Some(700),
                ..told
            },
            Figures { latency_ms: Some(2500), stalled: true, ..told },
            Figures { rendition: Some(2), ..Figures::default() },
            Figures { rendition: Some(9), ..Figures::default() },
        ];
        let names = [(2, "480p30".to_owned()), (1, "source".to_owned()), (3, "160p30".to_owned())];
        let expected = Audience {
            viewers: 4,
            measured: 2,
            stalled: 1,
            latency_p50_ms: Some(1500),
            latency_p95_ms: Some(2500),
            startup_p50_ms: Some(700),
            startup_p95_ms: Some(700),
            bitrate_p50_bps: Some(3_000_000),
            last_minute: Troubles::default(),
            countries: vec![("UNKNOWN".into(), 3), ("DE".into(), 1)],
            renditions: vec![("source".into(), 2), ("480p30".into(), 1)],
        };
        assert_eq!(audience(&viewers, &names, Troubles::default()), expected);
    }

    #[test]
    fn a_minute_forgets_what_is_older() {
        let mut minute = Minute::default();
        let one = Troubles { stalls: 1, stalled_ms: 100, dropped_frames: 0 };
        let twelve = (0..PUBLICATIONS_A_MINUTE).map(|_| minute.add(one)).last().unwrap_or_default();
        assert_eq!(twelve.stalls, 12);
        assert_eq!(minute.add(Troubles::default()).stalls, 11);
    }
}
