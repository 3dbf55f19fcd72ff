//! The environment of a function's process: what Lambda gives, and nothing of the server's own.

use crate::runtime_files::RuntimeFiles;
use crate::{Config, Runtime};
use headwater_model::function::{Function, LATEST};
use headwater_model::iam::AccessKey;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

/// Where a process finds programs, whatever the server's own search path is.
pub(crate) const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Everything that the environment is made of.
pub(crate) struct Surroundings<'a> {
    pub(crate) config: &'a Config,
    pub(crate) function: &'a Function,
    pub(crate) runtime: Runtime,
    pub(crate) files: &'a RuntimeFiles,
    pub(crate) key: &'a AccessKey,
    pub(crate) api: SocketAddr,
    /// The unpacked package.
    pub(crate) code: &'a Path,
    /// A folder of the process's own, gone with it.
    pub(crate) scratch: &'a Path,
}

impl Surroundings<'_> {
    /// Names and values. The function's own come first, so that they cannot replace what Lambda reserves.
    ///
    /// Source: Lambda "Defined runtime environment variables".
    pub(crate) fn variables(&self) -> Vec<(String, OsString)> {
        let function = self.function;
        let region = &self.config.realm.region;
        let mut all: Vec<(String, OsString)> = Vec::new();
        let mut set =
            |name: &str, value: &dyn AsRef<std::ffi::OsStr>| all.push((name.to_owned(), value.as_ref().to_owned()));

        set("PATH", &SEARCH_PATH);
        set("LANG", &"en_US.UTF-8");
        set("TZ", &":UTC");
        set("AWS_ENDPOINT_URL", &self.config.endpoint_url);
        // The files of the server's user are not the function's.
        set("HOME", &self.scratch);
        set("TMPDIR", &self.scratch);
        match self.runtime {
            Runtime::Python => {
                set("PYTHONPATH", &self.files.python_modules());
                set("PYTHONDONTWRITEBYTECODE", &"1");
            }
            Runtime::Node => set("NODE_PATH", &self.files.node_modules()),
            Runtime::Provided => {}
        }
        for (name, value) in &function.environment {
            set(name, value);
        }

        set("AWS_CONFIG_FILE", &"/dev/null");
        set("AWS_SHARED_CREDENTIALS_FILE", &"/dev/null");
        set("AWS_EC2_METADATA_DISABLED", &"true");
        set("AWS_REGION", region);
        set("AWS_DEFAULT_REGION", region);
        set("AWS_EXECUTION_ENV", &format!("AWS_Lambda_{}", function.runtime));
        set("AWS_ACCESS_KEY_ID", &self.key.access_key_id);
        set("AWS_SECRET_ACCESS_KEY", &self.key.secret_access_key.expose());
        if let Some(token) = &self.key.session_token {
            set("AWS_SESSION_TOKEN", &token.expose());
        }
        set("AWS_LAMBDA_FUNCTION_NAME", &function.name);
        set("AWS_LAMBDA_FUNCTION_VERSION", &LATEST);
        set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &function.memory_mb.to_string());
        set("AWS_LAMBDA_INITIALIZATION_TYPE", &"on-demand");
        set("AWS_LAMBDA_LOG_GROUP_NAME", &function.log_group());
        set("AWS_LAMBDA_LOG_STREAM_NAME", &function.log_stream);
        set("AWS_LAMBDA_RUNTIME_API", &self.api.to_string());
        set("LAMBDA_TASK_ROOT", &self.code);
        set("LAMBDA_RUNTIME_DIR", &self.files.folder());
        set("_HANDLER", &function.handler);
        all
    }
}
