//! The short run: every target with its seeds and with what becomes of them by mutation, always the same.
//!
//! `HEADWATER_FUZZ_ROUNDS` sets how many mutations each seed gets, `HEADWATER_FUZZ_SEED` where they begin. A target that panics names its input.

use headwater_fuzz_targets::{Target, target};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Mutations of each target's seeds, all together: a few seconds without optimization.
const ROUNDS: u64 = 60_000;
/// Longest input: mutations that insert stop there.
const INPUT_BYTES_MAX: usize = 128 << 10;
/// Mutations on top of one another.
const STEPS_MAX: u64 = 6;

/// Values on which lengths, counts and times turn.
const TURNING_POINTS: [u32; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0xff_ffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/// Bytes and numbers that look random and are not (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 0 to `below` - 1; 0 if `below` is 0.
    fn below(&mut self, below: usize) -> usize {
        usize::try_from(self.roll() >> 11).unwrap_or(0) % below.max(1)
    }
}

/// Changes an input in one place.
fn mutate(input: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let length = dice.below((input.len() - at).min(64) + 1);
    match dice.below(8) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = dice.roll().to_le_bytes()[0];
            }
        }
        2 => {
            input.drain(at..at + length);
        }
        3 => {
            let copy = input[at..at + length].to_vec();
            let to = dice.below(input.len() + 1);
            input.splice(to..to, copy);
        }
        4 => {
            let fresh: Vec<u8> = (0..dice.below(9)).map(|_| dice.roll().to_le_bytes()[0]).collect();
            input.splice(at..at, fresh);
        }
        5 => {
            let value = TURNING_POINTS[dice.below(TURNING_POINTS.len())].to_be_bytes();
            let value = &value[dice.below(4)..];
            let end = (at + value.len()).min(input.len());
            input.splice(at..end, value.iter().copied());
        }
        6 => {
            let from = dice.below(other.len() + 1);
            let to = from + dice.below((other.len() - from).min(512) + 1);
            input.splice(at..at + length, other[from..to].iter().copied());
        }
        _ => input.truncate(at),
    }
    input.truncate(INPUT_BYTES_MAX);
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn check(target: &Target, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        panic!("{} fails on \"{}\"", target.name, input.escape_ascii());
    }
}

fn run(name: &str) {
    let target = target(name);
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    seeds.iter().for_each(|seed| check(target, seed));
    // A long seed gets fewer rounds, else its target takes a minute.
    let longest = seeds.iter().map(Vec::len).max().unwrap_or(0) as u64;
    let rounds = number("HEADWATER_FUZZ_ROUNDS", ROUNDS / (1 + longest / 512));
    let mut dice = Dice(number("HEADWATER_FUZZ_SEED", 0x5eed).max(1));
    for _ in 0..rounds {
        let mut input = seeds[dice.below(seeds.len())].clone();
        let other = &seeds[dice.below(seeds.len())];
        for _ in 0..=dice.roll() % STEPS_MAX {
            mutate(&mut input, other, &mut dice);
        }
        check(target, &input);
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            let all: Vec<&str> = headwater_fuzz_targets::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(all, run);
        }
    };
}

targets!(
    rtmp_server
    rtmp_session
    amf0
    flv
    codec_headers
    encoder_pipe
    playlist_query
    viewer_request
    playback_token
    object_request
    form
    cbor
    chunked_body
    signature
    policy
    metric_math
    log_filter
    template
    template_update
    event_pattern
    target_input
    client_key
    client_configuration
    publisher_metadata
);
