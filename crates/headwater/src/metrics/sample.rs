//! The sampler: once a second it reads what the live streams have counted and notes IVS' metrics.
//!
//! Source of names, dimensions and units: IVS, "Monitoring with CloudWatch". `Track` is left out: a channel's ingest is
//! counted as a whole. `RecordedTime` begins with recording.

use super::{Rate, Sources};
use headwater_control::metrics::{MetricId, Metrics, Summary};
use headwater_live::IngestedRead;
use headwater_model::Timestamp;
use headwater_model::ivs::StreamHealth;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// High resolution is a second.
const EVERY: Duration = Duration::from_secs(1);
/// What is not of high resolution is noted each time so many seconds have passed.
const COARSE_S: i64 = 10;
/// Points that are too old are looked for each time so many seconds have passed.
const FORGET_S: i64 = 60;

/// Countries of a channel's viewers that have a series of their own, those with most viewers; the others are in the channel's sum only.
const COUNTRIES_MAX: usize = 30;

const BITS: &str = "Bits/Second";
const PER_SECOND: &str = "Count/Second";
const COUNT: &str = "Count";
const SECONDS: &str = "Seconds";

/// Samples until cancelled.
pub async fn run(sources: Sources, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut sampler = Sampler::default();
    loop {
        tokio::select! {
            _ = tick.tick() => sampler.sample(&sources, Timestamp::now().0 / 1_000, Instant::now()),
            () = cancel.cancelled() => return,
        }
    }
}

#[derive(Default)]
struct Sampler {
    /// What each stream session had counted the last time, and when that was.
    before: HashMap<String, (IngestedRead, Instant)>,
    coarse_before_s: Option<i64>,
    forgot_s: i64,
}

impl Sampler {
    fn sample(&mut self, sources: &Sources, second: i64, now: Instant) {
        let mut rates = BTreeMap::new();
        let mut read = HashMap::new();
        for stream in sources.hub.streams() {
            let counted = stream.ingested();
            if let Some((before, at)) = self.before.get(&stream.stream_id) {
                rates.insert(stream.channel.id.clone(), rate(before, &counted, now - *at));
            }
            read.insert(stream.stream_id.clone(), (counted, now));
        }
        self.before = read;
        let metrics = sources.control.metrics();
        note_ingest(metrics, second, &rates);
        sources.rates.replace(rates);
        // After a long pause the clock has jumped or the machine slept: what passed then was not watched.
        let passed_s = second - *self.coarse_before_s.get_or_insert(second);
        if !(0..COARSE_S).contains(&passed_s) {
            note_streams(sources, second, passed_s.clamp(0, 2 * COARSE_S));
            self.coarse_before_s = Some(second);
        }
        if second - self.forgot_s >= FORGET_S {
            metrics.forget_old(second);
            self.forgot_s = second;
        }
    }
}

fn rate(before: &IngestedRead, now: &IngestedRead, passed: Duration) -> Rate {
    let per_second = |before: u64, now: u64| now.saturating_sub(before) as f64 / passed.as_secs_f64().max(0.001);
    Rate {
        video_bits: 8.0 * per_second(before.video_bytes, now.video_bytes),
        audio_bits: 8.0 * per_second(before.audio_bytes, now.audio_bytes),
        frames: per_second(before.pictures, now.pictures),
        keyframe_interval_s: (now.keyframe_interval_ms > 0).then(|| now.keyframe_interval_ms as f64 / 1_000.0),
    }
}

fn note_ingest(metrics: &Metrics, second: i64, rates: &BTreeMap<String, Rate>) {
    let mut values = Vec::with_capacity(rates.len() * 5 + 2);
    for (channel, rate) in rates {
        let mut add = |name, unit, value| values.push((MetricId::ivs(name, Some(channel)), unit, Summary::one(value)));
        add("IngestVideoBitrate", BITS, rate.video_bits);
        add("IngestAudioBitrate", BITS, rate.audio_bits);
        add("IngestBitrate", BITS, rate.video_bits + rate.audio_bits);
        add("IngestFramerate", PER_SECOND, rate.frames);
        if let Some(interval_s) = rate.keyframe_interval_s {
            add("KeyframeInterval", SECONDS, interval_s);
        }
    }
    let all = [
        ("IngestBitrate", BITS, Summary::of(rates.values().map(|rate| rate.video_bits + rate.audio_bits))),
        ("IngestFramerate", PER_SECOND, Summary::of(rates.values().map(|rate| rate.frames))),
    ];
    let all = all.into_iter().filter_map(|(name, unit, value)| Some((MetricId::ivs(name, None), unit, value?)));
    metrics.note(second, values.into_iter().chain(all));
}

/// Streams, viewers, and the time that passed for them.
fn note_streams(sources: &Sources, second: i64, passed_s: i64) {
    let streams = sources.control.broadcasts().streams();
    if streams.is_empty() {
        return;
    }
    let passed_s = passed_s as f64;
    let mut values = Vec::new();
    let mut add = |id, unit, value| values.push((id, unit, Summary::one(value)));
    let mut viewers_in_all = None;
    for stream in &streams {
        let channel = stream.channel_arn.rsplit('/').next();
        add(MetricId::ivs("LiveInputTime", channel), SECONDS, passed_s);
        // Below zero they cannot be counted.
        if stream.viewers >= 0 {
            let viewers = stream.viewers as f64;
            *viewers_in_all.get_or_insert(0.0) += viewers;
            add(MetricId::ivs("ConcurrentViews", channel), COUNT, viewers);
            add(MetricId::ivs("LiveDeliveredTime", channel), SECONDS, viewers * passed_s);
        }
    }
    for stream in sources.hub.streams() {
        for (country, viewers) in stream.audience().countries.into_iter().take(COUNTRIES_MAX) {
            let mut id = MetricId::ivs("LiveDeliveredTime", Some(&stream.channel.id));
            id.dimensions.insert("ViewerCountryCode".into(), country);
            add(id, SECONDS, viewers as f64 * passed_s);
        }
    }
    let count = streams.len() as f64;
    add(MetricId::ivs("LiveInputTime", None), SECONDS, count * passed_s);
    add(MetricId::ivs("ConcurrentStreams", None), COUNT, count);
    add(usage("ConcurrentStreams"), COUNT, count);
    for (name, health) in [("HEALTHY", StreamHealth::Healthy), ("STARVING", StreamHealth::Starving)] {
        let so = streams.iter().filter(|stream| stream.health == health).count();
        let mut id = MetricId::ivs("ConcurrentStreams", None);
        id.dimensions.insert("Health".into(), name.into());
        add(id, COUNT, so as f64);
    }
    if let Some(viewers) = viewers_in_all {
        add(MetricId::ivs("ConcurrentViews", None), COUNT, viewers);
        add(MetricId::ivs("LiveDeliveredTime", None), SECONDS, viewers * passed_s);
        add(usage("ConcurrentViews"), COUNT, viewers);
    }
    sources.control.metrics().note(second, values);
}

/// Service Quotas' view of the same.
fn usage(resource: &str) -> MetricId {
    let dimensions = [("Service", "IVS"), ("Class", "None"), ("Type", "Resource"), ("Resource", resource)];
    MetricId {
        namespace: "AWS/Usage".into(),
        name: "ResourceCount".into(),
        dimensions: dimensions.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_control::metrics::{Period, Statistic};

    #[test]
    fn a_rate_is_what_came_in_the_time_that_passed() {
        let before = IngestedRead { video_bytes: 1_000, audio_bytes: 0, pictures: 25, keyframe_interval_ms: 0 };
        let now = IngestedRead { video_bytes: 251_000, audio_bytes: 8_000, pictures: 75, keyframe_interval_ms: 2_000 };
        let rate = rate(&before, &now, Duration::from_secs(2));
        assert_eq!((rate.video_bits, rate.audio_bits, rate.frames), (1_000_000.0, 32_000.0, 25.0));
        assert_eq!(rate.keyframe_interval_s, Some(2.0));
    }

    #[test]
    fn each_channel_and_the_account_have_their_ingest() {
        let metrics = Metrics::default();
        let rate = |frames| Rate { video_bits: 900.0, audio_bits: 100.0, frames, keyframe_interval_s: Some(2.0) };
        note_ingest(&metrics, 60, &BTreeMap::from([("a".into(), rate(25.0)), ("b".into(), rate(50.0))]));
        let minute = Period::of_seconds(60).expect("a minute is a period");
        let read = |name, channel| {
            let (points, unit) = metrics.read(MetricId::ivs(name, channel), None, 60, 120, minute);
            (points[0].statistic(Statistic::Average), unit)
        };
        assert_eq!(read("IngestBitrate", Some("a")), (Some(1_000.0), Some("Bits/Second".into())));
        assert_eq!(read("IngestFramerate", Some("b")), (Some(50.0), Some("Count/Second".into())));
        assert_eq!(read("IngestFramerate", None), (Some(37.5), Some("Count/Second".into())));
        assert_eq!(read("KeyframeInterval", Some("a")), (Some(2.0), Some("Seconds".into())));
    }
}
