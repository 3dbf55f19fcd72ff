//! Sizes, frame rates and bit rates of a client's video tracks.
//!
//! The best track is the client's own picture, as large as channel, bandwidth and processor allow; below it stand rungs of usual sizes.
//! Where a whole ladder does not fit, its bit rates shrink by up to a quarter, then the best track becomes smaller. Fewer tracks are
//! made only if the client asks for fewer, or if no two fit.

use headwater_model::ivs::{MaximumResolution, TRACKS_CONFIGURED_MAX};

/// Shorter sides of the usual rungs, with kilobits per second at up to 30 pictures a second and above. IVS publishes the ends: 6 Mb/s
/// for 1080p60 and 200 kb/s for 160p, 10.2 Mb/s for five rungs and 1.5 Mb/s for 480p with 360p; what lies between makes these sums.
const RUNGS: [(u32, u32, u32); 5] =
    [(1_080, 4_500, 6_000), (720, 2_000, 2_500), (480, 1_000, 1_300), (360, 500, 650), (160, 200, 260)];
/// Longest sides by the channel's largest picture. Source: IVS "Service Quotas", "Ingest resolution (multitrack)".
const SD: (u32, u32) = (480, 864);
const HD: (u32, u32) = (720, 1_280);
const FULL_HD: (u32, u32) = (1_080, 1_920);
/// A rung this near below the best track, in percent of its shorter side, would be the same again.
const NEAR_PERCENT: u32 = 85;
/// Rungs of this size and smaller have half the pictures of a best track with more than 30.
const HALVED_FROM: u32 = 480;
/// Fewest percent of a rung's bit rate that it is made of.
const SHRUNK_PERCENT_MIN: u64 = 75;
/// Pixels a second that a thread of a processor encodes beside everything else that it does: half of what x264's `veryfast` does on a
/// slow one.
const PIXELS_PER_CORE: u64 = 25_000_000;
/// Threads of a processor that is not told.
const CORES_GUESSED: u32 = 4;
/// Pictures a second that are taken.
const RATE_MAX: u32 = 60;
/// Pixels along an edge that are believed.
const EDGE_MAX: u32 = 16_384;
/// Hardware encoders take no less along an edge.
const EDGE_MIN: u32 = 146;
/// Parts of a frame rate that are believed: with both below it, no product here overflows.
const RATE_PART_MAX: u32 = 1_000_000;

/// Pictures a second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    /// Above the line.
    pub numerator: u32,
    /// Below it.
    pub denominator: u32,
}

impl FrameRate {
    /// Pictures in 1000 seconds.
    pub fn millis(self) -> u32 {
        let millis = u64::from(self.numerator) * 1_000 / u64::from(self.denominator.max(1));
        u32::try_from(millis).unwrap_or(u32::MAX)
    }

    fn is_above(self, rate: u32) -> bool {
        u64::from(self.numerator) > u64::from(self.denominator) * u64::from(rate)
    }

    /// Every n-th picture.
    fn every(self, n: u32) -> FrameRate {
        let whole = self.numerator.is_multiple_of(n);
        match whole {
            true => FrameRate { numerator: self.numerator / n, ..self },
            false => FrameRate { denominator: self.denominator * n, ..self },
        }
    }
}

/// What a client's user wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preferences {
    /// Pixels of the picture to be sent, width and height.
    pub size: Option<(u32, u32)>,
    /// Pictures a second.
    pub frame_rate: Option<FrameRate>,
    /// Most video tracks.
    pub tracks_max: Option<u32>,
    /// Most kilobits per second, of everything together.
    pub bandwidth_kbps_max: Option<u64>,
    /// Largest picture.
    pub maximum_resolution: Option<MaximumResolution>,
}

/// A video track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pictures a second.
    pub frame_rate: FrameRate,
    /// Kilobits per second.
    pub kbps: u32,
}

impl Rung {
    fn pixels_per_second(&self) -> u64 {
        let FrameRate { numerator, denominator } = self.frame_rate;
        u64::from(self.width) * u64::from(self.height) * u64::from(numerator) / u64::from(denominator)
    }
}

/// Why no track suits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// No picture that could be encoded.
    #[error(
        "The size or the frame rate of your picture cannot be used. Set an output resolution between 256x146 and 1920x1080, and 24, 25, 30, 48, 50 or 60 frames per second."
    )]
    Picture,
    /// No room for the smallest track.
    #[error(
        "The maximum bandwidth of Enhanced Broadcasting is too small for any video. Set it to automatic, or to 1500 kbps or more."
    )]
    Bandwidth,
}

/// The tracks for a client, the best first: one to [`TRACKS_CONFIGURED_MAX`]. `software_cores` are the threads that encode, if
/// those do it (`Some(None)`: so many that nobody knows).
pub(super) fn choose(
    preferences: &Preferences,
    maximum: MaximumResolution,
    software_cores: Option<Option<u32>>,
    audio_kbps: u32,
) -> Result<Vec<Rung>, Declined> {
    let (size, rate) = picture(preferences)?;
    let limit = preferences.maximum_resolution.map_or(edges(maximum), |own| edges(own).min(edges(maximum)));
    let count =
        preferences.tracks_max.map_or(TRACKS_CONFIGURED_MAX, |max| max as usize).clamp(1, TRACKS_CONFIGURED_MAX);
    let room = preferences.bandwidth_kbps_max.map(|kbps| kbps.saturating_sub(audio_kbps.into()));
    let pixels = software_cores.map(|cores| PIXELS_PER_CORE * u64::from(cores.unwrap_or(CORES_GUESSED).max(1)));

    let best = fit(size, limit);
    if best.0.min(best.1) < EDGE_MIN {
        return Err(Declined::Picture);
    }
    let smaller = RUNGS.iter().map(|(short, ..)| scaled(size, *short)).filter(|rung| short(*rung) < short(best));
    let bests: Vec<(u32, u32)> = std::iter::once(best).chain(smaller).collect();
    let several = bests.iter().map(|best| thinned(&ladder(*best, rate), count)).filter(|rungs| rungs.len() > 1);
    let single = bests.iter().map(|best| ladder(*best, rate)[..1].to_vec());
    let mut candidates = several.chain(single);
    let affordable = |rungs: &Vec<Rung>| {
        pixels.is_none_or(|pixels| rungs.iter().map(Rung::pixels_per_second).sum::<u64>() <= pixels)
    };
    // The smallest single track is made on any processor.
    let last = candidates.clone().last();
    let found = candidates.by_ref().filter(affordable).find_map(|rungs| shrunk(rungs, room));
    found.or_else(|| last.and_then(|rungs| shrunk(rungs, room))).ok_or(Declined::Bandwidth)
}

/// The client's picture and its rate, taken down to one that is taken.
fn picture(preferences: &Preferences) -> Result<((u32, u32), FrameRate), Declined> {
    let (width, height) = preferences.size.ok_or(Declined::Picture)?;
    let rate = preferences.frame_rate.ok_or(Declined::Picture)?;
    let is_edge = |edge: u32| (EDGE_MIN..=EDGE_MAX).contains(&edge);
    let is_part = |part: u32| (1..=RATE_PART_MAX).contains(&part);
    if !is_edge(width)
        || !is_edge(height)
        || !is_part(rate.numerator)
        || !is_part(rate.denominator)
        || !rate.is_above(0)
    {
        return Err(Declined::Picture);
    }
    let divisor = (1..=8).find(|n| !rate.every(*n).is_above(RATE_MAX)).ok_or(Declined::Picture)?;
    Ok(((width, height), rate.every(divisor)))
}

fn edges(maximum: MaximumResolution) -> (u32, u32) {
    match maximum {
        MaximumResolution::Sd => SD,
        MaximumResolution::Hd => HD,
        MaximumResolution::FullHd => FULL_HD,
    }
}

fn short((width, height): (u32, u32)) -> u32 {
    width.min(height)
}

/// The picture, made smaller until its sides fit; never larger.
fn fit(size: (u32, u32), (short_max, long_max): (u32, u32)) -> (u32, u32) {
    let long = size.0.max(size.1);
    let by_long = u64::from(short(size)) * u64::from(long_max) / u64::from(long);
    let short_side = short(size).min(short_max).min(u32::try_from(by_long).unwrap_or(u32::MAX));
    if short_side == short(size) { (even(size.0.into(), 1), even(size.1.into(), 1)) } else { scaled(size, short_side) }
}

/// The picture with a shorter side of so many pixels.
fn scaled(size: (u32, u32), short_side: u32) -> (u32, u32) {
    let side = |side: u32| even(u64::from(side) * u64::from(short_side), short(size).into());
    (side(size.0), side(size.1))
}

/// The nearest even number below or at `numerator / denominator`, rounded: chroma has half the pixels.
fn even(numerator: u64, denominator: u64) -> u32 {
    u32::try_from((numerator + denominator / 2) / denominator).unwrap_or(u32::MAX) & !1
}

/// A best track and all rungs below it.
fn ladder(best: (u32, u32), rate: FrameRate) -> Vec<Rung> {
    let rung = |size: (u32, u32), frame_rate: FrameRate| Rung {
        width: size.0,
        height: size.1,
        frame_rate,
        kbps: kbps(size, frame_rate),
    };
    let halved = |short_side: u32| {
        // Keyframes of all tracks are at the same pictures only where an interval of two seconds is a whole number of them.
        let can = rate.is_above(30) && rate.denominator == 1;
        if can && short_side <= HALVED_FROM { rate.every(2) } else { rate }
    };
    let below = RUNGS.iter().filter(|(side, ..)| side * 100 <= short(best) * NEAR_PERCENT);
    let below = below.map(|(side, ..)| rung(scaled(best, *side), halved(*side)));
    std::iter::once(rung(best, rate)).chain(below).collect()
}

/// At most so many of a ladder's rungs: the best, and others spread below it. Of few, none is tiny.
fn thinned(rungs: &[Rung], count: usize) -> Vec<Rung> {
    if rungs.len() <= count {
        return rungs.to_vec();
    }
    let usable = if count < 4 {
        rungs.iter().filter(|rung| short((rung.width, rung.height)) > 160).count().max(1)
    } else {
        rungs.len()
    };
    let last = usable - 1;
    let mut chosen: Vec<usize> = (0..count).map(|at| if count == 1 { 0 } else { at * last / (count - 1) }).collect();
    chosen.dedup();
    chosen.into_iter().map(|at| rungs[at]).collect()
}

/// The rungs with bit rates that fit together; `None` if they would shrink too far.
fn shrunk(rungs: Vec<Rung>, room: Option<u64>) -> Option<Vec<Rung>> {
    let sum: u64 = rungs.iter().map(|rung| u64::from(rung.kbps)).sum();
    let Some(room) = room.filter(|room| *room < sum) else { return Some(rungs) };
    if room * 100 < sum * SHRUNK_PERCENT_MIN {
        return None;
    }
    let shrink = |kbps: u32| u32::try_from(u64::from(kbps) * room / sum).unwrap_or(kbps);
    Some(rungs.into_iter().map(|rung| Rung { kbps: shrink(rung.kbps), ..rung }).collect())
}

/// Kilobits per second for a picture of this size: those of the rungs, and between two rungs by its pixels.
fn kbps(size: (u32, u32), rate: FrameRate) -> u32 {
    let of = |(_, usual, fast): (u32, u32, u32)| if rate.is_above(30) { fast } else { usual };
    // As if it were 16:9, as the rungs are.
    let area = |side: u32| u64::from(side) * u64::from(side);
    let side = short(size);
    let mut above = RUNGS[0];
    if side >= above.0 {
        return of(above);
    }
    for rung in RUNGS {
        if side >= rung.0 {
            let (span, part) = (area(above.0) - area(rung.0), area(side) - area(rung.0));
            let more = u64::from(of(above) - of(rung)) * part / span;
            return of(rung) + u32::try_from(more).unwrap_or(0);
        }
        above = rung;
    }
    of(above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(numerator: u32, denominator: u32) -> FrameRate {
        FrameRate { numerator, denominator }
    }

    fn wants(width: u32, height: u32, fps: u32) -> Preferences {
        Preferences { size: Some((width, height)), frame_rate: Some(rate(fps, 1)), ..Preferences::default() }
    }

    /// `1920x1080@60 6000`.
    fn told(rungs: &[Rung]) -> Vec<String> {
        let tell = |rung: &Rung| {
            let FrameRate { numerator, denominator } = rung.frame_rate;
            let fps = if denominator == 1 { numerator.to_string() } else { format!("{numerator}/{denominator}") };
            format!("{}x{}@{fps} {}", rung.width, rung.height, rung.kbps)
        };
        rungs.iter().map(tell).collect()
    }

    fn hardware(preferences: &Preferences) -> Vec<String> {
        told(&choose(preferences, MaximumResolution::FullHd, None, 160).expect("tracks"))
    }

    fn total(rungs: &[Rung]) -> u32 {
        rungs.iter().map(|rung| rung.kbps).sum()
    }

    #[test]
    fn a_full_ladder_has_the_sums_that_ivs_publishes() {
        let rungs = choose(&wants(1_920, 1_080, 60), MaximumResolution::FullHd, None, 160).expect("tracks");
        assert_eq!(
            told(&rungs),
            ["1920x1080@60 6000", "1280x720@60 2500", "852x480@30 1000", "640x360@30 500", "284x160@30 200"]
        );
        assert_eq!(total(&rungs), 10_200);
        let least = Preferences { tracks_max: Some(2), ..wants(854, 480, 30) };
        assert_eq!(hardware(&least), ["854x480@30 1000", "640x360@30 500"]);
    }

    #[test]
    fn a_channel_and_a_user_may_ask_for_less() {
        let hd = choose(&wants(1_920, 1_080, 30), MaximumResolution::Hd, None, 160).expect("tracks");
        assert_eq!(told(&hd), ["1280x720@30 2000", "852x480@30 1000", "640x360@30 500", "284x160@30 200"]);
        let sd = choose(&wants(1_920, 1_080, 30), MaximumResolution::Sd, None, 160).expect("tracks");
        assert_eq!(told(&sd)[0], "852x480@30 1000");
        let own = Preferences { maximum_resolution: Some(MaximumResolution::Hd), ..wants(2_560, 1_440, 60) };
        assert_eq!(hardware(&own)[0], "1280x720@60 2500");
        let more = Preferences { maximum_resolution: Some(MaximumResolution::FullHd), ..wants(2_560, 1_440, 60) };
        assert_eq!(told(&choose(&more, MaximumResolution::Sd, None, 160).expect("tracks"))[0], "852x480@60 1300");
    }

    #[test]
    fn other_shapes_keep_theirs() {
        assert_eq!(hardware(&wants(1_080, 1_920, 30))[..2], ["1080x1920@30 4500", "720x1280@30 2000"]);
        // 4:3, and a size between the rungs.
        assert_eq!(hardware(&wants(1_440, 1_080, 30))[1], "960x720@30 2000");
        assert_eq!(
            hardware(&wants(1_600, 900, 30)),
            ["1600x900@30 3125", "1280x720@30 2000", "852x480@30 1000", "640x360@30 500", "284x160@30 200"]
        );
        // 540p has no 480p below it, 21:9 is bounded by its width.
        assert_eq!(hardware(&wants(960, 540, 30)).len(), 3);
        assert_eq!(hardware(&wants(2_560, 1_080, 30))[0].split('@').next(), Some("1920x810"));
    }

    #[test]
    fn fewer_tracks_are_spread() {
        let heights = |tracks: u32| {
            let preferences = Preferences { tracks_max: Some(tracks), ..wants(1_920, 1_080, 30) };
            choose(&preferences, MaximumResolution::FullHd, None, 160)
                .expect("tracks")
                .iter()
                .map(|rung| rung.height)
                .collect::<Vec<_>>()
        };
        assert_eq!(heights(0), [1_080]);
        assert_eq!(heights(1), [1_080]);
        assert_eq!(heights(2), [1_080, 360]);
        assert_eq!(heights(3), [1_080, 720, 360]);
        assert_eq!(heights(4), [1_080, 720, 480, 160]);
        assert_eq!(heights(5), [1_080, 720, 480, 360, 160]);
        assert_eq!(heights(99), [1_080, 720, 480, 360, 160]);
    }

    #[test]
    fn a_bandwidth_holds_for_everything_together() {
        let with = |kbps: u64| {
            let preferences = Preferences { bandwidth_kbps_max: Some(kbps), ..wants(1_920, 1_080, 60) };
            choose(&preferences, MaximumResolution::FullHd, None, 160)
        };
        for kbps in [400, 700, 1_000, 1_500, 3_000, 6_000, 8_000, 10_000, 12_000] {
            let rungs = with(kbps).expect("tracks");
            assert!(u64::from(total(&rungs)) + 160 <= kbps, "{kbps}: {:?}", told(&rungs));
        }
        assert_eq!(told(&with(12_000).expect("tracks")).len(), 5);
        // A quarter less is the same ladder, less than that a smaller one.
        assert_eq!(told(&with(8_000).expect("tracks"))[0], "1920x1080@60 4611");
        assert_eq!(told(&with(6_000).expect("tracks"))[0], "1280x720@60 2500");
        assert_eq!(told(&with(1_000).expect("tracks")), ["640x360@60 642", "284x160@30 197"]);
        // One track where there is no room for two.
        assert_eq!(told(&with(400).expect("tracks")), ["284x160@60 240"]);
        assert_eq!(with(300), Err(Declined::Bandwidth));
        assert_eq!(with(0), Err(Declined::Bandwidth));
    }

    #[test]
    fn a_processor_bears_what_it_can() {
        let on = |cores: Option<u32>| {
            told(&choose(&wants(1_920, 1_080, 60), MaximumResolution::FullHd, Some(cores), 160).expect("tracks"))[0]
                .clone()
        };
        assert_eq!(on(Some(16)), "1920x1080@60 6000");
        assert_eq!(on(None), on(Some(CORES_GUESSED)));
        assert_eq!(on(Some(4)), "1280x720@60 2500");
        assert_eq!(on(Some(2)), "852x480@60 1300");
        assert_eq!(on(Some(0)), on(Some(1)));
        let slow = choose(&wants(1_280, 720, 30), MaximumResolution::FullHd, Some(Some(2)), 160).expect("tracks");
        assert_eq!(slow.len(), 4, "{:?}", told(&slow));
    }

    #[test]
    fn keyframes_fall_together() {
        // NTSC's rates are not halved: two seconds are no whole number of pictures.
        let ntsc = Preferences { frame_rate: Some(rate(60_000, 1_001)), ..wants(1_280, 720, 60) };
        assert!(hardware(&ntsc).iter().all(|rung| rung.contains("@60000/1001 ")), "{:?}", hardware(&ntsc));
        assert_eq!(hardware(&wants(1_280, 720, 50))[1], "852x480@25 1000");
        // More than 60 are taken down to a part of them.
        assert_eq!(hardware(&wants(1_280, 720, 144))[..2], ["1280x720@48 2500", "852x480@24 1000"]);
    }

    #[test]
    fn nonsense_is_declined() {
        for (size, frame_rate) in [
            (None, Some(rate(30, 1))),
            (Some((1_280, 720)), None),
            (Some((0, 0)), Some(rate(30, 1))),
            (Some((1_280, 100)), Some(rate(30, 1))),
            (Some((u32::MAX, 720)), Some(rate(30, 1))),
            (Some((16_384, 146)), Some(rate(30, 1))),
            (Some((1_280, 720)), Some(rate(0, 1))),
            (Some((1_280, 720)), Some(rate(30, 0))),
            (Some((1_280, 720)), Some(rate(u32::MAX, u32::MAX))),
            (Some((1_280, 720)), Some(rate(10_000, 1))),
        ] {
            let preferences = Preferences { size, frame_rate, ..Preferences::default() };
            assert_eq!(
                choose(&preferences, MaximumResolution::FullHd, None, 160),
                Err(Declined::Picture),
                "{preferences:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_the_tracks_keep_the_limits(
            size in (1_u32..20_000, 1_u32..20_000),
            rate in (0_u32..1_100_000, 0_u32..3_000),
            tracks_max in proptest::option::of(0_u32..9),
            bandwidth in proptest::option::of(0_u64..20_000),
            cores in proptest::option::of(proptest::option::of(0_u32..64)),
            maximum in 0_usize..3,
        ) {
            let maximum = [MaximumResolution::Sd, MaximumResolution::Hd, MaximumResolution::FullHd][maximum];
            let preferences = Preferences {
                size: Some(size),
                frame_rate: Some(FrameRate { numerator: rate.0, denominator: rate.1 }),
                tracks_max,
                bandwidth_kbps_max: bandwidth,
                maximum_resolution: None,
            };
            if let Ok(rungs) = choose(&preferences, maximum, cores, 160) {
                let (short_max, long_max) = edges(maximum);
                prop_assert!((1..=5).contains(&rungs.len()));
                prop_assert!(tracks_max.is_none_or(|max| rungs.len() <= max.max(1) as usize));
                prop_assert!(bandwidth.is_none_or(|max| u64::from(total(&rungs)) + 160 <= max));
                for rung in &rungs {
                    prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0 && rung.kbps > 0);
                    prop_assert!(rung.width.min(rung.height) <= short_max && rung.width.max(rung.height) <= long_max);
                    prop_assert!(!rung.frame_rate.is_above(60) && rung.frame_rate.is_above(0));
                }
                prop_assert!(rungs.windows(2).all(|pair| short((pair[0].width, pair[0].height)) > short((pair[1].width, pair[1].height))));
            }
        }
    }
}
