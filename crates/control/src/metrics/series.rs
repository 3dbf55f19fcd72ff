//! One metric's points, oldest first, at most one a second.

use super::{KEPT_S, Summary};
use std::collections::VecDeque;

/// Points of a metric; a point a second for [`KEPT_S`] is the most there can be.
pub(super) struct Series {
    unit: String,
    points: Points,
}

enum Points {
    /// One value at a second: what the server samples of itself. Eight bytes a point, precise to seven digits.
    Plain(VecDeque<(u32, f32)>),
    /// Any number of values at a second.
    Detailed(VecDeque<(u32, Summary)>),
}

impl Series {
    pub(super) fn plain(unit: &str) -> Self {
        Series { unit: unit.into(), points: Points::Plain(VecDeque::new()) }
    }

    pub(super) fn detailed(unit: &str) -> Self {
        Series { unit: unit.into(), points: Points::Detailed(VecDeque::new()) }
    }

    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    pub(super) fn is_empty(&self) -> bool {
        match &self.points {
            Points::Plain(points) => points.is_empty(),
            Points::Detailed(points) => points.is_empty(),
        }
    }

    /// Adds the value of a second that comes after all others; of a second that was noted, the newer value counts.
    pub(super) fn note(&mut self, second: i64, value: Summary) {
        self.forget_before(second - KEPT_S);
        let at = stored(second);
        match &mut self.points {
            Points::Plain(points) => {
                let value = (value.sum / value.count) as f32;
                match points.back_mut() {
                    Some((newest, kept)) if *newest >= at => *kept = value,
                    _ => points.push_back((at, value)),
                }
            }
            Points::Detailed(points) => match points.back_mut() {
                Some((newest, kept)) if *newest >= at => *kept = value,
                _ => points.push_back((at, value)),
            },
        }
    }

    /// Adds values at a second, which may lie before others.
    pub(super) fn add(&mut self, second: i64, summary: Summary) {
        let at = stored(second);
        match &mut self.points {
            Points::Plain(_) => self.note(second, summary),
            Points::Detailed(points) => {
                let place = points.partition_point(|(kept, _)| *kept < at);
                match points.get_mut(place) {
                    Some((kept, there)) if *kept == at => {
                        there.count += summary.count;
                        there.sum += summary.sum;
                        there.minimum = there.minimum.min(summary.minimum);
                        there.maximum = there.maximum.max(summary.maximum);
                    }
                    _ => points.insert(place, (at, summary)),
                }
                let newest = points.back().map_or(at, |(newest, _)| *newest);
                self.forget_before(i64::from(newest) - KEPT_S);
            }
        }
    }

    pub(super) fn forget_before(&mut self, second: i64) {
        let oldest = stored(second);
        match &mut self.points {
            Points::Plain(points) => {
                while points.front().is_some_and(|(at, _)| *at <= oldest) {
                    points.pop_front();
                }
            }
            Points::Detailed(points) => {
                while points.front().is_some_and(|(at, _)| *at <= oldest) {
                    points.pop_front();
                }
            }
        }
    }

    /// Points from `start` on and before `end`, ascending.
    pub(super) fn between(&self, start: i64, end: i64) -> Box<dyn Iterator<Item = (i64, Summary)> + '_> {
        let (start, end) = (stored(start), stored(end));
        match &self.points {
            Points::Plain(points) => {
                let first = points.partition_point(|(at, _)| *at < start);
                let within = points.range(first..).take_while(move |(at, _)| *at < end);
                Box::new(within.map(|(at, value)| (i64::from(*at), Summary::one(f64::from(*value)))))
            }
            Points::Detailed(points) => {
                let first = points.partition_point(|(at, _)| *at < start);
                let within = points.range(first..).take_while(move |(at, _)| *at < end);
                Box::new(within.map(|(at, summary)| (i64::from(*at), *summary)))
            }
        }
    }
}

/// Seconds since the Unix epoch as they are stored: until the year 2106.
fn stored(second: i64) -> u32 {
    u32::try_from(second.max(0)).unwrap_or(u32::MAX)
}
