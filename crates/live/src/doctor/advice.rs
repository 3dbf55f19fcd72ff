//! What can be wrong with an encoder, and what to do.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Code {
    /// Keyframes are too far apart.
    KeyframeInterval,
    /// Pictures are not sent in the order in which they are shown.
    BFrames,
    /// Pictures do not come at a steady pace.
    VariableFrameRate,
    /// More than 60 pictures a second.
    FrameRate,
    /// More bits than the channel's type allows.
    Bitrate,
    /// More pixels in a picture than are allowed.
    Pixels,
    /// A longer edge than is allowed.
    PixelsPerEdge,
    /// The encoder's clock runs ahead of ours.
    ClockFast,
    /// The encoder's time falls behind ours.
    ClockSlow,
    /// Sound and pictures of one moment come far apart.
    Skew,
    /// Nothing comes for a while, again and again.
    Stalls,
    /// Keyframes of further video tracks are not at the times of the first's.
    TracksUnaligned,
    /// Several video tracks, on a channel that is not set up for them.
    MultitrackNotAllowed,
    /// Several video tracks by the stream key itself, where IVS wants that of a configuration.
    MultitrackKey,
    /// More than one audio track is sent.
    AudioTracks,
    /// There are no pictures.
    AudioOnly,
    /// There is no sound.
    VideoOnly,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It could be better.
    Advice,
    /// Viewers suffer, or IVS would refuse it.
    Problem,
}

impl Severity {
    /// For logs and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Advice => "advice",
            Severity::Problem => "problem",
        }
    }
}

impl Code {
    /// All of them, in their order.
    pub const ALL: [Code; 17] = [
        Code::KeyframeInterval,
        Code::BFrames,
        Code::VariableFrameRate,
        Code::FrameRate,
        Code::Bitrate,
        Code::Pixels,
        Code::PixelsPerEdge,
        Code::ClockFast,
        Code::ClockSlow,
        Code::Skew,
        Code::Stalls,
        Code::TracksUnaligned,
        Code::MultitrackNotAllowed,
        Code::MultitrackKey,
        Code::AudioTracks,
        Code::AudioOnly,
        Code::VideoOnly,
    ];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::KeyframeInterval => "keyframe-interval",
            Code::BFrames => "b-frames",
            Code::VariableFrameRate => "variable-frame-rate",
            Code::FrameRate => "frame-rate",
            Code::Bitrate => "bitrate",
            Code::Pixels => "pixels",
            Code::PixelsPerEdge => "pixels-per-edge",
            Code::ClockFast => "clock-fast",
            Code::ClockSlow => "clock-slow",
            Code::Skew => "av-skew",
            Code::Stalls => "stalls",
            Code::TracksUnaligned => "tracks-unaligned",
            Code::MultitrackNotAllowed => "multitrack-not-allowed",
            Code::MultitrackKey => "multitrack-key",
            Code::AudioTracks => "audio-tracks",
            Code::AudioOnly => "audio-only",
            Code::VideoOnly => "video-only",
        }
    }

    /// What measured value and limit are counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Code::KeyframeInterval | Code::Skew | Code::Stalls => "milliseconds",
            Code::BFrames => "pictures in a row",
            Code::VariableFrameRate => "percent of pictures",
            Code::FrameRate => "pictures in 1000 seconds",
            Code::Bitrate => "bits per second",
            Code::Pixels => "total pixels",
            Code::PixelsPerEdge => "pixels per edge",
            Code::ClockFast | Code::ClockSlow => "millionths",
            Code::TracksUnaligned | Code::MultitrackNotAllowed | Code::MultitrackKey | Code::AudioTracks => "tracks",
            Code::AudioOnly | Code::VideoOnly => "seconds",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// What was measured, in [`Code::unit`].
    pub measured: u64,
    /// What it should be at most.
    pub limit: u64,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self.code {
            Code::KeyframeInterval if self.measured <= super::KEYFRAME_INTERVAL_PROBLEM_MS => Severity::Advice,
            Code::BFrames | Code::VariableFrameRate | Code::AudioTracks | Code::VideoOnly => Severity::Advice,
            _ => Severity::Problem,
        }
    }

    /// What to do, with the setting of OBS that does it.
    pub fn advice(&self) -> &'static str {
        match self.code {
            Code::KeyframeInterval => {
                "viewers wait long for a picture; in OBS set Output > Streaming > Keyframe Interval to 2 s (not 0, which means automatic)"
            }
            Code::BFrames => {
                "pictures are held back to be reordered, which costs latency; in OBS set Output > Streaming > Max B-frames to 0, or Tune to zerolatency"
            }
            Code::VariableFrameRate => {
                "pictures are dropped or come unevenly; in OBS set Video > Common FPS Values to a fixed rate, and a faster Output > Encoder Preset if OBS says that encoding is overloaded"
            }
            Code::FrameRate => {
                "more than 60 pictures a second are not taken by IVS; in OBS set Video > Common FPS Values to 60 or 30"
            }
            Code::Bitrate => {
                "IVS would disconnect this stream; in OBS set Output > Streaming > Rate Control to CBR and Bitrate below the limit, or change the channel's type"
            }
            Code::Pixels | Code::PixelsPerEdge => {
                "IVS would disconnect this stream; in OBS set Video > Output (Scaled) Resolution to 1920x1080 or less"
            }
            Code::ClockFast => {
                "the encoder's clock is faster than real time; in OBS set Audio > Sample Rate to that of the sound device, and do not replay files with a wrong frame rate"
            }
            Code::ClockSlow => {
                "media arrive later and later: the network or the encoder cannot keep up; in OBS lower Output > Streaming > Bitrate, or choose a faster Encoder Preset"
            }
            Code::Skew => {
                "sound and pictures of one moment arrive far apart, and viewers wait for the later; in OBS set Edit > Advanced Audio Properties > Sync Offset to 0 and look for a source that lags"
            }
            Code::Stalls => {
                "nothing arrived for a while; use a cable rather than Wi-Fi, and in OBS lower Output > Streaming > Bitrate or switch on Advanced > Network > Dynamically change bitrate"
            }
            Code::TracksUnaligned => {
                "renditions that the encoder sends do not have their keyframes at the same times, so players stall where they change between them; in OBS use Enhanced Broadcasting, which aligns them, or give all encoders the same Keyframe Interval"
            }
            Code::MultitrackNotAllowed => {
                "IVS would refuse this stream (MultitrackInputNotAllowed), Headwater carries it; set the channel to type STANDARD and containerFormat FRAGMENTED_MP4 with multitrackInputConfiguration enabled, or switch Enhanced Broadcasting off in OBS"
            }
            Code::MultitrackKey => {
                "IVS would refuse this stream (GetClientConfigurationStreamKeyRequired), Headwater carries it; let the encoder ask GetClientConfiguration for its tracks and its key, which is Enhanced Broadcasting in OBS"
            }
            Code::AudioTracks => {
                "only the first audio track reaches viewers; in OBS clear Output > Streaming > Twitch VOD Track and choose one Audio Track"
            }
            Code::AudioOnly => {
                "there are no pictures: Headwater carries sound alone, IVS refuses it; in OBS add a video source and look whether the video encoder started"
            }
            Code::VideoOnly => {
                "there is no sound; in OBS choose a device in Audio > Global Audio Devices, if sound is wanted"
            }
        }
    }

    /// The limit of IVS that this breaks.
    pub fn breach(&self) -> Option<LimitBreach> {
        let limit = match self.code {
            Code::Bitrate => IngestLimit::Bitrate,
            Code::Pixels => IngestLimit::Pixels,
            Code::PixelsPerEdge => IngestLimit::PixelsPerEdge,
            _ => return None,
        };
        Some(LimitBreach { limit, value: self.limit, measured: self.measured })
    }
}

/// A limit of IVS on what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestLimit {
    /// Bits a second.
    Bitrate,
    /// Pixels in a picture.
    Pixels,
    /// Pixels along an edge.
    PixelsPerEdge,
}

/// A limit that is not kept any more. The stream goes on all the same: where IVS disconnects, viewers here keep their picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitBreach {
    /// Which.
    pub limit: IngestLimit,
    /// The limit's value.
    pub value: u64,
    /// What was measured, above the limit.
    pub measured: u64,
}

impl LimitBreach {
    /// The limit's name in IVS' events.
    pub fn name(&self) -> &'static str {
        match self.limit {
            IngestLimit::Bitrate => "Ingest Bitrate",
            IngestLimit::Pixels | IngestLimit::PixelsPerEdge => "Ingest Resolution",
        }
    }

    /// Its unit in IVS' events.
    pub fn unit(&self) -> &'static str {
        match self.limit {
            IngestLimit::Bitrate => "bits per second",
            IngestLimit::Pixels => "total pixels",
            IngestLimit::PixelsPerEdge => "pixels per edge",
        }
    }

    /// What was measured, less the limit.
    pub fn exceeded_by(&self) -> u64 {
        self.measured.saturating_sub(self.value)
    }
}
