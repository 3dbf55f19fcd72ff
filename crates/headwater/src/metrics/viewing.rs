//! Of the page: viewers, how they fare as their players tell it, and their requests.

use super::Sources;
use super::page::{CHANNELS_MAX, Writer};
use headwater_edge::traffic::{Kind, Outcome};
use headwater_live::Audience;
use std::fmt::Error;

/// Writes all of it.
pub(super) fn write(sources: &Sources, page: &mut Writer<'_, '_>) -> Result<(), Error> {
    by_channel(sources, page)?;
    told(sources, page)?;
    requests(sources, page)
}

/// What players of each live channel tell.
fn by_channel(sources: &Sources, page: &mut Writer<'_, '_>) -> Result<(), Error> {
    let streams = sources.hub.streams().into_iter().take(CHANNELS_MAX);
    let audiences: Vec<(String, Audience)> =
        streams.map(|stream| (stream.channel.id.clone(), stream.audience())).collect();
    let count = |of: fn(&Audience) -> u64| {
        audiences.iter().map(move |(channel, audience)| ([("channel", channel.clone())], of(audience) as f64))
    };
    let name = "headwater_stream_measured_viewers";
    page.gauges(name, "Viewers of a live stream whose players told lately how they fare", count(|a| a.measured))?;
    let name = "headwater_stream_stalls_per_minute";
    page.gauges(
        name,
        "How often a picture stood still in the last minute, all viewers",
        count(|a| a.last_minute.stalls),
    )?;
    let stalled = audiences
        .iter()
        .map(|(channel, audience)| ([("channel", channel.clone())], audience.last_minute.stalled_ms as f64 / 1_000.0));
    let name = "headwater_stream_stalled_seconds_per_minute";
    page.gauges(name, "How long pictures stood still in the last minute, all viewers", stalled)?;
    let name = "headwater_stream_dropped_frames_per_minute";
    let dropped = count(|a| a.last_minute.dropped_frames);
    page.gauges(name, "Pictures that came too late to be shown in the last minute, all viewers", dropped)?;
    let ranks = |p50: fn(&Audience) -> Option<u32>, p95: fn(&Audience) -> Option<u32>| {
        let all = audiences.iter().flat_map(move |(channel, audience)| {
            [("50", p50(audience)), ("95", p95(audience))].map(|(percentile, ms)| (channel, percentile, ms))
        });
        all.filter_map(|(channel, percentile, ms)| {
            let labels = [("channel", channel.clone()), ("percentile", percentile.to_owned())];
            Some((labels, f64::from(ms?) / 1_000.0))
        })
    };
    let latencies = ranks(|a| a.latency_p50_ms, |a| a.latency_p95_ms);
    page.gauges("headwater_stream_latency_seconds", "From the encoder to the picture, as players tell it", latencies)?;
    let startups = ranks(|a| a.startup_p50_ms, |a| a.startup_p95_ms);
    let name = "headwater_stream_startup_seconds";
    page.gauges(name, "From the wish to play to the first picture, as players tell it", startups)?;
    let shares = audiences.iter().flat_map(|(channel, audience)| {
        let row = |(rendition, viewers): &(String, u64)| {
            ([("channel", channel.clone()), ("rendition", rendition.clone())], *viewers as f64)
        };
        audience.renditions.iter().map(row).collect::<Vec<_>>()
    });
    page.gauges("headwater_stream_rendition_viewers", "Viewers by the rendition that they asked for last", shares)
}

/// What players tell, all channels together, and who was sent away.
fn told(sources: &Sources, page: &mut Writer<'_, '_>) -> Result<(), Error> {
    let told = sources.viewers.told();
    let beacons = [("heard", told.beacons.count()), ("ignored", told.beacons_ignored.count())];
    let beacons = beacons.map(|(outcome, count)| ([("outcome", outcome.to_owned())], count));
    page.counters("headwater_viewer_beacons", "Beacons of players", beacons)?;
    page.counter(
        "headwater_viewer_stalls",
        "How often a picture stood still, as players tell it",
        told.stalls.count(),
    )?;
    let name = "headwater_viewer_stalled_seconds";
    page.seconds(name, "How long pictures stood still, as players tell it", told.stalled_ms.count())?;
    let name = "headwater_viewer_dropped_frames";
    page.counter(name, "Pictures that came too late to be shown, as players tell it", told.dropped_frames.count())?;
    let limit = sources.viewers.views_max() as f64;
    page.gauge("headwater_viewers_limit", "Viewers that may watch at once", limit)?;
    let turned_away = *sources.viewers.turned_away().borrow();
    page.counter("headwater_viewers_turned_away", "Viewers sent away because as many watched as may", turned_away)
}

/// Requests of viewers.
fn requests(sources: &Sources, page: &mut Writer<'_, '_>) -> Result<(), Error> {
    let traffic = &sources.traffic;
    let waiting = traffic.waiting() as f64;
    page.gauge("headwater_edge_waiting_requests", "Requests of viewers that wait for a part or a playlist", waiting)?;
    let label = |outcome: Outcome| [("outcome", outcome.as_str().to_owned())];
    let outcomes = Outcome::ALL.map(|outcome| (label(outcome), traffic.answers(outcome)));
    page.counters("headwater_edge_requests", "Requests of viewers by how they ended", outcomes)?;
    let kind = |kind: Kind| [("kind", kind.as_str().to_owned())];
    let bytes = Kind::ALL.map(|one| (kind(one), traffic.bytes(one)));
    page.counters(
        "headwater_edge_response_bytes",
        "Bytes of answers to viewers, counted when an answer begins",
        bytes,
    )?;
    let delivery = [Kind::Media, Kind::Playlist].map(|one| (kind(one), traffic.delivery(one).read()));
    let help = "From the publication of a part or playlist to the answers of those who had waited for it";
    page.histograms("headwater_edge_delivery_seconds", help, delivery)
}
