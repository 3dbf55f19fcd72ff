/// Why a read or a commit did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An inserted record exists already.
    #[error("{kind} {id:?} exists")]
    Exists {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
    },
    /// An updated or deleted record is not there.
    #[error("{kind} {id:?} does not exist")]
    Missing {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
    },
    /// Somebody else changed the record in between.
    #[error("{kind} {id:?} changed meanwhile")]
    Conflict {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
    },
    /// A document does not have the shape that this version reads.
    #[error("{kind} {id:?} cannot be read")]
    Document {
        /// Kind of the record.
        kind: String,
        /// Its id.
        id: String,
        /// What the decoder said.
        #[source]
        source: serde_json::Error,
    },
    /// The storage engine failed.
    #[error("storage engine")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}
