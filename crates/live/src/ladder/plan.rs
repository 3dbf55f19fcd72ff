//! Which renditions a channel has: Amazon IVS' table of channel types as a pure function.

use headwater_model::ivs::ChannelType;

/// What is known of the encoder's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames in 1000 seconds.
    pub frame_rate_millis: u32,
    /// Whether there is sound.
    pub sound: bool,
}

/// A rendition's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audio {
    /// The source's own.
    Source,
    /// Encoded at so many bits a second.
    Encoded(u32),
    /// None.
    None,
}

/// A rendition to be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// As IVS names it and as it stands in URLs: `480p30`, `audio_only`.
    pub name: String,
    /// Width and height in pixels, both even; `None` for sound alone.
    pub size: Option<(u32, u32)>,
    /// Frames in 1000 seconds.
    pub frame_rate_millis: u32,
    /// Bits a second of the pictures.
    pub video_bitrate: u32,
    /// Its sound.
    pub audio: Audio,
}

/// Whether viewers are offered the encoder's own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passthrough {
    /// It is the top of the ladder.
    Top,
    /// Only while nothing else is there.
    Fallback,
}

/// A channel's renditions, from the top down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The encoder's own stream.
    pub source: Passthrough,
    /// What is encoded.
    pub renditions: Vec<Rendition>,
}

/// Where IVS would encode a `STANDARD` source anew at its own size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopOfStandard {
    /// The source stands there as it is: nothing is lost, nothing is delayed, and the dearest encoding is saved.
    #[default]
    Source,
    /// It is encoded, as IVS does.
    Encoded,
}

/// Frames in 1000 seconds from which on a source counts as one of 60.
const FAST_MILLIS: u32 = 45_000;
/// What IVS calls 30 and 60 frames.
const SLOW: u32 = 30_000;
const FAST: u32 = 60_000;

/// A row of the table: height, frames, pictures and sound in kb/s. `SOURCE` is the source's own sound.
type Row = (u32, u32, u32, u32);
const SOURCE: u32 = 0;

const HIGHER: [Row; 3] = [(480, SLOW, 1_300, 128), (360, SLOW, 700, 64), (160, SLOW, 270, 48)];
const CONSTRAINED: [Row; 3] = [(480, SLOW, 800, 128), (360, SLOW, 400, 64), (160, SLOW, 220, 48)];
const STANDARD: [Row; 3] = [(480, SLOW, 1_400, SOURCE), (360, SLOW, 630, 64), (160, SLOW, 230, 48)];
/// Sound of the rendition without pictures.
const SOUND_ALONE_KBPS: u32 = 64;

/// The renditions for a channel's type, preset and source. Nothing is ever made larger or faster than the source.
///
/// `preset` is `HIGHER_BANDWIDTH_DELIVERY` or `CONSTRAINED_BANDWIDTH_DELIVERY`; empty is the first.
pub fn plan(channel_type: ChannelType, preset: &str, top: TopOfStandard, source: &Source) -> Plan {
    let fast = source.frame_rate_millis >= FAST_MILLIS;
    let constrained = preset == "CONSTRAINED_BANDWIDTH_DELIVERY";
    let advanced = if constrained { CONSTRAINED } else { HIGHER };
    // What counts is the short side: a telephone held upright sends 720x1280.
    let lines = source.width.min(source.height);
    let (passthrough, mut rows): (Passthrough, Vec<Row>) = match channel_type {
        ChannelType::Basic => return Plan { source: Passthrough::Top, renditions: Vec::new() },
        ChannelType::Standard => {
            let hd = if fast { (720, FAST, 3_400, SOURCE) } else { (720, SLOW, 2_400, SOURCE) };
            (Passthrough::Top, [vec![hd], STANDARD.to_vec()].concat())
        }
        ChannelType::AdvancedHd => {
            let hd = match (constrained, fast) {
                (false, true) => (720, FAST, 3_000, 128),
                (false, false) => (720, SLOW, 2_300, 128),
                (true, true) => (720, FAST, 2_200, 128),
                (true, false) => (720, SLOW, 1_900, 128),
            };
            let hd = match lines {
                720.. => hd,
                // The source's size, encoded anew.
                481..720 => (lines, SLOW, if constrained { 1_900 } else { 2_300 }, 128),
                _ => (u32::MAX, 0, 0, 0),
            };
            (Passthrough::Fallback, [vec![hd], advanced.to_vec()].concat())
        }
        ChannelType::AdvancedSd => (Passthrough::Fallback, advanced.to_vec()),
    };
    rows.retain(|row| row.0 <= lines);
    let encoded_anew = top == TopOfStandard::Encoded && (480..=720).contains(&lines);
    let mut shown = passthrough;
    if passthrough == Passthrough::Top && encoded_anew {
        shown = Passthrough::Fallback;
    } else if passthrough == Passthrough::Top {
        // A source with as many lines as a row stands in its place.
        rows.retain(|row| row.0 < lines);
    }
    if rows.is_empty() {
        return Plan { source: Passthrough::Top, renditions: Vec::new() };
    }
    let mut renditions: Vec<Rendition> = rows.iter().map(|row| rendition(row, source)).collect();
    if passthrough == Passthrough::Fallback && source.sound {
        renditions.push(Rendition {
            name: headwater_hls::playlist::AUDIO_ONLY.to_owned(),
            size: None,
            frame_rate_millis: 0,
            video_bitrate: 0,
            audio: Audio::Encoded(SOUND_ALONE_KBPS * 1_000),
        });
    }
    Plan { source: shown, renditions }
}

fn rendition(&(lines, frames, video_kbps, audio_kbps): &Row, source: &Source) -> Rendition {
    let frame_rate_millis = frames.min(source.frame_rate_millis);
    Rendition {
        name: format!("{lines}p{}", (frame_rate_millis + 500) / 1_000),
        size: Some(size(lines, source)),
        frame_rate_millis,
        video_bitrate: video_kbps * 1_000,
        audio: match audio_kbps {
            _ if !source.sound => Audio::None,
            SOURCE => Audio::Source,
            kbps => Audio::Encoded(kbps * 1_000),
        },
    }
}

/// The size with so many lines on the short side and the source's shape. IVS' 852x480 and 284x160 come of 16:9.
fn size(lines: u32, source: &Source) -> (u32, u32) {
    let (long, short) = (source.width.max(source.height), source.width.min(source.height).max(1));
    // Down to an even number: 853.3 is 852, 284.4 is 284.
    let nearly_16_9 = (u64::from(long) * 9).abs_diff(u64::from(short) * 16) * 100 <= u64::from(long) * 9;
    let (wide, high) = if nearly_16_9 { (16, 9) } else { (long, short) };
    let scaled = (u64::from(lines) * u64::from(wide) / u64::from(high)).min(u64::from(long));
    let long = u32::try_from(scaled).unwrap_or(u32::MAX) & !1;
    let lines = lines & !1;
    if source.width >= source.height { (long, lines) } else { (lines, long) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(width: u32, height: u32, frame_rate_millis: u32) -> Source {
        Source { width, height, frame_rate_millis, sound: true }
    }

    /// A line for each rendition: `NAME WIDTHxHEIGHT@KBPS AUDIO`.
    fn told(channel_type: ChannelType, preset: &str, top: TopOfStandard, source: &Source) -> Vec<String> {
        let plan = plan(channel_type, preset, top, source);
        let own = (plan.source == Passthrough::Top).then(|| "src".to_owned());
        let encoded = plan.renditions.iter().map(|rendition| {
            let audio = match rendition.audio {
                Audio::Source => "src".to_owned(),
                Audio::Encoded(bits) => format!("{}k", bits / 1_000),
                Audio::None => "none".to_owned(),
            };
            match rendition.size {
                Some((width, height)) => {
                    format!("{} {width}x{height}@{} {audio}", rendition.name, rendition.video_bitrate / 1_000)
                }
                None => format!("{} {audio}", rendition.name),
            }
        });
        own.into_iter().chain(encoded).collect()
    }

    const CONSTRAINED_PRESET: &str = "CONSTRAINED_BANDWIDTH_DELIVERY";
    const HIGHER_PRESET: &str = "HIGHER_BANDWIDTH_DELIVERY";
    const P480: &str = "480p30 852x480@1400 src";
    const P360: &str = "360p30 640x360@630 64k";
    const P160: &str = "160p30 284x160@230 48k";

    #[test]
    fn standard_is_as_the_table_has_it() {
        let told = |source: &Source| told(ChannelType::Standard, "", TopOfStandard::Encoded, source);
        let (hd60, hd30) = ("720p60 1280x720@3400 src", "720p30 1280x720@2400 src");
        assert_eq!(told(&source(1920, 1080, 60_000)), ["src", hd60, P480, P360, P160]);
        assert_eq!(told(&source(1600, 900, 59_940)), ["src", hd60, P480, P360, P160]);
        assert_eq!(told(&source(1920, 1080, 30_000)), ["src", hd30, P480, P360, P160]);
        assert_eq!(told(&source(1280, 720, 60_000)), [hd60, P480, P360, P160]);
        assert_eq!(told(&source(1280, 720, 30_000)), [hd30, P480, P360, P160]);
        assert_eq!(told(&source(960, 540, 30_000)), [P480, P360, P160]);
        assert_eq!(told(&source(852, 480, 30_000)), [P480, P360, P160]);
        assert_eq!(told(&source(640, 360, 30_000)), ["src", P160]);
    }

    #[test]
    fn standard_keeps_the_source_at_the_top() {
        let told = |source: &Source| told(ChannelType::Standard, "", TopOfStandard::Source, source);
        assert_eq!(told(&source(1920, 1080, 30_000)), ["src", "720p30 1280x720@2400 src", P480, P360, P160]);
        assert_eq!(told(&source(1280, 720, 30_000)), ["src", P480, P360, P160]);
        assert_eq!(told(&source(640, 480, 30_000)), ["src", "360p30 480x360@630 64k", "160p30 212x160@230 48k"]);
        assert_eq!(told(&source(320, 180, 30_000)), ["src", P160]);
        assert_eq!(told(&source(160, 120, 30_000)), ["src"]);
    }

    #[test]
    fn advanced_is_as_the_table_has_it() {
        let told = |channel_type, preset, source: &Source| told(channel_type, preset, TopOfStandard::Source, source);
        let higher = ["480p30 852x480@1300 128k", "360p30 640x360@700 64k", "160p30 284x160@270 48k", "audio_only 64k"];
        let constrained =
            ["480p30 852x480@800 128k", "360p30 640x360@400 64k", "160p30 284x160@220 48k", "audio_only 64k"];
        let with = |first: &'static str, rest: [&'static str; 4]| [&[first][..], &rest].concat();
        let hd = ChannelType::AdvancedHd;
        assert_eq!(told(hd, HIGHER_PRESET, &source(1920, 1080, 60_000)), with("720p60 1280x720@3000 128k", higher));
        assert_eq!(told(hd, "", &source(1280, 720, 30_000)), with("720p30 1280x720@2300 128k", higher));
        assert_eq!(
            told(hd, CONSTRAINED_PRESET, &source(1280, 720, 60_000)),
            with("720p60 1280x720@2200 128k", constrained)
        );
        assert_eq!(
            told(hd, CONSTRAINED_PRESET, &source(1920, 1080, 30_000)),
            with("720p30 1280x720@1900 128k", constrained)
        );
        assert_eq!(told(hd, HIGHER_PRESET, &source(960, 540, 30_000)), with("540p30 960x540@2300 128k", higher));
        assert_eq!(told(hd, HIGHER_PRESET, &source(852, 480, 30_000)), higher);
        let sd = ChannelType::AdvancedSd;
        assert_eq!(told(sd, HIGHER_PRESET, &source(1920, 1080, 60_000)), higher);
        assert_eq!(told(sd, CONSTRAINED_PRESET, &source(1280, 720, 30_000)), constrained);
    }

    #[test]
    fn basic_is_the_source_alone() {
        assert_eq!(told(ChannelType::Basic, "", TopOfStandard::Source, &source(1920, 1080, 60_000)), ["src"]);
    }

    #[test]
    fn a_picture_on_end_stays_so_and_silence_stays_silence() {
        let upright = Source { sound: false, ..source(720, 1280, 30_000) };
        let told = told(ChannelType::Standard, "", TopOfStandard::Source, &upright);
        assert_eq!(told, ["src", "480p30 480x852@1400 none", "360p30 360x640@630 none", "160p30 160x284@230 none"]);
    }

    #[test]
    fn slow_sources_are_named_by_their_own_rate() {
        let told = told(ChannelType::Standard, "", TopOfStandard::Source, &source(640, 360, 25_000));
        assert_eq!(told, ["src", "160p25 284x160@230 48k"]);
    }

    proptest! {
        #[test]
        fn nothing_is_larger_than_the_source(width in 2..8_000u32, height in 2..8_000u32, rate in 1_000..120_000u32, kind in 0..4u8, encoded: bool) {
            let channel_type = [ChannelType::Basic, ChannelType::Standard, ChannelType::AdvancedSd, ChannelType::AdvancedHd][usize::from(kind)];
            let top = if encoded { TopOfStandard::Encoded } else { TopOfStandard::Source };
            let plan = plan(channel_type, "", top, &source(width, height, rate));
            let mut names = std::collections::BTreeSet::new();
            for rendition in &plan.renditions {
                prop_assert!(names.insert(rendition.name.clone()));
                prop_assert!(rendition.frame_rate_millis <= rate);
                if let Some((w, h)) = rendition.size {
                    prop_assert!(w <= width && h <= height && w % 2 == 0 && h % 2 == 0 && w > 0 && h > 0, "{w}x{h}");
                }
            }
        }
    }
}
