//! What a publish session says, carried into live.

use crate::directory::{Admission, Directory, Refusal as DirectoryRefusal, Transport};
use crate::held::{Held, Wanted};
use crate::limits::UNUSABLE_MESSAGES_MAX;
use bytes::Bytes;
use headwater_live::{Claim, CutReason, Ending, Hub, Input, KeyShown, Publish, PublishError, Publisher, Superseded};
use headwater_media::{FurtherMetadata, FurtherTrack, StreamMetadata, TrackKind, flv};
use headwater_model::ivs::{Channel, MultitrackCode, Shown};
use headwater_rtmp::amf0::{Object, Value};
use headwater_rtmp::server::{PublishRequest, Refusal, Status};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;

/// One connection's publish: from the key to the live stream.
///
/// The live session is joined at the first codec configuration that we can use. Until then a stream that is on air goes on: an
/// encoder with the right key and a codec that we do not take interrupts nobody.
pub(crate) struct Broadcast {
    directory: Arc<dyn Directory>,
    hub: Hub,
    peer: SocketAddr,
    transport: Transport,
    stage: Stage,
}

enum Stage {
    Idle,
    Admitted(Admitted),
    OnAir(Admitted, Publisher),
}

struct Admitted {
    channel: Channel,
    /// The key that it showed.
    shown: Shown,
    demuxer: flv::Demuxer,
    /// The newest words of the encoder, kept for the moment of joining.
    metadata: Option<StreamMetadata>,
    claim: Claim,
    /// What came before the decision to join: some encoders' tracks must be known first.
    held: Held,
    unusable: u32,
}

/// Why a connection's publish is over.
#[derive(Debug)]
pub(crate) enum Over {
    /// We refuse, in words that encoders show.
    Refused(Refusal),
    /// Live let go of it.
    Cut(CutReason),
}

impl Broadcast {
    pub(crate) fn new(directory: Arc<dyn Directory>, hub: Hub, peer: SocketAddr, transport: Transport) -> Self {
        Broadcast { directory, hub, peer, transport, stage: Stage::Idle }
    }

    /// Looks the key up. `Err` tells the encoder why it may not publish.
    pub(crate) async fn admit(&mut self, request: &PublishRequest) -> Result<(), Refusal> {
        let key = request.key.expose();
        match self.directory.resolve(key, self.transport, self.peer).await {
            Ok(Admission { channel, shown }) => {
                let configuration = request.parameter("clientConfigId");
                if let Err(code) = channel.multitrack.admits(&shown, configuration) {
                    return Err(self.refuse(&channel, code).await);
                }
                tracing::info!(channel = channel.arn, "encoder admitted");
                let claim = Claim::parse(request.parameter("priority"));
                if claim == Claim::Invalid {
                    tracing::warn!(
                        channel = channel.arn,
                        "priority on the stream key is no number from 1 to 2147483647"
                    );
                }
                let demuxer = flv::Demuxer::new();
                self.stage = Stage::Admitted(Admitted {
                    channel,
                    shown,
                    demuxer,
                    metadata: None,
                    claim,
                    held: Held::default(),
                    unusable: 0,
                });
                Ok(())
            }
            Err(reason) => {
                tracing::warn!(key = fingerprint(key), %reason, "publish refused");
                Err(match reason {
                    DirectoryRefusal::UnknownKey => Refusal::new(Status::BadName, "wrong stream key"),
                    DirectoryRefusal::TlsRequired => Refusal::new(Status::Denied, "this channel takes rtmps only"),
                    DirectoryRefusal::Unavailable => Refusal::new(Status::Failed, "try again later"),
                })
            }
        }
    }

    /// Passes the encoder's words on.
    pub(crate) async fn metadata(&mut self, values: &Object) -> Result<(), Over> {
        let metadata = stream_metadata(values);
        match &mut self.stage {
            Stage::Idle => Ok(()),
            Stage::Admitted(admitted) => {
                admitted.metadata = Some(metadata);
                Ok(())
            }
            Stage::OnAir(admitted, publisher) => {
                let metadata = completed(metadata, &admitted.shown);
                Ok(publisher.send(Input::Metadata(metadata)).await?)
            }
        }
    }

    /// Passes an FLV body on. Waits while live is behind.
    pub(crate) async fn media(&mut self, kind: TrackKind, timestamp_ms: u32, body: Bytes) -> Result<(), Over> {
        let (Stage::Admitted(admitted) | Stage::OnAir(admitted, _)) = &mut self.stage else {
            return Ok(());
        };
        let units = match kind {
            TrackKind::Video => admitted.demuxer.video(timestamp_ms, body),
            TrackKind::Audio => admitted.demuxer.audio(timestamp_ms, body),
        };
        let units = match units {
            Ok(units) => units,
            Err(error) => return admitted.unusable(&error),
        };
        for input in units.into_iter().filter_map(Input::from_flv) {
            self.pass(input).await?;
        }
        Ok(())
    }

    /// Joins the live session when it is time, and hands input to it. The demuxer gives nothing before a configuration.
    async fn pass(&mut self, input: Input) -> Result<(), Over> {
        if let Stage::Admitted(admitted) = &mut self.stage {
            admitted.held.push(input);
            if admitted.held.lacks(admitted.wanted()) {
                return Ok(());
            }
            self.join().await?;
            if let Stage::OnAir(admitted, publisher) = &mut self.stage {
                for input in admitted.held.take() {
                    publisher.send(input).await?;
                }
            }
        } else if let Stage::OnAir(_, publisher) = &self.stage {
            publisher.send(input).await?;
        }
        Ok(())
    }

    /// Whether live has let go of it; waits for that. For ever, while it is not on air.
    pub(crate) async fn cut(&self) -> CutReason {
        match &self.stage {
            Stage::OnAir(_, publisher) => publisher.cut().await,
            Stage::Idle | Stage::Admitted(_) => std::future::pending().await,
        }
    }

    /// Leaves the live session, if it joined one.
    pub(crate) async fn finish(&mut self, ending: Ending) {
        if let Stage::OnAir(_, publisher) = std::mem::replace(&mut self.stage, Stage::Idle) {
            tracing::info!(stream_session = publisher.stream_id(), ?ending, "encoder left");
            publisher.finish(ending).await;
        }
    }

    /// Records that the channel refuses what the encoder sends; the words for it.
    async fn refuse(&self, channel: &Channel, code: MultitrackCode) -> Refusal {
        tracing::warn!(channel = channel.arn, code = code.as_str(), "publish refused");
        self.hub.refuse(channel, code).await;
        Refusal::new(Status::Denied, format!("{}: {code}", code.as_str()))
    }

    async fn join(&mut self) -> Result<(), Over> {
        let mut admitted = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Admitted(admitted) => admitted,
            stage => {
                self.stage = stage;
                return Ok(());
            }
        };
        if let Err(code) = admitted.channel.multitrack.judge(&admitted.shown, &admitted.held.video()) {
            return Err(Over::Refused(self.refuse(&admitted.channel, code).await));
        }
        let publish = Publish {
            encoder: admitted.words(),
            claim: admitted.claim,
            tracks: admitted.held.tracks(),
            key: match admitted.shown {
                Shown::Configured(_) => KeyShown::Configured,
                Shown::StreamKey | Shown::Expired => KeyShown::StreamKey,
            },
            ..Publish::new(admitted.channel.clone(), self.peer.to_string())
        };
        match self.hub.publish(publish).await {
            Ok(publisher) => {
                tracing::info!(
                    stream_session = publisher.stream_id(),
                    channel = admitted.channel.arn,
                    "encoder on air"
                );
                self.stage = Stage::OnAir(admitted, publisher);
                Ok(())
            }
            Err(PublishError::Takeover(refusal)) => {
                tracing::warn!(channel = admitted.channel.arn, code = refusal.code(), %refusal, "publish refused");
                let description = format!("{}: {refusal}", refusal.code());
                Err(Over::Refused(Refusal::new(Status::Denied, description)))
            }
            Err(error) => {
                let description = match error {
                    PublishError::ShuttingDown => "the server is stopping",
                    _ => "the stream could not be started, try again later",
                };
                tracing::error!(error = &error as &dyn std::error::Error, "publish failed");
                Err(Over::Refused(Refusal::new(Status::Failed, description)))
            }
        }
    }
}

impl Admitted {
    /// What is to be known before it joins: of an encoder that claims a priority what will be compared, and the video tracks by which
    /// channel and key judge.
    fn wanted(&self) -> Wanted {
        let tracks = if matches!(self.claim, Claim::Priority(_)) { 2 } else { 0 };
        Wanted { tracks, video: self.channel.multitrack.tracks_awaited(&self.shown) }
    }

    /// What is known of the encoder's tracks by words: its own, and what it was told to send.
    fn words(&mut self) -> Option<StreamMetadata> {
        match (self.metadata.take(), &self.shown) {
            (None, Shown::StreamKey | Shown::Expired) => None,
            (metadata, _) => Some(completed(metadata.unwrap_or_default(), &self.shown)),
        }
    }

    fn unusable(&mut self, error: &flv::Error) -> Result<(), Over> {
        match error {
            flv::Error::Codec { .. }
            | flv::Error::FourCc { .. }
            | flv::Error::Tracks { .. }
            | flv::Error::Config(_) => {
                tracing::warn!(channel = self.channel.arn, error = error as &dyn std::error::Error, "publish refused");
                Err(Over::Refused(Refusal::new(Status::Failed, error.to_string())))
            }
            // Late or damaged: the next one may be good.
            _ if self.unusable < UNUSABLE_MESSAGES_MAX => {
                self.unusable += 1;
                tracing::debug!(error = error as &dyn std::error::Error, "media message passed over");
                Ok(())
            }
            _ => {
                tracing::warn!(channel = self.channel.arn, error = error as &dyn std::error::Error, "publish refused");
                Err(Over::Refused(Refusal::new(Status::Failed, "the stream is damaged")))
            }
        }
    }
}

impl From<Superseded> for Over {
    fn from(Superseded(reason): Superseded) -> Self {
        Over::Cut(reason)
    }
}

/// What a cut encoder is told.
pub(crate) fn farewell(reason: CutReason) -> Refusal {
    match reason {
        CutReason::TakenOver => Refusal::new(Status::Denied, "another encoder took over this stream"),
        CutReason::Stopped => Refusal::new(Status::Denied, "the stream was stopped"),
        CutReason::Silent => Refusal::new(Status::Idle, "no audio or video arrived for too long"),
        CutReason::TooMuch => Refusal::new(Status::Failed, "the stream is larger than a session holds"),
        CutReason::SessionOver => Refusal::new(Status::Failed, "the stream session is over"),
    }
}

/// 32 bits of a hash: enough to tell wrong keys apart in a log, too little to find one.
fn fingerprint(key: &str) -> String {
    Sha256::digest(key.as_bytes())[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// OBS says nothing of its further tracks, and they are as it was told.
pub(crate) fn completed(mut metadata: StreamMetadata, shown: &Shown) -> StreamMetadata {
    let Shown::Configured(configuration) = shown else { return metadata };
    for (number, configured) in (0..).zip(&configuration.tracks) {
        let Some(track) = FurtherTrack::new(number) else { continue };
        let told = FurtherMetadata {
            track,
            frame_rate_millis: Some(configured.frame_rate_millis),
            video_bitrate: Some(u64::from(configured.kbps) * 1_000),
        };
        match metadata.further.iter_mut().find(|words| words.track == track) {
            Some(words) => {
                words.frame_rate_millis = words.frame_rate_millis.or(told.frame_rate_millis);
                words.video_bitrate = words.video_bitrate.or(told.video_bitrate);
            }
            None => metadata.further.push(told),
        }
    }
    metadata
}

/// What `onMetaData` says, in our units.
pub(crate) fn stream_metadata(values: &Object) -> StreamMetadata {
    let number = |name: &str| values.get(name).and_then(Value::as_number);
    let pixels = |name: &str| number(name).filter(|n| (1.0..=65_535.0).contains(n)).map(|n| n as u32);
    StreamMetadata {
        encoder: values.get("encoder").and_then(Value::as_str).map(|name| {
            name.chars().filter(|c| !c.is_control()).take(headwater_rtmp::limits::ENCODER_NAME_CHARS_MAX).collect()
        }),
        width: pixels("width"),
        height: pixels("height"),
        frame_rate_millis: number("framerate").and_then(StreamMetadata::millis_from_rate),
        video_bitrate: number("videodatarate").and_then(StreamMetadata::bits_from_kilobits),
        audio_bitrate: number("audiodatarate").and_then(StreamMetadata::bits_from_kilobits),
        further: further_metadata(values),
    }
}

/// `videoTrackIdInfoMap` of Enhanced RTMP v2: an object of objects, by the track's number.
fn further_metadata(values: &Object) -> Vec<FurtherMetadata> {
    let map = values.get("videoTrackIdInfoMap").and_then(Value::as_object);
    let words = map.into_iter().flat_map(Object::iter).filter_map(|(id, words)| {
        let (track, words) = (FurtherTrack::new(id.parse().ok()?)?, words.as_object()?);
        let number = |name: &str| words.get(name).and_then(Value::as_number);
        Some(FurtherMetadata {
            track,
            frame_rate_millis: number("framerate").and_then(StreamMetadata::millis_from_rate),
            video_bitrate: number("videodatarate").and_then(StreamMetadata::bits_from_kilobits),
        })
    });
    words.take(flv::TRACKS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_in_its_units_and_nonsense_is_none() {
        let values = Object::new()
            .with("width", 1280.0)
            .with("height", -1.0)
            .with("framerate", 29.97)
            .with("videodatarate", 2500.0)
            .with("audiodatarate", f64::NAN)
            .with("encoder", "obs\n30")
            .with(
                "videoTrackIdInfoMap",
                Value::Object(
                    Object::new()
                        .with("0", Value::Object(Object::new().with("videodatarate", 1.0)))
                        .with("1", Value::Object(Object::new().with("videodatarate", 700.0).with("framerate", 30.0)))
                        .with("x", Value::Null),
                ),
            );
        assert_eq!(
            stream_metadata(&values),
            StreamMetadata {
                encoder: Some("obs30".into()),
                width: Some(1280),
                height: None,
                frame_rate_millis: Some(29_970),
                video_bitrate: Some(2_500_000),
                audio_bitrate: None,
                further: vec![FurtherMetadata {
                    track: FurtherTrack::new(1).expect("not 0"),
                    frame_rate_millis: Some(30_000),
                    video_bitrate: Some(700_000),
                }],
            }
        );
    }

    #[test]
    fn a_fingerprint_is_short_and_steady() {
        assert_eq!(fingerprint("sk_us-east-1_abcdef").len(), 8);
        assert_eq!(fingerprint("a"), "ca978112");
    }
}
