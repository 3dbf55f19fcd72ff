//! Periods, and what is told of the points in one.

use super::Summary;
use super::series::Series;

/// Length of a period: 1, 5, 10 or 30 seconds, or whole minutes up to a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(i64);

impl Period {
    /// A period of so many seconds, if there is one.
    pub fn of_seconds(seconds: i64) -> Option<Period> {
        let is_one = matches!(seconds, 1 | 5 | 10 | 30) || (seconds % 60 == 0 && (60..=86_400).contains(&seconds));
        is_one.then_some(Period(seconds))
    }

    /// Its length, seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

/// What is told of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// How many values there are.
    SampleCount,
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// The value that so many percent of them do not exceed.
    Percentile(f64),
}

impl Statistic {
    /// By CloudWatch's name: `Average`, `p99.9`.
    pub fn named(name: &str) -> Option<Statistic> {
        Some(match name {
            "SampleCount" => Statistic::SampleCount,
            "Average" => Statistic::Average,
            "Sum" => Statistic::Sum,
            "Minimum" => Statistic::Minimum,
            "Maximum" => Statistic::Maximum,
            _ => {
                let percent = name.strip_prefix('p')?.parse::<f64>().ok()?;
                Statistic::Percentile(Some(percent).filter(|percent| (0.0..=100.0).contains(percent))?)
            }
        })
    }
}

/// The values of one period.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// When the period begins, seconds since the Unix epoch.
    pub start_s: i64,
    summary: Summary,
    /// Single values, as far as they are known one by one.
    values: Vec<f64>,
    /// Whether every value is known.
    whole: bool,
}

impl Point {
    /// A statistic of the period; `None` for a percentile of values that were put as a sum.
    pub fn statistic(&self, statistic: Statistic) -> Option<f64> {
        let Summary { count, sum, minimum, maximum } = self.summary;
        Some(match statistic {
            Statistic::SampleCount => count,
            Statistic::Average => sum / count,
            Statistic::Sum => sum,
            Statistic::Minimum => minimum,
            Statistic::Maximum => maximum,
            Statistic::Percentile(percent) => return self.percentile(percent),
        })
    }

    /// Nearest rank.
    fn percentile(&self, percent: f64) -> Option<f64> {
        if !self.whole {
            return None;
        }
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
        values.get(rank.saturating_sub(1)).copied()
    }

    fn add(&mut self, summary: Summary) {
        self.summary.count += summary.count;
        self.summary.sum += summary.sum;
        self.summary.minimum = self.summary.minimum.min(summary.minimum);
        self.summary.maximum = self.summary.maximum.max(summary.maximum);
        if summary.count == 1.0 || summary.minimum == summary.maximum {
            self.values.push(summary.minimum);
        } else {
            self.whole = false;
        }
    }
}

/// Periods with points, ascending; each begins at a multiple of its length.
pub(super) fn points(series: &Series, start_s: i64, end_s: i64, period: Period) -> Vec<Point> {
    let begin = |second: i64| second.div_euclid(period.0) * period.0;
    let mut points: Vec<Point> = Vec::new();
    for (second, summary) in series.between(begin(start_s), end_s) {
        let start_s = begin(second);
        if points.last().is_none_or(|point| point.start_s != start_s) {
            let nothing = Summary { count: 0.0, sum: 0.0, minimum: f64::INFINITY, maximum: f64::NEG_INFINITY };
            points.push(Point { start_s, summary: nothing, values: Vec::new(), whole: true });
        }
        if let Some(point) = points.last_mut() {
            point.add(summary);
        }
    }
    points
}
