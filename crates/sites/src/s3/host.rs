//! Which bucket a host name means.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The bucket that a request's host names in the virtual-hosted style: `BUCKET.localhost`, `BUCKET.s3.localhost`,
/// `BUCKET.s3.REGION.anything`. Hosts without a bucket, such as `localhost` or `s3.localhost`, and all others are
/// `None`: the path begins with the bucket.
pub fn bucket_of_host(host: &str) -> Option<&str> {
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let found = host
        .find(".s3.")
        .or_else(|| host.find(".s3-"))
        .map(|at| &host[..at])
        .or_else(|| host.strip_suffix(".localhost"))
        .filter(|name| *name != "s3" && !name.starts_with("s3.") && !name.starts_with("s3-"));
    found.filter(|name| !name.is_empty())
}

pub(super) struct Hosts;

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let parsed = VirtualHost::new(host);
        Ok(match bucket_of_host(host) {
            Some(bucket) => parsed.with_bucket(bucket),
            None => parsed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_name_buckets_or_none() {
        for (host, bucket) in [
            ("localhost:4566", None),
            ("127.0.0.1:4566", None),
            ("s3.localhost:4566", None),
            ("s3.us-east-1.localhost", None),
            ("s3.us-east-1.amazonaws.com", None),
            ("example.com", None),
            ("my-bucket.localhost:4566", Some("my-bucket")),
            ("my.bucket.s3.localhost", Some("my.bucket")),
            ("my-bucket.s3.us-east-1.amazonaws.com", Some("my-bucket")),
            ("my-bucket.s3-us-west-2.amazonaws.com", Some("my-bucket")),
        ] {
            assert_eq!(bucket_of_host(host), bucket, "{host}");
        }
    }
}
