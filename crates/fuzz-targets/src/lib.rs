//! What fuzzing runs: a function and seeds for everything that reads bytes or text of a peer.
//!
//! The functions are run by two: `fuzz/` with libFuzzer, for hours, and this crate's test `short_run` on stable Rust, for seconds.
//! A function panics if what it holds does not hold. `docs/fuzzing.md` lists what that is.
//!
//! | module | what stands there |
//! |---|---|
//! | [`media`] | message bodies, codec headers, the encoder's pipe |
//! | [`wire`] | RTMP sessions, AMF0 |
//! | [`publisher`] | keys of configurations, requests for them, `onMetaData` |
//! | [`text`] | queries, headers, bodies, signatures, templates, patterns, policies |
//! | [`messages`] | how an input holds several messages |
//! | [`seeds`] | inputs to begin with |

pub mod media;
pub mod messages;
#[cfg(feature = "services")]
pub mod publisher;
pub mod seeds;
#[cfg(feature = "services")]
pub mod text;
pub mod wire;

/// Something that reads what a peer chose.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of its corpus too.
    pub name: &'static str,
    /// Reads one input; panics if what must hold does not.
    pub run: fn(&[u8]),
    /// Inputs that each target needs to get anywhere.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets of this build.
pub const TARGETS: &[Target] = &[
    Target { name: "rtmp_server", run: wire::rtmp_server, seeds: seeds::captures },
    Target { name: "rtmp_session", run: wire::rtmp_session, seeds: seeds::sessions },
    Target { name: "amf0", run: wire::amf0, seeds: seeds::metadata },
    Target { name: "flv", run: media::flv, seeds: seeds::messages },
    Target { name: "codec_headers", run: media::codec_headers, seeds: seeds::codec_headers },
    Target { name: "encoder_pipe", run: media::encoder_pipe, seeds: seeds::files },
    #[cfg(feature = "services")]
    Target { name: "playlist_query", run: text::playlist_query, seeds: seeds::playlist_queries },
    #[cfg(feature = "services")]
    Target { name: "viewer_request", run: text::viewer_request, seeds: seeds::viewer_requests },
    #[cfg(feature = "services")]
    Target { name: "playback_token", run: text::playback_token, seeds: seeds::playback_tokens },
    #[cfg(feature = "services")]
    Target { name: "object_request", run: text::object_request, seeds: seeds::object_requests },
    #[cfg(feature = "services")]
    Target { name: "form", run: text::form, seeds: seeds::forms },
    #[cfg(feature = "services")]
    Target { name: "cbor", run: text::cbor, seeds: seeds::cbor_bodies },
    #[cfg(feature = "services")]
    Target { name: "chunked_body", run: text::chunked_body, seeds: seeds::chunked_bodies },
    #[cfg(feature = "services")]
    Target { name: "signature", run: text::signature, seeds: seeds::signatures },
    #[cfg(feature = "services")]
    Target { name: "policy", run: text::policy, seeds: seeds::policies },
    #[cfg(feature = "services")]
    Target { name: "metric_math", run: text::metric_math, seeds: seeds::expressions },
    #[cfg(feature = "services")]
    Target { name: "log_filter", run: text::log_filter, seeds: seeds::log_filters },
    #[cfg(feature = "services")]
    Target { name: "template", run: text::template, seeds: seeds::templates },
    #[cfg(feature = "services")]
    Target { name: "template_update", run: text::template_update, seeds: seeds::template_updates },
    #[cfg(feature = "services")]
    Target { name: "event_pattern", run: text::event_pattern, seeds: seeds::event_patterns },
    #[cfg(feature = "services")]
    Target { name: "target_input", run: text::target_input, seeds: seeds::target_inputs },
    #[cfg(feature = "services")]
    Target { name: "client_key", run: publisher::client_key, seeds: seeds::client_keys },
    #[cfg(feature = "services")]
    Target { name: "client_configuration", run: publisher::client_configuration, seeds: seeds::client_configurations },
    #[cfg(feature = "services")]
    Target { name: "publisher_metadata", run: publisher::publisher_metadata, seeds: seeds::data_messages },
];

/// The target of that name.
///
/// # Panics
/// There is none.
pub fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("{name} is no target of this build"))
}
