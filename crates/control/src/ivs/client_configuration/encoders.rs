//! Which encoder a client uses: by the names that it lists, else by its graphics card and system. A name that it does not have ends its
//! start, so what is not sure to be there is not chosen. Source of the names and settings: OBS Studio, plugins obs-nvenc, obs-qsv11,
//! obs-ffmpeg, mac-videotoolbox and obs-x264.

use super::{Gpu, Machine};

const NVIDIA: u32 = 0x10de;
const AMD: u32 = 0x1002;
const INTEL: u32 = 0x8086;

/// An encoder of H.264.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoEncoder {
    /// NVIDIA's.
    Nvenc,
    /// AMD's, on Windows.
    Amf,
    /// Intel's.
    QuickSync,
    /// Apple's.
    VideoToolbox,
    /// AMD's and Intel's on Linux.
    Vaapi,
    /// In software.
    X264,
}

/// In the order of preference where a client lists what it has: hardware first.
const ALL: [VideoEncoder; 6] = [
    VideoEncoder::Nvenc,
    VideoEncoder::Amf,
    VideoEncoder::QuickSync,
    VideoEncoder::VideoToolbox,
    VideoEncoder::Vaapi,
    VideoEncoder::X264,
];

impl VideoEncoder {
    /// Its name in OBS.
    pub fn id(self) -> &'static str {
        match self {
            VideoEncoder::Nvenc => "obs_nvenc_h264_tex",
            VideoEncoder::Amf => "h264_texture_amf",
            VideoEncoder::QuickSync => "obs_qsv11_v2",
            VideoEncoder::VideoToolbox => "com.apple.videotoolbox.videoencoder.ave.avc",
            VideoEncoder::Vaapi => "ffmpeg_vaapi_tex",
            VideoEncoder::X264 => "obs_x264",
        }
    }

    /// The best of what a machine has; `None` if it has no H.264.
    pub(super) fn choose(machine: &Machine) -> Option<VideoEncoder> {
        // A client that lists no codec at all is taken for one that has what every encoder has.
        if !machine.codecs.is_empty() && !machine.codecs.iter().any(|codec| codec.eq_ignore_ascii_case("h264")) {
            return None;
        }
        let fitting = fitting(machine);
        match &machine.encoders {
            None => Some(fitting.unwrap_or(VideoEncoder::X264)),
            Some(listed) => {
                let has = |encoder: &VideoEncoder| listed.iter().any(|name| name == encoder.id());
                fitting.filter(has).or_else(|| ALL.into_iter().find(has))
            }
        }
    }
}

/// The encoder of the card that composes the picture, where it is sure to be there.
fn fitting(machine: &Machine) -> Option<VideoEncoder> {
    let system = machine.system.to_ascii_lowercase();
    if system.contains("mac") || system.contains("darwin") {
        return machine.is_arm.then_some(VideoEncoder::VideoToolbox);
    }
    let is_windows = system.contains("windows");
    let gpu = machine.gpus.get(machine.composition_gpu.unwrap_or(0))?;
    match gpu.vendor_id {
        NVIDIA if is_windows || has_own_driver(gpu) => Some(VideoEncoder::Nvenc),
        AMD if is_windows => Some(VideoEncoder::Amf),
        INTEL if is_windows => Some(VideoEncoder::QuickSync),
        _ => None,
    }
}

/// On Linux NVIDIA's encoder needs NVIDIA's driver, and the other one is Mesa's.
fn has_own_driver(gpu: &Gpu) -> bool {
    gpu.driver_version.to_ascii_lowercase().contains("nvidia")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(system: &str, vendor_id: u32, driver_version: &str) -> Machine {
        let gpu = Gpu { vendor_id, driver_version: driver_version.into() };
        Machine { system: system.into(), gpus: vec![gpu], codecs: vec!["h264".into()], ..Machine::default() }
    }

    #[test]
    fn a_card_has_its_encoder_where_that_is_sure() {
        use VideoEncoder::{Amf, Nvenc, QuickSync, VideoToolbox, X264};
        for (system, vendor_id, driver, expected) in [
            ("Windows", NVIDIA, "32.0.15.6094", Nvenc),
            ("Windows", AMD, "32.0.12011.1036", Amf),
            ("Windows", INTEL, "31.0.101", QuickSync),
            ("Windows", 0x1414, "10.0", X264),
            ("Linux", NVIDIA, "4.6.0 NVIDIA 550.54.14", Nvenc),
            ("Linux", NVIDIA, "4.3 (Core Profile) Mesa 25.0", X264),
            ("Linux", AMD, "4.6 (Core Profile) Mesa 25.0", X264),
            ("", 0, "", X264),
        ] {
            assert_eq!(VideoEncoder::choose(&machine(system, vendor_id, driver)), Some(expected), "{system} {driver}");
        }
        let mac = Machine { is_arm: true, ..machine("macOS", 0x106b, "") };
        assert_eq!(VideoEncoder::choose(&mac), Some(VideoToolbox));
        assert_eq!(VideoEncoder::choose(&Machine { is_arm: false, ..mac }), Some(X264));
        assert_eq!(VideoEncoder::choose(&Machine::default()), Some(X264), "no card, nothing said");
    }

    #[test]
    fn the_card_that_composes_decides() {
        let mut machine = machine("Windows", INTEL, "31");
        machine.gpus.push(Gpu { vendor_id: NVIDIA, driver_version: "32".into() });
        machine.composition_gpu = Some(1);
        assert_eq!(VideoEncoder::choose(&machine), Some(VideoEncoder::Nvenc));
        machine.composition_gpu = Some(7);
        assert_eq!(VideoEncoder::choose(&machine), Some(VideoEncoder::X264));
    }

    #[test]
    fn what_a_client_lists_is_what_it_has() {
        let listing = |names: &[&str]| {
            let encoders = Some(names.iter().map(|name| (*name).to_owned()).collect());
            VideoEncoder::choose(&Machine { encoders, ..machine("Linux", AMD, "Mesa") })
        };
        assert_eq!(listing(&["obs_x264", "ffmpeg_vaapi_tex"]), Some(VideoEncoder::Vaapi));
        assert_eq!(listing(&["obs_x264"]), Some(VideoEncoder::X264));
        assert_eq!(listing(&["obs_qsv11_hevc", "av1_texture_amf"]), None);
        let encoders = Some(vec!["obs_x264".to_owned()]);
        let machine = Machine { encoders, ..machine("Windows", NVIDIA, "32") };
        assert_eq!(VideoEncoder::choose(&machine), Some(VideoEncoder::X264));
    }

    #[test]
    fn without_h264_there_is_none() {
        let machine = Machine { codecs: vec!["av1".into(), "h265".into()], ..machine("Windows", NVIDIA, "32") };
        assert_eq!(VideoEncoder::choose(&machine), None);
    }
}
