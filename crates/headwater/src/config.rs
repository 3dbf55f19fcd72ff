//! Configuration: one table of settings, three layers over the defaults, every value with its origin.
//!
//! `headwater.toml` lies over the defaults, `HEADWATER_*` variables over the file, flags over the variables. Unknown
//! keys are refused. [`Config`] is the typed result; it is parsed once and cut up into the parts that use it.

mod layers;

pub use layers::{ConfigError, Layers};

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use headwater_control::ivs::InsecureIngest;
use headwater_live::ladder::{Confiner, Encoder, Policy, User};
use headwater_model::Realm;
use headwater_model::ivs::Quotas;

/// Which address the TLS listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsListen {
    /// 0.0.0.0:443 if it may be bound, else 0.0.0.0:8443 and a warning.
    Auto,
    /// This one.
    At(SocketAddr),
    /// None.
    Off,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The configuration, typed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder that holds everything.
    pub data: PathBuf,
    /// AWS-compatible services and the native API.
    pub listen_api: SocketAddr,
    /// Playback, sites, player script, answers.
    pub listen_web: SocketAddr,
    /// RTMP.
    pub listen_rtmp: SocketAddr,
    /// RTMPS and HTTPS.
    pub listen_tls: TlsListen,
    /// Host name that encoders and viewers use.
    pub host: String,
    /// Address of the web listener as viewers see it, if it was given.
    pub web_url: Option<String>,
    /// Region and account.
    pub realm: Realm,
    /// Who may publish without TLS.
    pub insecure_ingest: InsecureIngest,
    /// How many of each thing there may be.
    pub quotas: Quotas,
    /// How long a stream waits for its encoder.
    pub reconnect_window: Duration,
    /// How the renditions of a channel are made.
    pub ladder: headwater_live::ladder::Options,
    /// Database of addresses' countries, if one was given.
    pub country_database: Option<PathBuf>,
    /// Viewers at once.
    pub views_max: usize,
    /// Python interpreter, if it was given.
    pub python: Option<PathBuf>,
    /// Node.js interpreter, if it was given.
    pub node: Option<PathBuf>,
    /// Waits before the tries of a failed asynchronous invocation.
    pub retry_delays: [Duration; 2],
    /// Networks besides loopback that may read the page of metrics.
    pub metrics_allow: Vec<String>,
    /// Tracing directives.
    pub log_filter: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

impl Config {
    /// Types the values.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for the first value of a wrong form.
    pub fn from_layers(layers: &Layers) -> Result<Config, ConfigError> {
        let address = |key| layers.parse(key, "ADDRESS:PORT, such as 127.0.0.1:8080", |v| v.parse().ok());
        let path = |key| layers.parse(key, "a path", |v| Some((!v.is_empty()).then(|| PathBuf::from(v))));
        let data = layers.parse("data", "a path, or $HOME must be set", |v| {
            // Absolute, because functions run in folders of their own.
            if v.is_empty() { default_data_folder() } else { std::path::absolute(v).ok() }
        })?;
        Ok(Config {
            data,
            listen_api: address("listen.api")?,
            listen_web: address("listen.web")?,
            listen_rtmp: address("listen.rtmp")?,
            listen_tls: layers.parse("listen.tls", "auto, off or ADDRESS:PORT", |v| match v {
                "auto" => Some(TlsListen::Auto),
                "off" => Some(TlsListen::Off),
                other => other.parse().ok().map(TlsListen::At),
            })?,
            host: layers.parse("host", "a host name", |v| is_host(v).then(|| v.to_string()))?,
            web_url: layers.parse("web_url", "http://HOST[:PORT] or https://HOST[:PORT]", |v| {
                let bare = v.trim_end_matches('/');
                let known = bare.starts_with("http://") || bare.starts_with("https://");
                if v.is_empty() { Some(None) } else { known.then(|| Some(bare.to_string())) }
            })?,
            realm: Realm {
                region: layers.parse("realm.region", "letters, digits and hyphens", |v| {
                    let good = !v.is_empty() && v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                    good.then(|| v.to_string())
                })?,
                account: layers.parse("realm.account", "twelve digits", |v| {
                    (v.len() == 12 && v.bytes().all(|b| b.is_ascii_digit())).then(|| v.to_string())
                })?,
            },
            insecure_ingest: layers.parse("ingest.insecure", "loopback, everybody or nobody", |v| match v {
                "loopback" => Some(InsecureIngest::Loopback),
                "everybody" => Some(InsecureIngest::Everybody),
                "nobody" => Some(InsecureIngest::Nobody),
                _ => None,
            })?,
            quotas: quotas(layers)?,
            reconnect_window: layers.parse("live.reconnect_window_ms", "milliseconds, 0-300000", |v| {
                v.parse().ok().filter(|ms| *ms <= 300_000).map(Duration::from_millis)
            })?,
            ladder: headwater_live::ladder::Options {
                encoder: layers.parse("ladder.encoder", "x264, nvenc, vaapi, qsv or off", |v| match v {
                    "x264" => Some(Encoder::X264),
                    "nvenc" => Some(Encoder::Nvenc),
                    "vaapi" => Some(Encoder::Vaapi),
                    "qsv" => Some(Encoder::Qsv),
                    "off" => Some(Encoder::Off),
                    _ => None,
                })?,
                fallback: layers.parse("ladder.fallback", "x264 or off", |v| match v {
                    "x264" => Some(Encoder::X264),
                    "off" => Some(Encoder::Off),
                    _ => None,
                })?,
                confiner: confiner(layers)?,
                demand: layers.parse("ladder.on_demand", "true, stream or false", |v| match v {
                    "true" => Some(Policy::OnDemand),
                    "stream" => Some(Policy::Watched),
                    "false" => Some(Policy::Always),
                    _ => None,
                })?,
                ffmpeg: layers.parse("ladder.ffmpeg", "a program", |v| (!v.is_empty()).then(|| PathBuf::from(v)))?,
                ..Default::default()
            },
            country_database: path("playback.country_database")?,
            views_max: layers.parse("playback.views_max", "a number, 1-100000", |v| {
                v.parse().ok().filter(|max| (1..=headwater_edge::viewers::REMEMBERED_MAX).contains(max))
            })?,
            python: path("functions.python")?,
            node: path("functions.node")?,
            retry_delays: layers.parse("functions.retry_delays_s", "two numbers, such as 60,120", |v| {
                let (first, second) = v.split_once(',')?;
                let seconds = |text: &str| text.trim().parse().ok().map(Duration::from_secs);
                Some([seconds(first)?, seconds(second)?])
            })?,
            metrics_allow: layers.parse("metrics.allow", "networks, such as 10.0.0.0/8,192.168.1.7", networks)?,
            log_filter: layers.parse("log.filter", "a level or tracing directives", |v| {
                v.parse::<tracing_subscriber::filter::Targets>().ok().map(|_| v.to_string())
            })?,
            log_format: layers.parse("log.format", "text or json", |v| match v {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            })?,
        })
    }
}

/// The subcommand that hands its arguments to [`headwater_confine::confine`].
pub const CONFINE: &str = "confine";

fn confiner(layers: &Layers) -> Result<Option<Confiner>, ConfigError> {
    let confined = layers.parse("ladder.confine", "on or off", |v| match v {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    })?;
    let user = layers.parse("ladder.user", "USER:GROUP by number, such as 65534:65534", |v| {
        if v.is_empty() {
            return Some(None);
        }
        let (uid, gid) = v.split_once(':')?;
        Some(Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? }))
    })?;
    // This very program, also when its file was replaced since.
    let program = PathBuf::from("/proc/self/exe");
    Ok(confined.then(|| Confiner { program, subcommand: CONFINE.to_owned(), user }))
}

fn networks(text: &str) -> Option<Vec<String>> {
    let networks: Vec<String> = text.split(',').map(|network| network.trim().to_owned()).collect();
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let is_network = |network: &String| headwater_model::policy::ip_within(network, "127.0.0.1").is_some();
    networks.iter().all(is_network).then_some(networks)
}

/// Every call of the last second is counted one by one: this many times ten, 16 bytes each, for one operation.
const OPERATION_RATE_FACTOR_MAX: u64 = 1_000;

fn quotas(layers: &Layers) -> Result<Quotas, ConfigError> {
    let quota = |key| layers.parse(key, "a whole number", |v| v.parse().ok());
    Ok(Quotas {
        channels: quota("quotas.channels")?,
        stream_keys_per_channel: quota("quotas.stream_keys_per_channel")?,
        concurrent_streams: quota("quotas.concurrent_streams")?,
        playback_key_pairs: quota("quotas.playback_key_pairs")?,
        playback_restriction_policies: quota("quotas.playback_restriction_policies")?,
        recording_configurations: quota("quotas.recording_configurations")?,
        ad_configurations: quota("quotas.ad_configurations")?,
        failover_slate_configurations: quota("quotas.failover_slate_configurations")?,
        metadata_per_second: quota("quotas.metadata_per_second")?,
        metadata_per_second_total: quota("quotas.metadata_per_second_total")?,
        operation_rate_factor: layers.parse("quotas.operation_rate_factor", "a whole number up to 1000", |v| {
            v.parse().ok().filter(|factor| *factor <= OPERATION_RATE_FACTOR_MAX)
        })?,
    })
}

fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
        || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.'))
}

fn default_data_folder() -> Option<PathBuf> {
    let xdg = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = xdg.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))?;
    Some(base.join("headwater"))
}

#[cfg(test)]
mod tests {
    use super::layers::SETTINGS;
    use super::*;

    fn with_file(text: &str) -> Result<Layers, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headwater.toml");
        std::fs::write(&path, text).unwrap();
        let mut layers = Layers::defaults();
        layers.file(&path)?;
        Ok(layers)
    }

    #[test]
    fn later_layers_lie_over_earlier_ones_and_say_so() {
        let mut layers =
            with_file("host = \"a.example\"\n[listen]\napi = \"127.0.0.1:1\"\nweb = \"127.0.0.1:2\"\n").unwrap();
        let variables = [("HEADWATER_LISTEN_WEB", "127.0.0.1:3"), ("HEADWATER_LISTEN_RTMP", "127.0.0.1:4")];
        layers.environment(variables.iter().map(|(k, v)| (k.to_string(), v.to_string()))).unwrap();
        layers.flag("listen.rtmp", Some("127.0.0.1:5".into())).unwrap();
        let config = Config::from_layers(&layers).unwrap();
        assert_eq!(config.host, "a.example");
        assert_eq!(config.listen_api.port(), 1);
        assert_eq!(config.listen_web.port(), 3);
        assert_eq!(config.listen_rtmp.port(), 5);
        let origin = layers.explain().find(|(s, ..)| s.key == "listen.rtmp").map(|(.., o)| o.to_string());
        assert_eq!(origin.as_deref(), Some("--listen-rtmp"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let error = with_file("[listen]\napy = \"127.0.0.1:1\"\n").unwrap_err();
        assert!(
            error.to_string().ends_with("there is no setting \"listen.apy\"; did you mean \"listen.api\"?"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        let layers = with_file("[live]\nreconnect_window_ms = 300001\n").unwrap();
        let error = Config::from_layers(&layers).unwrap_err().to_string();
        assert!(error.ends_with("live.reconnect_window_ms = \"300001\", expected milliseconds, 0-300000"), "{error}");
    }

    #[test]
    fn the_data_folder_is_absolute() {
        let mut layers = Layers::defaults();
        layers.flag("data", Some("here".into())).unwrap();
        assert_eq!(Config::from_layers(&layers).unwrap().data, std::env::current_dir().unwrap().join("here"));
    }

    #[test]
    fn every_default_is_valid() {
        let mut layers = Layers::defaults();
        layers.flag("data", Some("/tmp/x".into())).unwrap();
        assert_eq!(Config::from_layers(&layers).unwrap().quotas, Quotas::default());
    }

    #[test]
    fn every_setting_is_documented() {
        let text = include_str!("../../../docs/configuration.md");
        for setting in SETTINGS {
            assert!(text.contains(&format!("| `{}` |", setting.key)), "docs/configuration.md lacks {}", setting.key);
        }
    }
}
