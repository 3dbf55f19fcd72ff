//! Metrics: the rooms count, this module asks them. [`page`] writes the text for Prometheus when it is scraped, [`sample`]
//! puts the same figures once a second where CloudWatch's operations find them.

pub mod page;
pub mod sample;
mod viewing;

use headwater_control::Control;
use headwater_edge::{Traffic, Viewers};
use headwater_functions::Functions;
use headwater_gateway::Requests;
use headwater_live::Hub;
use headwater_model::measure::Durations;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Whom to ask.
#[derive(Clone)]
pub struct Sources {
    /// Live streams.
    pub hub: Hub,
    /// Operations, viewers, deliveries.
    pub control: Control,
    /// Invocations.
    pub functions: Functions,
    /// Calls of the AWS-compatible services.
    pub requests: Arc<Requests>,
    /// How long commits took.
    pub commits: Arc<Durations>,
    /// Who watches, and what players tell.
    pub viewers: Viewers,
    /// Requests of viewers.
    pub traffic: Traffic,
    /// What the sampler measured last.
    pub rates: Rates,
}

/// What comes in on each live channel, by channel id. Only live channels are in it.
#[derive(Clone, Default)]
pub struct Rates(Arc<Mutex<BTreeMap<String, Rate>>>);

/// What came in on a channel in the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Bits of pictures in a second.
    pub video_bits: f64,
    /// Bits of sound in a second.
    pub audio_bits: f64,
    /// Pictures in a second.
    pub frames: f64,
    /// Seconds between the newest two keyframes; `None` before there are two.
    pub keyframe_interval_s: Option<f64>,
}

impl Rates {
    /// A copy of all.
    pub fn read(&self) -> BTreeMap<String, Rate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, rates: BTreeMap<String, Rate>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rates;
    }
}
