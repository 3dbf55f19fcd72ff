//! Why an operation did not take place, in the domain's words.

/// Why an operation did not take place. The gateway gives each variant the name, status and text that the service
/// asked for has for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input breaks a rule.
    #[error("{reason}")]
    Invalid {
        /// Which rule, in words for the caller.
        reason: String,
    },
    /// A document in the input cannot be read.
    #[error("{what}: {reason}")]
    Malformed {
        /// Such as `policy document`.
        what: &'static str,
        /// Where and how.
        reason: String,
    },
    /// There is no such thing.
    #[error("{kind} {id} does not exist")]
    NotFound {
        /// What was looked for, such as `channel`.
        kind: &'static str,
        /// Its ARN or name, as the caller said it.
        id: String,
    },
    /// There is such a thing already.
    #[error("{kind} {id} exists already")]
    Exists {
        /// What it is.
        kind: &'static str,
        /// Its ARN or name.
        id: String,
    },
    /// The thing's present state does not allow it.
    #[error("{reason}")]
    Conflict {
        /// What stands in the way, in words for the caller.
        reason: String,
    },
    /// There would be too many.
    #[error("quota {quota} allows {limit}")]
    QuotaExceeded {
        /// What is counted, such as `stream keys per channel`.
        quota: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// Too many calls.
    #[error("{operation} allows {per_second} calls a second for {scope}")]
    Throttled {
        /// What was called too often.
        operation: &'static str,
        /// How many calls a second are allowed.
        per_second: u64,
        /// For what, such as `one channel`.
        scope: &'static str,
    },
    /// The channel exists and no stream is live on it.
    #[error("channel {channel_arn} is not broadcasting")]
    NotBroadcasting {
        /// The channel.
        channel_arn: String,
    },
    /// The principal may not do it.
    #[error("{principal} may not {action} on {resource}")]
    Denied {
        /// Who asked.
        principal: String,
        /// Such as `sts:AssumeRole`.
        action: String,
        /// The resource's ARN.
        resource: String,
    },
    /// Durable state could not be read or written.
    #[error("store")]
    Store(#[source] headwater_store::Error),
    /// A part of the server failed, not the caller.
    #[error("{part}")]
    Failed {
        /// Which part.
        part: &'static str,
        /// How.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The input breaks a rule.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Error::Invalid { reason: reason.into() }
    }

    /// There is no such thing.
    pub fn not_found(kind: &'static str, id: impl Into<String>) -> Self {
        Error::NotFound { kind, id: id.into() }
    }

    /// The thing's present state does not allow it.
    pub fn conflict(reason: impl Into<String>) -> Self {
        Error::Conflict { reason: reason.into() }
    }
}

impl From<headwater_store::Error> for Error {
    fn from(error: headwater_store::Error) -> Self {
        Error::Store(error)
    }
}
