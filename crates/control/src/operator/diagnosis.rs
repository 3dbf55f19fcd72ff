//! How well a channel's stream is: what is wrong with its encoder, and whether its playlists keep the rules.

use super::Error;
use super::channels::named;
use crate::Control;
use crate::broadcasts::Ladder;
use headwater_live::LintSeverity;
use headwater_model::ivs::StreamHealth;
use serde::Serialize;

/// What is wrong with an encoder.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Diagnosis {
    /// The stream's id; `None` while nothing is live.
    pub stream_id: Option<String>,
    /// The stream's health.
    pub health: Option<StreamHealth>,
    /// Problems first; empty for a good encoder.
    pub findings: Vec<Symptom>,
    /// Who watches; `None` while nothing is live.
    pub audience: Option<Watching>,
    /// How the quality ladder is; `None` while nothing is live.
    pub ladder: Option<Ladder>,
}

/// How viewers fare, as their players tell it.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Watching {
    /// Viewer sessions.
    pub viewers: u64,
    /// Those that told lately.
    pub measured: u64,
    /// Of the measured ones, those whose picture stood still lately.
    pub stalled: u64,
    /// From the encoder to the picture; half of those that told are nearer.
    pub latency_p50_ms: Option<u32>,
    /// Nineteen of twenty are nearer.
    pub latency_p95_ms: Option<u32>,
    /// From the wish to play to the first picture; half of those that told were faster.
    pub startup_p50_ms: Option<u32>,
    /// Nineteen of twenty were faster.
    pub startup_p95_ms: Option<u32>,
    /// How often a picture stood still in the last minute, all viewers together.
    pub stalls_per_minute: u64,
    /// How long pictures stood still in the last minute, all viewers together.
    pub stalled_ms_per_minute: u64,
    /// Pictures that came too late to be shown in the last minute, all viewers together.
    pub dropped_frames_per_minute: u64,
    /// Who watches which rendition, most first.
    pub renditions: Vec<Share>,
    /// Bits per second of what the middle viewer plays.
    pub bitrate_p50_bps: Option<u64>,
}

/// A rendition and its viewers.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Share {
    /// The rendition's name in URLs.
    pub name: String,
    /// Viewers that asked for it last.
    pub viewers: u64,
}

impl From<headwater_live::Audience> for Watching {
    fn from(audience: headwater_live::Audience) -> Self {
        Watching {
            viewers: audience.viewers,
            measured: audience.measured,
            stalled: audience.stalled,
            latency_p50_ms: audience.latency_p50_ms,
            latency_p95_ms: audience.latency_p95_ms,
            startup_p50_ms: audience.startup_p50_ms,
            startup_p95_ms: audience.startup_p95_ms,
            stalls_per_minute: audience.last_minute.stalls,
            stalled_ms_per_minute: audience.last_minute.stalled_ms,
            dropped_frames_per_minute: audience.last_minute.dropped_frames,
            renditions: audience.renditions.into_iter().map(|(name, viewers)| Share { name, viewers }).collect(),
            bitrate_p50_bps: audience.bitrate_p50_bps,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Symptom {
    /// Stable name.
    pub code: &'static str,
    /// `problem` or `advice`.
    pub severity: &'static str,
    /// What was measured.
    pub measured: u64,
    /// What it should be at most.
    pub limit: u64,
    /// What both are counted in.
    pub unit: &'static str,
    /// What to do, with the setting of OBS.
    pub advice: &'static str,
}

/// Whether playlists keep the rules.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Conformance {
    /// The stream's id.
    pub stream_id: String,
    /// Playlists that were read, one after another as a player would.
    pub revisions: usize,
    /// Names of the rules that were checked.
    pub rules: &'static [&'static str],
    /// Each problem once, errors first.
    pub problems: Vec<Problem>,
}

/// A rule that is not kept.
#[derive(Clone, Debug, Serialize, PartialEq)]
pub struct Problem {
    /// `error` or `advice`.
    pub severity: &'static str,
    /// The rule's name.
    pub rule: &'static str,
    /// What was found.
    pub detail: String,
}

/// What is wrong with the encoder of the channel with this id, else name.
///
/// # Errors
/// [`crate::Error::NotFound`] if there is no such channel, [`crate::Error::Invalid`] if there are several.
pub async fn diagnose(control: &Control, channel: &str) -> Result<Diagnosis, Error> {
    let channel = named(control, channel).await?;
    let stream = control.broadcasts().stream(&channel.id);
    let findings = control.broadcasts().findings(&channel.id);
    Ok(Diagnosis {
        stream_id: stream.as_ref().map(|stream| stream.stream_id.clone()),
        health: stream.as_ref().map(|stream| stream.health),
        ladder: control.broadcasts().ladder(&channel.id),
        findings: findings
            .iter()
            .map(|finding| Symptom {
                code: finding.code.as_str(),
                severity: finding.severity().as_str(),
                measured: finding.measured,
                limit: finding.limit,
                unit: finding.code.unit(),
                advice: finding.advice(),
            })
            .collect(),
        audience: control.broadcasts().audience(&channel.id).map(Watching::from),
    })
}

/// Checks the playlists of the channel with this id, else name.
///
/// # Errors
/// [`crate::Error::NotBroadcasting`] while nothing is live; else as [`diagnose`].
pub async fn lint(control: &Control, channel: &str) -> Result<Conformance, Error> {
    let channel = named(control, channel).await?;
    let stream = control.broadcasts().stream(&channel.id);
    let report = control.broadcasts().conformance(&channel.id);
    let (Some(stream), Some(report)) = (stream, report) else {
        return Err(crate::Error::NotBroadcasting { channel_arn: channel.arn }.into());
    };
    let severity = |severity| if severity == LintSeverity::Error { "error" } else { "advice" };
    let problems = report.findings.into_iter();
    Ok(Conformance {
        stream_id: stream.stream_id,
        revisions: report.revisions,
        rules: report.rules,
        problems: problems
            .map(|finding| Problem { severity: severity(finding.severity), rule: finding.rule, detail: finding.detail })
            .collect(),
    })
}
