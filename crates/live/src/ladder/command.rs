//! The encoder's command line: one decoding, all renditions, one pipe.
//!
//! No part of it comes from a peer: sizes and rates are numbers of the plan, the program is the operator's. Tried with ffmpeg 5.1.

use super::plan::{Audio, Plan, Rendition};
use super::{Encoder, Options};
use headwater_media::CodecConfig;
use std::ffi::OsString;

/// What the tracks of the pipe are: pictures first, in the plan's order, then each distinct sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// For each track, which renditions it is for.
    pub(super) tracks: Vec<Vec<usize>>,
}

/// What the encoder's input looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Container {
    /// For H.264.
    #[default]
    Flv,
    /// For what ffmpeg before 6.1 does not know in FLV: HEVC and AV1.
    Matroska,
}

impl Container {
    /// What carries a track's pictures.
    pub(super) fn of(video: &CodecConfig) -> Self {
        match video {
            CodecConfig::Hevc(_) | CodecConfig::Av1(_) => Container::Matroska,
            _ => Container::Flv,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Container::Flv => "flv",
            Container::Matroska => "matroska",
        }
    }
}

/// The renditions that are encoded, and where each is in the plan.
pub(super) struct Job<'a> {
    pub(super) renditions: Vec<(usize, &'a Rendition)>,
    pub(super) source_rate_millis: u32,
    pub(super) input: Container,
    /// Where each rendition with pictures begins, in milliseconds of the encoder's clock; `None`, or none at all: with the input.
    pub(super) begins: Vec<Option<i64>>,
    /// See [`super::Past`]; by the place in the plan.
    pub(super) keyframe_each: Vec<Option<u32>>,
}

impl<'a> Job<'a> {
    /// All of the plan but the first `shed` renditions with pictures.
    pub(super) fn of(plan: &'a Plan, shed: usize, source_rate_millis: u32) -> Self {
        let pictures = plan.renditions.iter().filter(|rendition| rendition.size.is_some()).count();
        let renditions = plan.renditions.iter().enumerate().skip(shed.min(pictures)).collect();
        Job {
            renditions,
            source_rate_millis,
            input: Container::default(),
            begins: Vec::new(),
            keyframe_each: Vec::new(),
        }
    }

    fn pictures(&self) -> impl Iterator<Item = (usize, &'a Rendition, (u32, u32))> {
        self.renditions.iter().filter_map(|&(index, rendition)| Some((index, rendition, rendition.size?)))
    }

    /// Each distinct sound, with the renditions that have it.
    fn sounds(&self) -> Vec<(u32, Vec<usize>)> {
        let mut sounds: Vec<(u32, Vec<usize>)> = Vec::new();
        for &(index, rendition) in &self.renditions {
            let Audio::Encoded(bits) = rendition.audio else { continue };
            match sounds.iter_mut().find(|(known, _)| *known == bits) {
                Some((_, users)) => users.push(index),
                None => sounds.push((bits, vec![index])),
            }
        }
        sounds
    }

    pub(super) fn layout(&self) -> Layout {
        let pictures = self.pictures().map(|(index, ..)| vec![index]);
        Layout { tracks: pictures.chain(self.sounds().into_iter().map(|(_, users)| users)).collect() }
    }

    /// Before this nobody wants pictures: they are decoded only.
    fn common_begin(&self) -> Option<i64> {
        let begins: Option<Vec<i64>> = self.begins.iter().copied().collect();
        begins?.into_iter().min()
    }

    /// Whether anything with pictures is left.
    pub(super) fn has_pictures(&self) -> bool {
        self.pictures().next().is_some()
    }

    /// The arguments after the program's name.
    pub(super) fn arguments(&self, options: &Options) -> Vec<OsString> {
        let encoder = options.encoder;
        let mut out = Words::default();
        out.text("-hide_banner -loglevel warning -nostats -nostdin");
        if encoder == Encoder::Vaapi {
            out.text("-vaapi_device /dev/dri/renderD128");
        }
        // The source's clock is kept; a picture is decoded when it comes, not a few pictures later.
        out.text("-copyts -threads 1 -analyzeduration 0 -probesize 5000 -protocol_whitelist pipe -f");
        out.text(self.input.as_str());
        out.text("-i pipe:0");
        out.text("-filter_complex");
        out.word(self.graph(encoder));
        for number in 0..self.pictures().count() {
            out.word("-map");
            out.word(format!("[v{number}]"));
        }
        for number in 0..self.sounds().len() {
            out.word("-map");
            out.word(format!("[a{number}]"));
        }
        out.text(match encoder {
            Encoder::X264 | Encoder::Off => {
                "-c:v libx264 -preset:v superfast -tune:v zerolatency -profile:v main -threads:v 1"
            }
            Encoder::Nvenc => "-c:v h264_nvenc -preset:v p1 -tune:v ull -zerolatency:v 1 -bf:v 0 -profile:v main",
            Encoder::Vaapi => "-c:v h264_vaapi -bf:v 0 -profile:v main",
            Encoder::Qsv => "-c:v h264_qsv -preset:v veryfast -async_depth:v 1 -bf:v 0 -profile:v main",
        });
        // Keyframes where the source has them, and nowhere else unless it is said below.
        out.text("-force_key_frames:v source -g:v 100000 -fps_mode:v passthrough -enc_time_base:v 1:90000");
        match encoder {
            Encoder::X264 | Encoder::Off => out.text("-sc_threshold:v 0 -forced-idr:v 1"),
            Encoder::Nvenc => out.text("-forced-idr:v 1 -no-scenecut:v 1"),
            Encoder::Qsv => out.text("-forced_idr:v 1"),
            Encoder::Vaapi => {}
        }
        for (number, (index, rendition, _)) in self.pictures().enumerate() {
            if let Some(pictures) = self.keyframe_each.get(index).copied().flatten() {
                out.text(&format!("-g:v:{number} {pictures}"));
            }
            let rate = rendition.video_bitrate;
            out.text(&format!("-b:v:{number} {rate} -maxrate:v:{number} {rate} -bufsize:v:{number} {rate}"));
            if let Encoder::X264 | Encoder::Off = encoder {
                // Else it takes the source's rate for that of each rendition, and gives a slower one half of its bits.
                out.text(&format!("-x264-params:v:{number} fps={}/1000", rendition.frame_rate_millis));
            }
            if encoder != Encoder::Qsv {
                let level = super::promise::level(rendition);
                out.text(&format!("-level:v:{number} {}.{}", level / 10, level % 10));
            }
        }
        if !self.sounds().is_empty() {
            out.text("-c:a aac -ac:a 2");
        }
        for (number, (bits, _)) in self.sounds().iter().enumerate() {
            out.text(&format!("-b:a:{number} {bits}"));
        }
        // A fragment a picture, with the times that the encoder gave, and nothing kept for a trailer.
        out.text("-max_interleave_delta 200000 -avoid_negative_ts disabled -video_track_timescale 90000");
        out.text("-movflags empty_moov+default_base_moof+frag_discont+skip_trailer -frag_duration 15000");
        out.text("-use_editlist 0 -flush_packets 1 -f mp4 pipe:1");
        out.0
    }

    /// Each rendition is made of the next larger one, which costs less than scaling the source for each.
    fn graph(&self, encoder: Encoder) -> String {
        let mut chains = Vec::new();
        let (mut input, mut rate) = ("0:v".to_owned(), self.source_rate_millis);
        let count = self.pictures().count();
        let common = self.common_begin();
        for (number, (_, rendition, (width, height))) in self.pictures().enumerate() {
            let mut filters = Vec::new();
            if let Some(begin) = common.filter(|_| number == 0) {
                filters.push(from(begin));
            }
            let own = self.begins.get(number).copied().flatten().filter(|begin| Some(*begin) != common).map(from);
            if rendition.frame_rate_millis + rendition.frame_rate_millis / 4 < rate {
                // Three quarters of a picture's time, so that jitter drops none that is wanted. Keyframes always stay.
                let least_us = 750_000_000 / u64::from(rendition.frame_rate_millis.max(1));
                filters.push(format!("select='isnan(prev_selected_t)+key+gte(t-prev_selected_t,{least_us}e-6)'"));
                rate = rendition.frame_rate_millis;
            }
            filters.push(format!("scale={width}:{height}:flags=bilinear,setsar=1,format=yuv420p"));
            let upload = (encoder == Encoder::Vaapi).then(|| "format=nv12,hwupload".to_owned());
            let finish: Vec<String> = own.into_iter().chain(upload).collect();
            if number + 1 == count {
                filters.extend(finish);
                chains.push(format!("[{input}]{}[v{number}]", filters.join(",")));
            } else {
                chains.push(format!("[{input}]{},split=2[o{number}][n{number}]", filters.join(",")));
                let finish = if finish.is_empty() { "null".to_owned() } else { finish.join(",") };
                chains.push(format!("[o{number}]{finish}[v{number}]"));
                input = format!("n{number}");
            }
        }
        let sounds = self.sounds().len();
        if sounds > 0 {
            let outputs: String = (0..sounds).map(|number| format!("[a{number}]")).collect();
            // FLV's milliseconds become samples again; a real gap becomes silence.
            chains.push(format!("[0:a]aresample=async=1,asplit={sounds}{outputs}"));
        }
        chains.join(";")
    }
}

/// The filter that drops pictures before a time, in milliseconds.
fn from(begin_ms: i64) -> String {
    // Half a millisecond less, as decimals are not exact.
    format!("select='gte(t,{}.{:03}-0.0005)'", begin_ms.max(0) / 1_000, begin_ms.max(0) % 1_000)
}

/// Arguments as they are collected.
#[derive(Default)]
struct Words(Vec<OsString>);

impl Words {
    fn word(&mut self, word: impl Into<OsString>) {
        self.0.push(word.into());
    }

    /// Words that spaces part.
    fn text(&mut self, text: &str) {
        self.0.extend(text.split_whitespace().map(OsString::from));
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Source, TopOfStandard, plan};
    use super::*;
    use headwater_model::ivs::ChannelType;

    fn ladder(channel_type: ChannelType) -> Plan {
        let source = Source { width: 1920, height: 1080, frame_rate_millis: 60_000, sound: true };
        plan(channel_type, "", TopOfStandard::Source, &source)
    }

    #[test]
    fn each_sound_is_encoded_once() {
        let plan = ladder(ChannelType::AdvancedSd);
        let layout = Job::of(&plan, 0, 60_000).layout();
        // 480p, 360p, 160p; then 128k for the first, 64k for 360p and for sound alone, 48k.
        assert_eq!(layout.tracks, [vec![0], vec![1], vec![2], vec![0], vec![1, 3], vec![2]]);
    }

    #[test]
    fn a_ladder_is_shed_from_the_top() {
        let plan = ladder(ChannelType::Standard);
        let job = Job::of(&plan, 2, 60_000);
        assert_eq!(job.layout().tracks, [vec![2], vec![3], vec![2], vec![3]]);
        assert!(job.has_pictures());
        assert!(!Job::of(&plan, 9, 60_000).has_pictures());
    }

    /// What ffmpeg says of an encoder; `None` if it was built without it.
    fn help(encoder: &str) -> Option<String> {
        let mut command = std::process::Command::new("ffmpeg");
        let output = command.args(["-hide_banner", "-h", &format!("encoder={encoder}")]).output();
        let output = output.expect("ffmpeg is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("AVOptions").then_some(text)
    }

    /// Options that ffmpeg has for all encoders, or that are its own.
    const COMMON: [&str; 12] = [
        "c",
        "b",
        "maxrate",
        "bufsize",
        "g",
        "bf",
        "threads",
        "sc_threshold",
        "force_key_frames",
        "fps_mode",
        "enc_time_base",
        "level",
    ];

    #[test]
    fn each_encoder_has_the_options_that_it_is_given() {
        let plan = ladder(ChannelType::Standard);
        let job = Job::of(&plan, 0, 60_000);
        let mut known = Vec::new();
        for encoder in [Encoder::X264, Encoder::Nvenc, Encoder::Vaapi, Encoder::Qsv] {
            let words = job.arguments(&Options { encoder, ..Options::default() });
            let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
            let name = words.windows(2).find(|pair| pair[0] == "-c:v").map(|pair| pair[1]).expect("it has one");
            let Some(help) = help(name) else { continue };
            known.push(encoder);
            for pair in words.windows(2) {
                let Some((option, _)) = pair[0].strip_prefix('-').and_then(|option| option.split_once(":v")) else {
                    continue;
                };
                if COMMON.contains(&option) {
                    continue;
                }
                let listed = help.lines().position(|line| line.trim_start().starts_with(&format!("-{option} ")));
                let at = listed.unwrap_or_else(|| panic!("{name} has no -{option}:\n{help}"));
                // Words are those of a list that follows, unless x264 reads them itself.
                let is_word = pair[1].parse::<i64>().is_err() && encoder != Encoder::X264;
                let values = help.lines().skip(at + 1).take_while(|line| line.starts_with("     "));
                let has_value = values.map(|line| line.split_whitespace().next()).any(|value| value == Some(pair[1]));
                assert!(!is_word || has_value, "{name} -{option} has no {}:\n{help}", pair[1]);
            }
        }
        assert!(known.contains(&Encoder::X264), "{known:?}");
    }

    #[test]
    fn an_encoder_that_goes_on_encodes_only_what_is_missing() {
        let plan = ladder(ChannelType::Standard);
        let mut job = Job::of(&plan, 2, 30_000);
        job.begins = vec![Some(2_517), Some(2_484)];
        assert_eq!(
            job.graph(Encoder::X264),
            "[0:v]select='gte(t,2.484-0.0005)',scale=640:360:flags=bilinear,setsar=1,format=yuv420p,split=2[o0][n0];\
             [o0]select='gte(t,2.517-0.0005)'[v0];[n0]scale=284:160:flags=bilinear,setsar=1,format=yuv420p[v1];\
             [0:a]aresample=async=1,asplit=2[a0][a1]"
        );
        // A rendition that is new begins with the input, and so does the decoder's output.
        job.begins = vec![None, Some(2_484)];
        let graph = job.graph(Encoder::X264);
        assert!(
            graph.starts_with("[0:v]scale") && graph.contains("yuv420p,select='gte(t,2.484-0.0005)'[v1]"),
            "{graph}"
        );
    }

    #[test]
    fn a_rendition_that_wakes_has_a_keyframe_in_each_part() {
        let plan = ladder(ChannelType::Standard);
        let mut job = Job::of(&plan, 1, 30_000);
        job.keyframe_each = vec![None, None, Some(6), None];
        let words = job.arguments(&Options { encoder: Encoder::X264, ..Options::default() });
        let at = |name: &str| words.iter().position(|word| word == name);
        // 360p is the second one that is left. What stands later counts.
        assert!(at("-g:v:1") > at("-g:v") && words[at("-g:v:1").unwrap() + 1] == "6");
        assert_eq!((at("-g:v:0"), at("-g:v:2")), (None, None));
    }

    #[test]
    fn each_rendition_has_its_own_rate_and_level() {
        let plan = ladder(ChannelType::AdvancedHd);
        let words = Job::of(&plan, 0, 60_000).arguments(&Options { encoder: Encoder::X264, ..Options::default() });
        let after = |name: &str| -> String {
            let at = words.iter().position(|word| word == name).expect("it is there");
            words[at + 1].to_string_lossy().into_owned()
        };
        assert_eq!([after("-x264-params:v:0"), after("-x264-params:v:1")], ["fps=60000/1000", "fps=30000/1000"]);
        assert_eq!([after("-level:v:0"), after("-level:v:1")], ["3.2", "3.1"]);
    }

    #[test]
    fn pictures_are_decoded_once_and_scaled_down_step_by_step() {
        let plan = ladder(ChannelType::Standard);
        let graph = Job::of(&plan, 0, 60_000).graph(Encoder::X264);
        assert_eq!(
            graph,
            "[0:v]scale=1280:720:flags=bilinear,setsar=1,format=yuv420p,split=2[o0][n0];[o0]null[v0];\
             [n0]select='isnan(prev_selected_t)+key+gte(t-prev_selected_t,25000e-6)',\
             scale=852:480:flags=bilinear,setsar=1,format=yuv420p,split=2[o1][n1];[o1]null[v1];\
             [n1]scale=640:360:flags=bilinear,setsar=1,format=yuv420p,split=2[o2][n2];[o2]null[v2];\
             [n2]scale=284:160:flags=bilinear,setsar=1,format=yuv420p[v3];\
             [0:a]aresample=async=1,asplit=2[a0][a1]"
        );
    }
}
