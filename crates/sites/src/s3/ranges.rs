//! `Range` headers that `s3s` takes for errors.
//!
//! RFC 9110 "Range": an unknown unit or a malformed set is as no header, and S3 treats several ranges so too. `s3s`
//! answers 400 to them, and to a number that is too long. The header may be signed, so it is changed after the
//! signature was verified: a route takes such a request out and hands it, changed and with the name of who signed it,
//! to a second service.

use super::answers::InternalFailure;
use super::guard::{SignedBy, internal};
use crate::conditions::ByteRange;
use http::header::{AUTHORIZATION, RANGE};
use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Uri};
use s3s::route::S3Route;
use s3s::service::S3Service;
use s3s::{Body, S3Request, S3Response, S3Result, dto, s3_error};

/// Query parameters by which `s3s` sees that an address is signed: in version 4, in version 2.
const SIGNATURES: [&str; 2] = ["X-Amz-Signature", "Signature"];

/// What to do with the header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Treatment {
    /// `s3s` reads it as we do.
    Keep,
    /// It says nothing.
    Drop,
    /// It says this.
    Write(HeaderValue),
}

impl Treatment {
    fn of(headers: &HeaderMap) -> Treatment {
        let mut values = headers.get_all(RANGE).iter();
        let (text, more) = match (values.next(), values.next()) {
            (None, _) => return Treatment::Keep,
            (Some(value), more) => (value.to_str().unwrap_or_default(), more),
        };
        let meant = ByteRange::parse(text).filter(|_| more.is_none());
        let Some(meant) = meant else { return Treatment::Drop };
        if dto::Range::parse(text).is_ok_and(|read| super::convert::range(read) == meant) {
            return Treatment::Keep;
        }
        // `s3s` counts up to `i64::MAX`, which is past the end of every object.
        let number = |number: u64| number.min(i64::MAX as u64);
        let written = match meant {
            ByteRange::From { first, last: None } => format!("bytes={}-", number(first)),
            ByteRange::From { first, last: Some(last) } => format!("bytes={}-{}", number(first), number(last)),
            ByteRange::Last(count) => format!("bytes=-{}", number(count)),
        };
        HeaderValue::try_from(written).map_or(Treatment::Drop, Treatment::Write)
    }
}

/// The address without what makes it a signed one.
fn unsigned(uri: &Uri) -> Result<Uri, http::Error> {
    let Some(query) = uri.query() else { return Ok(uri.clone()) };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| SIGNATURES.contains(&name.as_ref())))
        .collect();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{}?{}", uri.path(), kept.join("&")))?);
    Ok(Uri::from_parts(parts)?)
}

/// Reads with a header that `s3s` takes for an error.
pub(super) struct Ranges {
    /// The same face, without this route.
    pub(super) service: S3Service,
}

#[async_trait::async_trait]
impl S3Route for Ranges {
    fn is_match(&self, method: &Method, _uri: &Uri, headers: &HeaderMap, _extensions: &mut Extensions) -> bool {
        matches!(*method, Method::GET | Method::HEAD) && Treatment::of(headers) != Treatment::Keep
    }

    /// The second service judges access, of whoever signed.
    async fn check_access(&self, _req: &mut S3Request<Body>) -> S3Result<()> {
        Ok(())
    }

    async fn call(&self, req: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let mut inner = Request::new(req.input);
        *inner.method_mut() = req.method;
        *inner.uri_mut() = unsigned(&req.uri).map_err(|_| s3_error!(InvalidURI))?;
        let treatment = Treatment::of(&req.headers);
        *inner.headers_mut() = req.headers;
        inner.headers_mut().remove(AUTHORIZATION);
        inner.headers_mut().remove(RANGE);
        if let Treatment::Write(value) = treatment {
            inner.headers_mut().insert(RANGE, value);
        }
        *inner.extensions_mut() = req.extensions;
        if let Some(credentials) = req.credentials {
            inner.extensions_mut().insert(SignedBy(credentials.access_key));
        }
        let response = self.service.call(inner).await.map_err(|error| internal(InternalFailure(error.into())))?;
        let (parts, body) = response.into_parts();
        let mut answer = S3Response::new(body);
        answer.status = Some(parts.status);
        answer.headers = parts.headers;
        answer.extensions = parts.extensions;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn only_what_s3s_reads_otherwise_is_changed() {
        let write = |text| Treatment::Write(HeaderValue::from_static(text));
        for (text, expected) in [
            ("bytes=0-4", Treatment::Keep),
            ("bytes=3-", Treatment::Keep),
            ("bytes=-5", Treatment::Keep),
            ("bytes=-0", Treatment::Keep),
            ("bytes=-", Treatment::Drop),
            ("foo=1", Treatment::Drop),
            ("bytes=5-2", Treatment::Drop),
            ("bytes=0-1,3-4", Treatment::Drop),
            ("bytes=0-99999999999999999999999", write("bytes=0-9223372036854775807")),
            ("bytes=99999999999999999999999-", write("bytes=9223372036854775807-")),
            ("BYTES=0-1", write("bytes=0-1")),
        ] {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(text))]);
            assert_eq!(Treatment::of(&headers), expected, "{text}");
        }
        assert_eq!(Treatment::of(&HeaderMap::new()), Treatment::Keep);
    }

    #[test]
    fn a_signed_address_loses_its_signature_only() {
        for (from, to) in [
            ("/a%20b?X-Amz-Date=1&X-Amz-Signature=2&policy", "/a%20b?X-Amz-Date=1&policy"),
            ("/a?X%2DAmz-Signature=2", "/a?"),
            ("http://h/a?Signature=2&x=%26Signature", "http://h/a?x=%26Signature"),
            ("/a", "/a"),
        ] {
            assert_eq!(unsigned(&from.parse().unwrap()).unwrap().to_string(), to);
        }
    }
}
