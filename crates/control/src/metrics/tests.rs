//! Metrics in time, and their bounds.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const NOW: i64 = 1_795_498_200;

fn period(seconds: i64) -> Period {
    Period::of_seconds(seconds).unwrap()
}

fn bitrate(channel: &str) -> MetricId {
    MetricId::ivs("IngestBitrate", Some(channel))
}

fn note(metrics: &Metrics, second: i64, value: f64) {
    metrics.note(second, [(bitrate("abc"), "Bits/Second", Summary::one(value))]);
}

#[test]
fn a_period_tells_of_its_own_seconds() {
    let metrics = Metrics::default();
    for second in 0..120 {
        note(&metrics, NOW + second, second as f64);
    }
    let (points, unit) = metrics.read(bitrate("abc"), None, NOW, NOW + 120, period(60));
    assert_eq!(unit.as_deref(), Some("Bits/Second"));
    let told: Vec<_> = points
        .iter()
        .map(|point| {
            let of = |statistic| point.statistic(statistic);
            (
                point.start_s,
                of(Statistic::Average),
                of(Statistic::Minimum),
                of(Statistic::Maximum),
                of(Statistic::Percentile(50.0)),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (NOW, Some(29.5), Some(0.0), Some(59.0), Some(29.0)),
            (NOW + 60, Some(89.5), Some(60.0), Some(119.0), Some(89.0)),
        ]
    );
    let (points, _) = metrics.read(bitrate("abc"), None, NOW + 3, NOW + 12, period(5));
    assert_eq!(points.iter().map(|point| point.start_s - NOW).collect::<Vec<_>>(), [0, 5, 10]);
    assert_eq!(points[2].statistic(Statistic::Sum), Some(21.0), "the end is not within");
    assert_eq!(points[0].statistic(Statistic::SampleCount), Some(5.0));
    assert!(metrics.read(bitrate("abc"), Some("Count"), NOW, NOW + 9, period(1)).0.is_empty(), "another unit");
}

#[test]
fn a_channel_is_meant_by_its_arn_and_by_its_id() {
    let metrics = Metrics::default();
    note(&metrics, NOW, 1.0);
    let arn = "arn:aws:ivs:us-east-1:000000000000:channel/abc";
    assert_eq!(metrics.read(bitrate(arn), None, NOW, NOW + 1, period(1)).0.len(), 1);
    let filter = |value: &str| Filter { dimensions: vec![("Channel".into(), Some(value.into()))], ..Filter::default() };
    for value in ["abc", arn] {
        assert_eq!(metrics.list(&filter(value), None, 10), [bitrate("abc")]);
    }
    assert!(metrics.list(&filter("other"), None, 10).is_empty());
}

#[test]
fn points_and_metrics_are_bounded_and_age() {
    let metrics = Metrics::default();
    for second in 0..KEPT_S + 500 {
        note(&metrics, NOW + second, 1.0);
    }
    let all = metrics.read(bitrate("abc"), None, 0, NOW * 2, period(1)).0;
    assert_eq!(all.len() as i64, KEPT_S);
    let many = (0..SERIES_MAX + 10).map(|n| (bitrate(&n.to_string()), "Count", Summary::one(1.0)));
    metrics.note(NOW + KEPT_S + 500, many);
    assert_eq!((metrics.len(), metrics.refused()), (SERIES_MAX, 11));
    metrics.forget_old(NOW + 3 * KEPT_S);
    assert!(metrics.is_empty());
}

#[test]
fn what_callers_put_is_summed_up_and_bounded() {
    let metrics = Metrics::default();
    let id = |name: &str| MetricId { namespace: "App".into(), name: name.into(), dimensions: BTreeMap::new() };
    let several = Summary { count: 4.0, sum: 10.0, minimum: 1.0, maximum: 4.0 };
    metrics.put(id("m"), "Count", NOW + 5, Summary::one(7.0)).unwrap();
    metrics.put(id("m"), "Count", NOW, several).unwrap();
    metrics.put(id("m"), "Count", NOW, Summary::one(9.0)).unwrap();
    let (points, _) = metrics.read(id("m"), None, NOW, NOW + 60, period(60));
    let of = |statistic| points[0].statistic(statistic);
    assert_eq!(
        (of(Statistic::SampleCount), of(Statistic::Sum), of(Statistic::Maximum)),
        (Some(6.0), Some(26.0), Some(9.0))
    );
    assert_eq!(of(Statistic::Percentile(50.0)), None, "of a sum there are no percentiles");
    let foreign = metrics.put(bitrate("abc"), "Count", NOW, several);
    assert!(matches!(foreign, Err(Error::Invalid { .. })));
    for n in 1..PUT_SERIES_MAX {
        metrics.put(id(&n.to_string()), "Count", NOW, several).unwrap();
    }
    let one_more = metrics.put(id("more"), "Count", NOW, several);
    assert!(matches!(one_more, Err(Error::QuotaExceeded { .. })));
}

#[test]
fn lists_go_on_where_they_ended() {
    let metrics = Metrics::default();
    metrics.note(NOW, (0..5).map(|n| (bitrate(&n.to_string()), "Count", Summary::one(1.0))));
    let first = metrics.list(&Filter::default(), None, 3);
    let rest = metrics.list(&Filter::default(), first.last(), 3);
    assert_eq!([first, rest].concat(), (0..5).map(|n| bitrate(&n.to_string())).collect::<Vec<_>>());
}

#[test]
fn periods_and_statistics_are_those_of_cloudwatch() {
    assert!([1, 5, 10, 30, 60, 300, 86_400].into_iter().all(|seconds| Period::of_seconds(seconds).is_some()));
    assert!([0, -60, 2, 45, 90, 86_460].into_iter().all(|seconds| Period::of_seconds(seconds).is_none()));
    assert_eq!(Statistic::named("p99.9"), Some(Statistic::Percentile(99.9)));
    assert!(["p101", "pNaN", "p", "average", "tm99"].into_iter().all(|name| Statistic::named(name).is_none()));
}

#[test]
fn the_account_has_the_values_of_all_channels() {
    let metrics = Metrics::default();
    let all = Summary::of([1.0, 5.0]).unwrap();
    metrics.note(NOW, [(MetricId::ivs("IngestBitrate", None), "Bits/Second", all)]);
    metrics.note(NOW + 1, [(MetricId::ivs("IngestBitrate", None), "Bits/Second", Summary::one(3.0))]);
    let (points, _) = metrics.read(MetricId::ivs("IngestBitrate", None), None, NOW, NOW + 60, period(60));
    let of = |statistic| points[0].statistic(statistic).unwrap();
    assert_eq!((of(Statistic::Minimum), of(Statistic::Average), of(Statistic::Maximum)), (1.0, 3.0, 5.0));
    assert_eq!(Summary::of([]), None);
}
