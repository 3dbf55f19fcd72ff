//! Shapes of the service model `ivs` 2020-07-14, read and written.

use super::{recording, slates};
use crate::{Input, ServiceError};
use headwater_control::Control;
use headwater_control::broadcasts::LiveStream;
use headwater_control::ivs::channels::{Settings, ingest_endpoint, playback_url};
use headwater_model::ivs::{AudioIngest, Channel, MultitrackInput, StreamEvent, StreamKey, StreamSession, VideoIngest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Name of a track: `Track0` is the first, and the only one of most encoders (IVS, `VideoConfiguration.track`).
fn track_name(index: usize) -> String {
    format!("Track{index}")
}

/// A member that is one of an enumeration's texts.
pub(super) fn choice<T: DeserializeOwned>(input: &Input, name: &str) -> Result<Option<T>, ServiceError> {
    let Some(text) = input.text(name)? else { return Ok(None) };
    serde_json::from_value(Value::from(text))
        .map(Some)
        .map_err(|_| ServiceError::validation(format!("{name} does not have the value {text}")))
}

/// Members of `CreateChannelRequest` and `UpdateChannelRequest`.
pub(super) fn settings(input: &Input) -> Result<Settings, ServiceError> {
    let text = |name: &str| input.text(name).map(|text| text.map(String::from));
    let multitrack = match input.structure("multitrackInputConfiguration")? {
        None => None,
        Some(members) => Some(MultitrackInput {
            enabled: members.boolean("enabled")?.unwrap_or(false),
            policy: choice(&members, "policy")?,
            maximum_resolution: choice(&members, "maximumResolution")?,
        }),
    };
    Ok(Settings {
        name: text("name")?,
        latency_mode: choice(input, "latencyMode")?,
        channel_type: choice(input, "type")?,
        preset: text("preset")?,
        authorized: input.boolean("authorized")?,
        insecure_ingest: input.boolean("insecureIngest")?,
        recording_configuration_arn: text("recordingConfigurationArn")?,
        playback_restriction_policy_arn: text("playbackRestrictionPolicyArn")?,
        ad_configuration_arn: text("adConfigurationArn")?,
        failover_slate_configuration_arn: text("failoverSlateConfigurationArn")?,
        multitrack,
        container_format: choice(input, "containerFormat")?,
    })
}

/// An enumeration's text.
pub(super) fn name_of(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// `ChannelSummary`. Members of configurations that no version of the model before theirs knows are left out while
/// they are empty.
pub(super) fn channel_summary(channel: &Channel) -> Value {
    let mut members = json!({
        "arn": channel.arn,
        "name": channel.name,
        "latencyMode": name_of(channel.latency_mode),
        "type": name_of(channel.channel_type),
        "preset": channel.preset,
        "authorized": channel.authorized,
        "insecureIngest": channel.insecure_ingest,
        "recordingConfigurationArn": channel.recording_configuration_arn,
        "playbackRestrictionPolicyArn": channel.playback_restriction_policy_arn,
        "tags": channel.tags,
    });
    for (name, arn) in [
        ("adConfigurationArn", &channel.ad_configuration_arn),
        ("failoverSlateConfigurationArn", &channel.failover_slate_configuration_arn),
    ] {
        if !arn.is_empty() {
            members[name] = arn.as_str().into();
        }
    }
    members
}

/// `Channel`.
pub(super) fn channel(control: &Control, channel: &Channel) -> Value {
    let mut members = channel_summary(channel);
    members["ingestEndpoint"] = ingest_endpoint(control).into();
    members["playbackUrl"] = playback_url(control, channel).into();
    members["srt"] = json!({"endpoint": ingest_endpoint(control), "passphrase": channel.srt_passphrase.expose()});
    members["containerFormat"] = name_of(channel.container_format);
    let multitrack = channel.multitrack;
    let mut configuration = Map::from_iter([("enabled".to_string(), multitrack.enabled.into())]);
    if let Some(policy) = multitrack.policy {
        configuration.insert("policy".into(), name_of(policy));
    }
    if let Some(resolution) = multitrack.maximum_resolution {
        configuration.insert("maximumResolution".into(), name_of(resolution));
    }
    members["multitrackInputConfiguration"] = configuration.into();
    members
}

/// `StreamKey`, with its value: for its owner.
pub(super) fn stream_key(key: &StreamKey) -> Value {
    let mut members = stream_key_summary(key);
    members["value"] = key.value.expose().into();
    members
}

/// `StreamKeySummary`, without the value.
pub(super) fn stream_key_summary(key: &StreamKey) -> Value {
    json!({"arn": key.arn, "channelArn": key.channel_arn, "tags": key.tags})
}

/// `StreamSummary`.
pub(super) fn stream_summary(stream: &LiveStream) -> Value {
    json!({
        "channelArn": stream.channel_arn,
        "streamId": stream.stream_id,
        "startTime": stream.started_at.iso_seconds(),
        "state": "LIVE",
        "health": name_of(stream.health),
        "viewerCount": stream.viewers,
    })
}

/// `StreamSessionSummary`; a session that lasts has no end.
pub(super) fn stream_session_summary(session: &StreamSession) -> Value {
    let mut members = json!({
        "streamId": session.stream_id,
        "startTime": session.start_time.iso_seconds(),
        "hasErrorEvent": session.has_error_event,
    });
    if let Some(end) = session.end_time {
        members["endTime"] = end.iso_seconds().into();
    }
    members
}

/// `StreamSession`.
pub(super) fn stream_session(control: &Control, session: &StreamSession) -> Value {
    let mut members = json!({
        "streamId": session.stream_id,
        "startTime": session.start_time.iso_seconds(),
        "channel": channel(control, &session.channel),
    });
    if let Some(end) = session.end_time {
        members["endTime"] = end.iso_seconds().into();
    }
    if let Some(configuration) = &session.recording_configuration {
        members["recordingConfiguration"] = recording::members(configuration);
    }
    if let Some(slate) = &session.failover_slate {
        members["failoverSlateConfiguration"] = slates::members(slate);
    }
    let (video, audio) = (&session.video, &session.audio);
    if !video.is_empty() || !audio.is_empty() {
        // The deprecated form knows the first track of each kind.
        let mut deprecated = Map::new();
        if let Some(video) = video.first() {
            deprecated.insert("video".into(), deprecated_video(video));
        }
        if let Some(audio) = audio.first() {
            deprecated.insert("audio".into(), deprecated_audio(audio));
        }
        members["ingestConfiguration"] = deprecated.into();
        members["ingestConfigurations"] = json!({
            "videoConfigurations": (0..).zip(video).map(video_configuration).collect::<Vec<_>>(),
            "audioConfigurations": (0..).zip(audio).map(audio_configuration).collect::<Vec<_>>(),
        });
    }
    let newest_first: Vec<Value> = session.events.iter().rev().map(stream_event).collect();
    members["truncatedEvents"] = newest_first.into();
    members
}

fn stream_event(event: &StreamEvent) -> Value {
    let mut members =
        json!({"name": event.name, "type": event.event_type, "eventTime": event.event_time.iso_seconds()});
    if !event.code.is_empty() {
        members["code"] = event.code.as_str().into();
    }
    members
}

/// The newer form: profile and level in members of their own, the older ones empty.
fn video_configuration((track, video): (usize, &VideoIngest)) -> Value {
    let (profile, level) = avc_profile_level(&video.codec);
    let mut members = video_members(video);
    members["avcProfile"] = "".into();
    members["avcLevel"] = "".into();
    members["profile"] = profile.into();
    members["level"] = level.into();
    members["track"] = track_name(track).into();
    members
}

fn deprecated_video(video: &VideoIngest) -> Value {
    let (profile, level) = avc_profile_level(&video.codec);
    let mut members = video_members(video);
    members["avcProfile"] = profile.into();
    members["avcLevel"] = level.into();
    members
}

fn video_members(video: &VideoIngest) -> Value {
    json!({
        "codec": video.codec,
        "encoder": video.encoder,
        "targetBitrate": video.target_bitrate,
        "targetFramerate": video.target_framerate,
        "videoHeight": video.height,
        "videoWidth": video.width,
    })
}

fn audio_configuration((track, audio): (usize, &AudioIngest)) -> Value {
    let mut members = deprecated_audio(audio);
    members["track"] = track_name(track).into();
    members
}

fn deprecated_audio(audio: &AudioIngest) -> Value {
    json!({
        "codec": audio.codec,
        "targetBitrate": audio.target_bitrate,
        "sampleRate": audio.sample_rate,
        "channels": audio.channels,
    })
}

/// Profile and level in words from `avc1.PPCCLL` (RFC 6381 section 3.3: profile_idc, constraints, level_idc in hex);
/// empty for other codecs.
fn avc_profile_level(codec: &str) -> (String, String) {
    let hex = codec.strip_prefix("avc1.").or_else(|| codec.strip_prefix("avc3.")).unwrap_or("");
    let byte = |at: usize| hex.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let (Some(profile), Some(constraints), Some(level)) = (byte(0), byte(2), byte(4)) else {
        return Default::default();
    };
    // H.264 Annex A.2: constraint_set1_flag in profile 66 makes the constrained baseline profile.
    let profile = match profile {
        66 if constraints & 0x40 != 0 => "Constrained Baseline".into(),
        66 => "Baseline".into(),
        77 => "Main".into(),
        88 => "Extended".into(),
        100 => "High".into(),
        110 => "High 10".into(),
        122 => "High 4:2:2".into(),
        244 => "High 4:4:4 Predictive".into(),
        other => other.to_string(),
    };
    (profile, format!("{}.{}", level / 10, level % 10))
}

/// `BatchErrors` for ARNs of which there is nothing.
pub(super) fn missing(arns: &[String]) -> Vec<Value> {
    arns.iter()
        .map(|arn| json!({"arn": arn, "code": "ResourceNotFoundException", "message": "Resource does not exist."}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_and_level_are_told_in_words() {
        let pair = |codec| avc_profile_level(codec);
        assert_eq!(pair("avc1.42C028"), ("Constrained Baseline".into(), "4.0".into()));
        assert_eq!(pair("avc1.64001F"), ("High".into(), "3.1".into()));
        assert_eq!(pair("hvc1.1.6.L93.B0"), (String::new(), String::new()));
        assert_eq!(pair("avc1.ü"), (String::new(), String::new()));
    }
}
