//! Metrics as CloudWatch knows them: by name space, name and dimensions, second by second for three hours.
//!
//! Source: CloudWatch `monitoring` 2010-08-01. IVS' metrics stand in the name space [`IVS`]; who samples them calls
//! [`Metrics::note`] once a second. Callers put their own with [`Metrics::put`]. Nothing here is durable: after a restart
//! the three hours begin anew. Left out: what is older, alarms, expressions.
//!
//! | module | what stands there |
//! |---|---|
//! | `series` | one metric's points, bounded |
//! | [`statistics`] | periods and what is told of them |

mod series;
pub mod statistics;
#[cfg(test)]
mod tests;

pub use statistics::{Period, Point, Statistic};

use crate::Error;
use series::Series;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The name space of IVS' metrics.
pub const IVS: &str = "AWS/IVS";
/// Seconds that points are kept: three hours, as CloudWatch keeps those of less than a minute.
pub const KEPT_S: i64 = 10_800;
/// Metrics of the server itself. 200 live channels have about 2,000; each takes 86 KB after three hours if it has a
/// point a second, and next to nothing if it has one a minute.
pub const SERIES_MAX: usize = 4_000;
/// Metrics that callers put. Each takes half a megabyte at most.
pub const PUT_SERIES_MAX: usize = 256;
/// Dimensions of a metric (CloudWatch quota).
pub const DIMENSIONS_MAX: usize = 30;
/// Dimension of IVS' metrics whose value may be given as an ARN or as the bare id.
const CHANNEL: &str = "Channel";

/// Which metric is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricId {
    /// Such as `AWS/IVS`.
    pub namespace: String,
    /// Such as `IngestFramerate`.
    pub name: String,
    /// By name. A metric with other dimensions is another metric.
    pub dimensions: BTreeMap<String, String>,
}

impl MetricId {
    /// A metric of IVS: of the whole account, or of a channel by its id.
    pub fn ivs(name: &str, channel_id: Option<&str>) -> Self {
        let dimensions = channel_id.map(|id| (CHANNEL.to_owned(), id.to_owned())).into_iter().collect();
        MetricId { namespace: IVS.into(), name: name.into(), dimensions }
    }

    /// Whether the server itself measures it.
    fn is_of_server(&self) -> bool {
        self.namespace.starts_with("AWS/")
    }

    /// IVS' documentation has channels' ARNs for some metrics and bare ids for others, and callers mix them: both mean
    /// the channel.
    fn canonical(mut self) -> Self {
        if self.namespace == IVS
            && let Some(channel) = self.dimensions.get_mut(CHANNEL)
            && let Some((_, id)) = channel.rsplit_once(":channel/")
        {
            *channel = id.into();
        }
        self
    }
}

/// Several values of a moment as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The least.
    pub minimum: f64,
    /// The greatest.
    pub maximum: f64,
}

impl Summary {
    /// Several values; `None` of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        values.into_iter().map(Summary::one).reduce(|one, other| Summary {
            count: one.count + other.count,
            sum: one.sum + other.sum,
            minimum: one.minimum.min(other.minimum),
            maximum: one.maximum.max(other.maximum),
        })
    }

    /// One value.
    pub fn one(value: f64) -> Self {
        Summary { count: 1.0, sum: value, minimum: value, maximum: value }
    }
}

/// What [`Metrics::list`] asks for; what is `None` or empty is not asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The name space.
    pub namespace: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// Dimensions that it must have, some with a value.
    pub dimensions: Vec<(String, Option<String>)>,
}

/// Every metric's recent past.
#[derive(Default)]
pub struct Metrics(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    series: BTreeMap<MetricId, Series>,
    /// How many of them callers put.
    put: usize,
    refused: u64,
}

impl Metrics {
    /// Notes values of this second, seconds since the Unix epoch, with their units. What finds no room is counted and
    /// left out. Several values at once, such as those of all channels, are kept as a [`Summary`]; a metric has one or
    /// several at every second.
    pub fn note(&self, second: i64, values: impl IntoIterator<Item = (MetricId, &'static str, Summary)>) {
        let mut kept = self.lock();
        for (id, unit, value) in values {
            let has_room = kept.series.len() - kept.put < SERIES_MAX;
            match kept.series.get_mut(&id) {
                Some(series) => series.note(second, value),
                None if has_room => {
                    // A metric without dimensions is of the whole account, so there are few of them.
                    let few = id.dimensions.is_empty();
                    let mut series = if few { Series::detailed(unit) } else { Series::plain(unit) };
                    series.note(second, value);
                    kept.series.insert(id, series);
                }
                None => kept.refused += 1,
            }
        }
    }

    /// Takes what a caller measured at a second.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] if there are too many metrics; [`Error::Invalid`] if the name space is AWS'.
    pub fn put(&self, id: MetricId, unit: &str, second: i64, summary: Summary) -> Result<(), Error> {
        if id.is_of_server() {
            return Err(Error::invalid("The value AWS/ for parameter Namespace is invalid."));
        }
        if id.dimensions.len() > DIMENSIONS_MAX {
            return Err(Error::invalid(format!("a metric may have {DIMENSIONS_MAX} dimensions")));
        }
        let mut kept = self.lock();
        if let Some(series) = kept.series.get_mut(&id) {
            series.add(second, summary);
            return Ok(());
        }
        if kept.put >= PUT_SERIES_MAX {
            return Err(Error::QuotaExceeded { quota: "custom metrics", limit: PUT_SERIES_MAX as u64 });
        }
        let mut series = Series::detailed(unit);
        series.add(second, summary);
        kept.series.insert(id, series);
        kept.put += 1;
        Ok(())
    }

    /// Forgets points older than [`KEPT_S`], and metrics without any.
    pub fn forget_old(&self, now_s: i64) {
        let mut kept = self.lock();
        kept.series.retain(|_, series| {
            series.forget_before(now_s - KEPT_S);
            !series.is_empty()
        });
        kept.put = kept.series.keys().filter(|id| !id.is_of_server()).count();
    }

    /// Metrics that have points, in order, from the one after `after`; at most `limit`.
    pub fn list(&self, filter: &Filter, after: Option<&MetricId>, limit: usize) -> Vec<MetricId> {
        use std::ops::Bound::{Excluded, Unbounded};
        let fits = |id: &&MetricId| {
            filter.namespace.as_ref().is_none_or(|wanted| *wanted == id.namespace)
                && filter.name.as_ref().is_none_or(|wanted| *wanted == id.name)
                && filter.dimensions.iter().all(|(name, value)| {
                    let wanted = value.as_ref().map(|value| channel_id(&id.namespace, name, value));
                    id.dimensions.get(name).is_some_and(|has| wanted.is_none_or(|wanted| wanted == has))
                })
        };
        let kept = self.lock();
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        let ids = kept.series.range::<MetricId, _>(range).map(|(id, _)| id);
        ids.filter(fits).take(limit).cloned().collect()
    }

    /// What is known of a metric in each period from `start_s` on and before `end_s`, ascending; periods without a point
    /// are left out. With a unit, only if it is the metric's. Second comes the metric's unit.
    pub fn read(
        &self,
        id: MetricId,
        unit: Option<&str>,
        start_s: i64,
        end_s: i64,
        period: Period,
    ) -> (Vec<Point>, Option<String>) {
        let kept = self.lock();
        let Some(series) = kept.series.get(&id.canonical()) else { return (Vec::new(), None) };
        if unit.is_some_and(|unit| unit != series.unit()) {
            return (Vec::new(), None);
        }
        (statistics::points(series, start_s, end_s, period), Some(series.unit().to_owned()))
    }

    /// Values that found no room.
    pub fn refused(&self) -> u64 {
        self.lock().refused
    }

    /// How many metrics there are.
    pub fn len(&self) -> usize {
        self.lock().series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The map is whole at each step, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn channel_id<'a>(namespace: &str, name: &str, value: &'a str) -> &'a str {
    if namespace == IVS && name == CHANNEL { value.rsplit(":channel/").next().unwrap_or(value) } else { value }
}
