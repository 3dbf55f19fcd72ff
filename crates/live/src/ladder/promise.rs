//! What a rendition will be like, known before it is made: a player chooses among renditions that sleep as well.

use super::plan::{Audio, Rendition};
use headwater_hls::playlist::Facts;
use headwater_media::Track;

/// Levels of H.264 from 3.1 on: times ten, macroblocks a second, macroblocks a picture. ITU-T H.264, table A-1.
const LEVELS: [(u8, u64, u64); 6] = [
    (31, 108_000, 3_600),
    (32, 216_000, 5_120),
    (40, 245_760, 8_192),
    (42, 522_240, 8_704),
    (50, 589_824, 22_080),
    (51, 983_040, 36_864),
];
/// Above all.
const LEVEL_MAX: u8 = 52;
/// AAC-LC, which is what sound is encoded to. RFC 6381.
const AAC: &str = "mp4a.40.2";

/// The level of a rendition's pictures, times ten. IVS' renditions have 3.1 whatever their size, and so have ours unless they need more; so it is
/// the same for each encoder and known before there is one.
pub(super) fn level(rendition: &Rendition) -> u8 {
    let (width, height) = rendition.size.unwrap_or_default();
    let picture = u64::from(width.div_ceil(16)) * u64::from(height.div_ceil(16));
    let a_thousand_seconds = picture * u64::from(rendition.frame_rate_millis);
    let enough = |(_, rate, size): &&(u8, u64, u64)| a_thousand_seconds <= rate * 1_000 && picture <= *size;
    LEVELS.iter().find(enough).map_or(LEVEL_MAX, |(level, ..)| *level)
}

/// What the multivariant playlist says of a rendition before it is made. `sound` is the source's, which is taken for so many bits a second.
pub(crate) fn promise(rendition: &Rendition, sound: Option<&Track>, sound_bits: u64) -> Facts {
    let pictures = rendition.size.map(|_| format!("avc1.4D40{:02X}", level(rendition)));
    let (sound, sound_bits) = match rendition.audio {
        Audio::Source => (sound.map(|track| track.config.rfc6381()), sound_bits),
        Audio::Encoded(bits) => (Some(AAC.to_owned()), u64::from(bits)),
        Audio::None => (None, 0),
    };
    let bandwidth = u64::from(rendition.video_bitrate) + sound_bits;
    Facts {
        bandwidth,
        average_bandwidth: bandwidth,
        codecs: pictures.into_iter().chain(sound).collect(),
        size: rendition.size,
        frame_rate_millis: rendition.size.map(|_| rendition.frame_rate_millis),
        independent: true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Source, TopOfStandard, plan};
    use super::*;
    use headwater_model::ivs::ChannelType;

    #[test]
    fn levels_are_as_ivs_has_them_unless_the_picture_needs_more() {
        let level_of = |width, height, frame_rate_millis| {
            let size = Some((width, height));
            let name = String::new();
            level(&Rendition { name, size, frame_rate_millis, video_bitrate: 0, audio: Audio::None })
        };
        assert_eq!(level_of(284, 160, 30_000), 31);
        assert_eq!(level_of(1280, 720, 30_000), 31);
        assert_eq!(level_of(1280, 720, 60_000), 32);
        assert_eq!(level_of(1920, 1080, 60_000), 42);
        assert_eq!(level_of(16_000, 9_000, 120_000), LEVEL_MAX);
    }

    #[test]
    fn a_rendition_is_promised_as_it_is_planned() {
        let source = Source { width: 1920, height: 1080, frame_rate_millis: 60_000, sound: true };
        let plan = plan(ChannelType::AdvancedHd, "", TopOfStandard::Source, &source);
        let facts: Vec<Facts> = plan.renditions.iter().map(|rendition| promise(rendition, None, 0)).collect();
        assert_eq!(facts[0].codecs, ["avc1.4D4020", AAC]);
        assert_eq!((facts[0].bandwidth, facts[0].size), (3_128_000, Some((1280, 720))));
        assert_eq!(facts[1].frame_rate_millis, Some(30_000));
        let sound = facts.last().unwrap();
        assert_eq!((&sound.codecs[..], sound.size, sound.frame_rate_millis), (&[AAC.to_owned()][..], None, None));
    }
}
