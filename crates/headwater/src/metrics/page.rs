//! The page for Prometheus: every room's figures as they are when it is asked for.
//!
//! Format: OpenMetrics 1.0, which Prometheus, Grafana Alloy and the collectors of OpenTelemetry read. Units stand in the
//! names. A channel's id is a label of figures of live streams only, so there are as many rows as live streams, and at
//! most [`CHANNELS_MAX`].

use super::{Rate, Sources, viewing};
use headwater_model::ivs::StreamHealth;
use headwater_model::measure::{BOUNDS_US, DurationsRead};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt::Error;

/// The page's media type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Channels that have rows of their own.
pub(super) const CHANNELS_MAX: usize = 1_000;

/// The page as it is now.
pub fn text(sources: &Sources) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(sources.clone())));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        tracing::error!(%error, "the page of metrics cannot be written");
    }
    text
}

struct Page(Sources);

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let mut page = Writer(&mut encoder);
        streams(&self.0, &mut page)?;
        viewing::write(&self.0, &mut page)?;
        ingest(&self.0.rates.read(), &mut page)?;
        events(&self.0, &mut page)?;
        calls(&self.0, &mut page)
    }
}

/// Live streams and who watches them.
fn streams(sources: &Sources, page: &mut Writer<'_, '_>) -> Result<(), Error> {
    let live = sources.hub.streams();
    let with_health = |health| live.iter().filter(|stream| stream.health() == health).count() as f64;
    let health = [("healthy", StreamHealth::Healthy), ("starving", StreamHealth::Starving)];
    let health = health.map(|(name, health)| ([("health", name.to_owned())], with_health(health)));
    page.gauges("headwater_live_streams", "Streams that are live, by the health of their ingest", health)?;
    let mut ladders = BTreeMap::<&str, f64>::new();
    for stream in &live {
        *ladders.entry(stream.offer().ladder.as_str()).or_default() += 1.0;
    }
    let ladders = ladders.into_iter().map(|(state, count)| ([("state", state.to_owned())], count));
    page.gauges("headwater_ladders", "Live streams by the state of their quality ladder", ladders)?;
    let totals = sources.hub.totals();
    page.counter("headwater_stream_sessions", "Stream sessions that began", totals.sessions.count())?;
    page.counter("headwater_parts", "Parts of source renditions that were published", totals.parts.count())?;
    let takeovers = [("accepted", totals.takeovers.count()), ("refused", totals.takeovers_refused.count())];
    let takeovers = takeovers.map(|(outcome, count)| ([("outcome", outcome.to_owned())], count));
    page.counters("headwater_takeovers", "Publishers that came while another was connected", takeovers)?;
    let streams = sources.control.broadcasts().streams();
    let counted = || streams.iter().filter(|stream| stream.viewers >= 0);
    let viewers: i64 = counted().map(|stream| stream.viewers).sum();
    page.gauge("headwater_viewers", "Viewers of all live streams", viewers as f64)?;
    let by_channel = counted().take(CHANNELS_MAX).map(|stream| {
        let channel = stream.channel_arn.rsplit('/').next().unwrap_or_default().to_owned();
        ([("channel", channel)], stream.viewers as f64)
    });
    page.gauges("headwater_stream_viewers", "Viewers of a live stream", by_channel)
}

/// What comes in on each live channel.
fn ingest(rates: &BTreeMap<String, Rate>, page: &mut Writer<'_, '_>) -> Result<(), Error> {
    let of = |figure: fn(&Rate) -> Option<f64>| {
        let rows = rates.iter().take(CHANNELS_MAX);
        rows.filter_map(move |(channel, rate)| Some(([("channel", channel.clone())], figure(rate)?)))
    };
    page.gauges("headwater_ingest_video_bits_per_second", "Pictures that come in", of(|rate| Some(rate.video_bits)))?;
    page.gauges("headwater_ingest_audio_bits_per_second", "Sound that comes in", of(|rate| Some(rate.audio_bits)))?;
    page.gauges("headwater_ingest_frames_per_second", "Pictures that come in", of(|rate| Some(rate.frames)))?;
    let interval = of(|rate| rate.keyframe_interval_s);
    page.gauges("headwater_ingest_keyframe_interval_seconds", "Between the newest two keyframes", interval)
}

/// Deliveries, functions, the store.
fn events(sources: &Sources, page: &mut Writer<'_, '_>) -> Result<(), Error> {
    let outcomes = sources.control.delivered();
    let deliveries = [
        ("delivered", outcomes.delivered.count()),
        ("retried", outcomes.retried.count()),
        ("refused", outcomes.refused.count()),
    ];
    let deliveries = deliveries.map(|(outcome, count)| ([("outcome", outcome.to_owned())], count));
    page.counters("headwater_event_deliveries", "Tries to bring an event to a target", deliveries)?;
    let invoked = sources.functions.invoked();
    page.counter("headwater_function_errors", "Invocations in which the function failed", invoked.failed.count())?;
    page.counter("headwater_function_refusals", "Invocations that did not run", invoked.refused.count())?;
    let took = [([] as [(&str, String); 0], invoked.took.read())];
    page.histograms("headwater_function_invocation_seconds", "How long invocations took", took)?;
    let commits = [([] as [(&str, String); 0], sources.commits.read())];
    page.histograms(
        "headwater_store_commit_seconds",
        "How long commits took, the wait for their turn included",
        commits,
    )
}

/// Calls of the AWS-compatible services, and what is kept for CloudWatch.
fn calls(sources: &Sources, page: &mut Writer<'_, '_>) -> Result<(), Error> {
    let rows = sources.requests.rows().into_iter().map(|(row, count)| {
        let status = row.status.to_string();
        ([("service", row.service.to_owned()), ("operation", row.operation), ("status", status)], count)
    });
    page.counters("headwater_gateway_requests", "Calls of the AWS-compatible services", rows)?;
    let took = sources.requests.took().into_iter().map(|(service, took)| ([("service", service.to_owned())], took));
    page.histograms("headwater_gateway_request_seconds", "How long those calls took", took)?;
    let metrics = sources.control.metrics();
    page.gauge("headwater_metric_series", "Metrics that are kept for CloudWatch's operations", metrics.len() as f64)?;
    page.counter("headwater_metric_values_refused", "Values that found no room there", metrics.refused())
}

/// Writes families of metrics.
pub(super) struct Writer<'w, 'e>(&'w mut DescriptorEncoder<'e>);

impl Writer<'_, '_> {
    fn family<'s>(&'s mut self, name: &'s str, help: &str, kind: MetricType) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.family(name, help, MetricType::Gauge)?.encode_gauge(&value)
    }

    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = ([(&'static str, String); N], f64)>,
    ) -> Result<(), Error> {
        let mut family = self.family(name, help, MetricType::Gauge)?;
        rows.into_iter().try_for_each(|(labels, value)| family.encode_family(&labels)?.encode_gauge(&value))
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, count: u64) -> Result<(), Error> {
        self.family(name, help, MetricType::Counter)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
    }

    /// Seconds, counted in milliseconds.
    pub(super) fn seconds(&mut self, name: &str, help: &str, ms: u64) -> Result<(), Error> {
        let seconds = ms as f64 / 1_000.0;
        self.family(name, help, MetricType::Counter)?.encode_counter::<NoLabelSet, _, u64>(&seconds, None)
    }

    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = ([(&'static str, String); N], u64)>,
    ) -> Result<(), Error> {
        let mut family = self.family(name, help, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, count)| {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
        })
    }

    pub(super) fn histograms<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = ([(&'static str, String); N], DurationsRead)>,
    ) -> Result<(), Error> {
        let mut family = self.family(name, help, MetricType::Histogram)?;
        rows.into_iter().try_for_each(|(labels, took)| {
            // The library adds the buckets up.
            let bounds = BOUNDS_US.iter().map(|bound_us| *bound_us as f64 / 1e6).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(took.buckets).collect();
            let (sum, count) = (took.sum_us as f64 / 1e6, took.buckets.iter().sum());
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })
    }
}
