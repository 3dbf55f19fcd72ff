//! The table of settings, and the layers that lie over its defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One setting: where it may be given and what it means.
pub struct Setting {
    /// Dotted key in the file.
    pub key: &'static str,
    /// What it is when nobody says otherwise.
    pub default: &'static str,
    /// One line for `config --explain`.
    pub meaning: &'static str,
}

const fn setting(key: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { key, default, meaning }
}

/// Every setting there is.
pub const SETTINGS: &[Setting] = &[
    setting("data", "", "folder that holds everything; default: the XDG data folder + /headwater"),
    setting("listen.api", "127.0.0.1:4566", "AWS-compatible services and the native API"),
    setting("listen.web", "0.0.0.0:8080", "playback, sites, player script, answers"),
    setting("listen.rtmp", "0.0.0.0:1935", "RTMP from encoders"),
    setting("listen.tls", "auto", "RTMPS and HTTPS on one port; auto: 0.0.0.0:443, else 0.0.0.0:8443; off"),
    setting("host", "localhost", "host name that encoders and viewers use"),
    setting("web_url", "", "address of the web listener as viewers see it; default: from host and port"),
    setting("realm.region", "us-east-1", "Region name in ARNs and signatures"),
    setting("realm.account", "000000000000", "twelve-digit account id in ARNs"),
    setting("ingest.insecure", "loopback", "who may publish without TLS on any channel: loopback, everybody, nobody"),
    setting("quotas.channels", "5000", "channels"),
    setting("quotas.stream_keys_per_channel", "1", "stream keys of one channel"),
    setting("quotas.concurrent_streams", "100", "streams that are live at a time"),
    setting("quotas.playback_key_pairs", "3", "playback key pairs"),
    setting("quotas.playback_restriction_policies", "3", "playback restriction policies"),
    setting("quotas.recording_configurations", "20", "recording configurations"),
    setting("quotas.ad_configurations", "20", "ad configurations"),
    setting("quotas.failover_slate_configurations", "20", "failover slate configurations"),
    setting("quotas.metadata_per_second", "5", "PutMetadata calls a second for one channel"),
    setting("quotas.metadata_per_second_total", "155", "PutMetadata calls a second for all channels together"),
    setting(
        "quotas.operation_rate_factor",
        "100",
        "by what IVS' rates of its other operations are multiplied; 1: IVS' own; 0: no limit",
    ),
    setting("live.reconnect_window_ms", "30000", "how long a stream waits for its encoder, 0-300000"),
    setting(
        "ladder.encoder",
        "x264",
        "what makes the renditions of STANDARD and ADVANCED channels: x264, nvenc, vaapi, qsv, off",
    ),
    setting("ladder.fallback", "x264", "what encodes if ladder.encoder is hardware that is not there: x264, off"),
    setting("ladder.confine", "on", "whether encoders are shut off from files, network and privileges: on, off"),
    setting("ladder.user", "65534:65534", "user and group, by number, of encoders if the server is root; empty: root"),
    setting("ladder.ffmpeg", "ffmpeg", "the ffmpeg program that encodes; a bare name is looked for in PATH"),
    setting(
        "ladder.on_demand",
        "stream",
        "renditions are not encoded if nobody watches them (true) or the stream (stream): true, stream, false",
    ),
    setting(
        "playback.views_max",
        "15000",
        "viewers at once, of all channels; further ones are answered with 429; 1-100000",
    ),
    setting(
        "playback.country_database",
        "",
        "database of addresses' countries in MaxMind's format, for restriction policies",
    ),
    setting("functions.python", "", "Python interpreter; default: the one in the data folder, else python3"),
    setting("functions.node", "", "Node.js interpreter; default: node"),
    setting("functions.retry_delays_s", "60,120", "waits before the tries of a failed asynchronous invocation"),
    setting("metrics.allow", "", "networks besides loopback that may read /metrics, such as 10.0.0.0/8,192.168.1.7"),
    setting("log.filter", "info", "what is logged: a level, or tracing directives"),
    setting("log.format", "text", "text or json"),
];

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table above.
    Default,
    /// This file.
    File(PathBuf),
    /// This variable.
    Environment(String),
    /// This flag.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Environment(name) => write!(f, "${name}"),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// Why the configuration cannot be used. Each is a sentence that says where, what and what instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: not valid TOML", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// There is no such setting.
    #[error("{origin}: there is no setting {key:?}{}", hint.as_ref().map(|h| format!("; did you mean {h:?}?")).unwrap_or_default())]
    Unknown {
        /// What was written.
        key: String,
        /// Where.
        origin: Origin,
        /// The nearest setting.
        hint: Option<String>,
    },
    /// A value of the wrong form.
    #[error("{origin}: {key} = {value:?}, expected {expected}")]
    Value {
        /// Which setting.
        key: String,
        /// What was written.
        value: String,
        /// Where.
        origin: Origin,
        /// What would do.
        expected: &'static str,
    },
}

/// Values with their origins, before they are typed.
#[derive(Debug)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Layers {
    /// The defaults alone.
    pub fn defaults() -> Self {
        Layers { values: SETTINGS.iter().map(|s| (s.key, (s.default.to_string(), Origin::Default))).collect() }
    }

    /// Lays a file over what is there.
    ///
    /// # Errors
    /// [`ConfigError`] if it cannot be read, is not TOML or names an unknown setting.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
        let table: toml::Table =
            text.parse().map_err(|source| ConfigError::Syntax { path: path.into(), source: Box::new(source) })?;
        let mut flat = Vec::new();
        flatten("", &toml::Value::Table(table), &mut flat);
        for (key, value) in flat {
            self.set(&key, value, Origin::File(path.into()))?;
        }
        Ok(())
    }

    /// Lays `HEADWATER_*` variables over what is there: `HEADWATER_LISTEN_API` sets `listen.api`.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`] for a variable that names no setting.
    pub fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) -> Result<(), ConfigError> {
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix("HEADWATER_") else { continue };
            // Flags read these themselves.
            if matches!(rest, "CONFIG" | "ENDPOINT") {
                continue;
            }
            let key = SETTINGS.iter().find(|s| variable(s.key) == name).map(|s| s.key.to_string());
            let key = key.unwrap_or_else(|| rest.to_ascii_lowercase());
            self.set(&key, value, Origin::Environment(name))?;
        }
        Ok(())
    }

    /// Lays one flag over what is there.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`] if there is no such setting.
    pub fn flag(&mut self, key: &str, value: Option<String>) -> Result<(), ConfigError> {
        match value {
            Some(value) => self.set(key, value, Origin::Flag(format!("--{}", key.replace(['.', '_'], "-")))),
            None => Ok(()),
        }
    }

    fn set(&mut self, key: &str, value: String, origin: Origin) -> Result<(), ConfigError> {
        match SETTINGS.iter().find(|s| s.key == key) {
            Some(setting) => {
                self.values.insert(setting.key, (value, origin));
                Ok(())
            }
            None => {
                let nearest = SETTINGS.iter().map(|s| (distance(s.key, key), s.key)).min();
                let hint = nearest.filter(|(d, _)| *d <= 4).map(|(_, k)| k.to_string());
                Err(ConfigError::Unknown { key: key.into(), origin, hint })
            }
        }
    }

    /// Every effective value, in the table's order: setting, value, origin.
    pub fn explain(&self) -> impl Iterator<Item = (&'static Setting, &str, &Origin)> {
        SETTINGS.iter().filter_map(|s| self.values.get(s.key).map(|(value, origin)| (s, value.as_str(), origin)))
    }

    fn get(&self, key: &str) -> (&str, &Origin) {
        let (value, origin) = self.values.get(key).expect("every key asked for stands in SETTINGS");
        (value, origin)
    }

    pub(super) fn parse<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let (value, origin) = self.get(key);
        parse(value).ok_or_else(|| ConfigError::Value {
            key: key.into(),
            value: value.into(),
            origin: origin.clone(),
            expected,
        })
    }
}

/// The variable that sets a key.
fn variable(key: &str) -> String {
    format!("HEADWATER_{}", key.replace('.', "_").to_ascii_uppercase())
}

fn flatten(prefix: &str, value: &toml::Value, out: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, out);
            }
        }
        toml::Value::String(text) => out.push((prefix.into(), text.clone())),
        toml::Value::Array(items) => {
            let parts: Vec<String> = items.iter().map(|i| i.to_string().trim_matches('"').to_string()).collect();
            out.push((prefix.into(), parts.join(",")));
        }
        other => out.push((prefix.into(), other.to_string())),
    }
}

/// Edits between two short texts (Levenshtein), for the hint.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(ca != *cb)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}
