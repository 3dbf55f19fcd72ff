use headwater_model::policy::PolicyError;
use headwater_store::BlobError;

/// Why an operation on buckets or objects did not take place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such bucket.
    #[error("no bucket {0:?}")]
    NoSuchBucket(String),
    /// The bucket exists.
    #[error("bucket {0:?} exists")]
    BucketExists(String),
    /// The bucket holds objects.
    #[error("bucket {0:?} is not empty")]
    BucketNotEmpty(String),
    /// The name breaks the rules for buckets.
    #[error("{0:?} is not a bucket's name: 3 to 63 of lowercase letters, digits, dots and hyphens")]
    InvalidBucketName(String),
    /// There is no such object.
    #[error("no object {key:?} in bucket {bucket:?}")]
    NoSuchKey {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// The key is empty or longer than [`headwater_model::bucket::KEY_BYTES_MAX`].
    #[error("key of {0} bytes, expected 1 to 1024")]
    InvalidKey(usize),
    /// There is no such upload in parts, or it has ended.
    #[error("no upload {0:?}")]
    NoSuchUpload(String),
    /// A part's number is out of range.
    #[error("part number {0}, expected 1 to 10000")]
    InvalidPartNumber(i64),
    /// A part that should make up the object was not uploaded, or has another entity tag.
    #[error("part {0} was not uploaded in this form")]
    InvalidPart(u16),
    /// Parts are not in ascending order, or there are none.
    #[error("parts are not listed in ascending order")]
    InvalidPartOrder,
    /// A part that is not the last is smaller than [`headwater_model::bucket::PART_BYTES_MIN`].
    #[error("part {number} has {size} bytes, expected at least 5 MiB")]
    PartTooSmall {
        /// Number of the part.
        number: u16,
        /// Its bytes.
        size: u64,
    },
    /// More bytes than [`headwater_model::bucket::UPLOAD_BYTES_MAX`].
    #[error("more than 5 GiB in one upload")]
    TooLarge,
    /// The bytes do not have the digest that was announced.
    #[error("{algorithm} of the bytes differs from the announced one")]
    BadDigest {
        /// `Content-MD5`, or the name of a checksum header.
        algorithm: &'static str,
    },
    /// A digest is not the Base64 of a digest.
    #[error("{0} is not a digest in Base64")]
    InvalidDigest(&'static str),
    /// Fewer or more bytes than announced.
    #[error("{received} bytes arrived, {announced} were announced")]
    Incomplete {
        /// As `Content-Length` said.
        announced: u64,
        /// What came.
        received: u64,
    },
    /// The object is not in the state that the request demands.
    #[error("precondition failed")]
    PreconditionFailed,
    /// No byte of the range exists.
    #[error("range not satisfiable in {size} bytes")]
    InvalidRange {
        /// Bytes of the object.
        size: u64,
    },
    /// A bucket policy is malformed.
    #[error("bucket policy")]
    Policy(#[from] PolicyError),
    /// A bucket policy is larger than [`headwater_model::bucket::POLICY_BYTES_MAX`].
    #[error("bucket policy of {0} bytes, expected at most 20480")]
    PolicyTooLarge(usize),
    /// A bucket policy speaks of something that is not in the bucket.
    #[error("bucket policy speaks of resources outside of bucket {0:?}")]
    PolicyOutside(String),
    /// The bucket's public access block refuses policies that grant to everybody.
    #[error("public policies are blocked for bucket {0:?}")]
    PublicPolicyBlocked(String),
    /// A website needs an index document, or a host to redirect to and nothing else.
    #[error("website configuration: {0}")]
    InvalidWebsite(&'static str),
    /// The sender's stream broke off.
    #[error("upload broke off")]
    Upload(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Reading or writing bytes failed.
    #[error("bytes of an object")]
    Blob(#[source] BlobError),
    /// The store failed.
    #[error("records of buckets")]
    Store(#[from] headwater_store::Error),
}

impl From<BlobError> for Error {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Upload(source) => Error::Upload(source),
            other => Error::Blob(other),
        }
    }
}
