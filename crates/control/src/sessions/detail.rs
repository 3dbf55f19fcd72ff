//! What happens to a session, as IVS tells it: names, detail-types and the exact members of each event's detail.
//!
//! Source: IVS "Using Amazon EventBridge with Amazon IVS". A detail never holds the channel's ARN: that is the event's
//! resource.

use headwater_live::SessionEventKind;
use headwater_model::event::Event;
use headwater_model::ivs::{Channel, RecordingState, StreamEvent, StreamSession};
use headwater_model::{Timestamp, id};
use serde_json::{Value, json};

const STATE_CHANGE: &str = "IVS Stream State Change";
const HEALTH_CHANGE: &str = "IVS Stream Health Change";
const LIMIT_BREACH: &str = "IVS Limit Breach";
const AD_BREAK: &str = "IVS Ad Break State Change";
const RECORDING: &str = "IVS Recording State Change";
/// Characters of `recording_session_id` in the documentation's samples.
const RECORDING_SESSION_ID_LENGTH: usize = 16;
/// Why no recording begins: nothing writes recordings yet.
const NOT_RECORDED: &str = "RecordingNotImplemented: this server does not write recordings yet";
/// Why no recording begins: the documentation's reason for a configuration that cannot be used.
const UNUSABLE: &str = "ValidationException: the recording configuration is not ACTIVE";

/// One event of a session.
pub(super) struct Told {
    name: &'static str,
    detail_type: &'static str,
    code: &'static str,
    detail: Value,
    /// Whether the session is marked by it (`hasErrorEvent`).
    pub(super) is_error: bool,
}

impl Told {
    /// Its line in `truncatedEvents`.
    pub(super) fn line(&self, at: Timestamp) -> StreamEvent {
        StreamEvent {
            name: self.name.into(),
            event_type: self.detail_type.into(),
            event_time: at,
            code: self.code.into(),
        }
    }

    /// It as rules see it.
    pub(super) fn event(&self, channel: &Channel, at: Timestamp) -> Event {
        Event {
            id: uuid::Uuid::new_v4().to_string(),
            source: "aws.ivs".into(),
            detail_type: self.detail_type.into(),
            time: at,
            resources: vec![channel.arn.clone()],
            detail: self.detail.clone(),
        }
    }
}

/// The events that a change makes: one, and that of the recording when the stream of a channel with a recording
/// configuration starts.
pub(super) fn told(session: &StreamSession, kind: &SessionEventKind) -> Vec<Told> {
    let of_state = |name| state(session, name, STATE_CHANGE);
    match kind {
        SessionEventKind::Created => vec![of_state("Session Created")],
        SessionEventKind::Start { .. } => {
            std::iter::once(of_state("Stream Start")).chain(recording_start(session)).collect()
        }
        SessionEventKind::End => vec![of_state("Stream End")],
        SessionEventKind::Ended => vec![of_state("Session Ended")],
        SessionEventKind::Refused(code) => {
            let mut ended = Told { code: code.as_str(), is_error: true, ..of_state("Session Ended") };
            ended.detail["code"] = code.as_str().into();
            vec![of_state("Session Created"), ended]
        }
        SessionEventKind::Takeover => vec![of_state("Stream Takeover")],
        SessionEventKind::TakeoverFailure(refusal) => {
            let mut told = Told { code: refusal.code(), is_error: true, ..of_state("Stream Takeover Failure") };
            told.detail["code"] = refusal.code().into();
            vec![told]
        }
        SessionEventKind::StarvationStart => vec![state(session, "Starvation Start", HEALTH_CHANGE)],
        SessionEventKind::StarvationEnd => vec![state(session, "Starvation End", HEALTH_CHANGE)],
        SessionEventKind::LimitBreach(breach) => vec![Told {
            name: breach.name(),
            detail_type: LIMIT_BREACH,
            code: "",
            detail: json!({
                "limit_name": breach.name(),
                "limit_value": breach.value,
                "exceeded_by": breach.exceeded_by(),
                "limit_unit": breach.unit(),
                "channel_name": session.channel.name,
                "stream_id": session.stream_id,
            }),
            is_error: true,
        }],
        SessionEventKind::AdBreak(ad_break) => {
            let mut told = state(session, "Ad Break Inserted", AD_BREAK);
            told.detail["ad_break_id"] = ad_break.id.as_str().into();
            told.detail["duration_seconds"] = ad_break.duration_s.into();
            told.detail["target_start_time"] = ad_break.target_start.iso_millis().into();
            vec![told]
        }
    }
}

fn state(session: &StreamSession, name: &'static str, detail_type: &'static str) -> Told {
    let detail = json!({"event_name": name, "channel_name": session.channel.name, "stream_id": session.stream_id});
    Told { name, detail_type, code: "", detail, is_error: false }
}

/// Until recordings are written, each fails to start, and says why.
fn recording_start(session: &StreamSession) -> Option<Told> {
    let name = "Recording Start Failure";
    if session.channel.recording_configuration_arn.is_empty() {
        return None;
    }
    let configuration = session.recording_configuration.as_ref();
    let is_usable = configuration.is_some_and(|configuration| configuration.state == RecordingState::Active);
    let detail = json!({
        "channel_name": session.channel.name,
        "stream_id": session.stream_id,
        "recording_status": name,
        "recording_status_reason": if is_usable { NOT_RECORDED } else { UNUSABLE },
        "recording_s3_bucket_name": configuration.map_or("", |configuration| configuration.bucket.as_str()),
        "recording_s3_key_prefix": "",
        "recording_duration_ms": 0,
        "recording_session_id": id::random_alphanumeric(RECORDING_SESSION_ID_LENGTH),
    });
    Some(Told { name, detail_type: RECORDING, code: "", detail, is_error: true })
}

/// The account-level event of a stream that is refused because there are too many. Of it, and of it alone, no channel is
/// told.
pub(crate) fn too_many_broadcasts(limit: u64, at: Timestamp) -> Event {
    too_many("Concurrent Broadcasts", limit, "active streams", at)
}

/// The account-level event of a viewer who is sent away because as many watch as may.
pub(crate) fn too_many_viewers(limit: u64, at: Timestamp) -> Event {
    too_many("Concurrent Viewers", limit, "viewers", at)
}

/// One more than the account may have: whoever that is was refused, so it is exceeded by one.
fn too_many(name: &str, limit: u64, unit: &str, at: Timestamp) -> Event {
    Event {
        id: uuid::Uuid::new_v4().to_string(),
        source: "aws.ivs".into(),
        detail_type: LIMIT_BREACH.into(),
        time: at,
        resources: Vec::new(),
        detail: json!({
            "limit_name": name,
            "limit_value": limit,
            "exceeded_by": 1,
            "limit_unit": unit,
        }),
    }
}
