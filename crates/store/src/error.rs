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
    /// There would be more records of a kind than [`crate::Batch::within`] allows.
    #[error("there are {max} of {kind} already")]
    Full {
        /// Kind of the records.
        kind: String,
        /// How many there may be.
        max: u64,
    },
    /// A record has a label that [`crate::Batch::unlabelled`] wants gone.
    #[error("a {kind} is labelled {label:?}")]
    Labelled {
        /// Kind of the record.
        kind: String,
        /// The label.
        label: String,
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
