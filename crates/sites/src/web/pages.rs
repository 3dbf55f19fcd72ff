//! Our own pages, for when a website has none: what happened and what to do, in plain words.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    NoSite,
    NoWebsite,
    NotFound,
    Forbidden,
    BadAddress,
    OnlyReading,
    RangeUnsatisfiable,
    PreconditionFailed,
    Broken,
}

impl Page {
    fn status(self) -> StatusCode {
        match self {
            Page::NoSite | Page::NoWebsite | Page::NotFound => StatusCode::NOT_FOUND,
            Page::Forbidden => StatusCode::FORBIDDEN,
            Page::BadAddress => StatusCode::BAD_REQUEST,
            Page::OnlyReading => StatusCode::METHOD_NOT_ALLOWED,
            Page::RangeUnsatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
            Page::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Page::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Page::NoSite => (
                "There is no website here",
                "No bucket or site has this name. Check the address, or whether its stack was deleted.",
            ),
            Page::NoWebsite => {
                ("This bucket is not a website", "It needs a website configuration that names an index document.")
            }
            Page::NotFound => ("This page does not exist", "The website has nothing at this address."),
            Page::Forbidden => (
                "This page is not public",
                "The bucket's policy does not let everybody read it. It needs a statement that allows s3:GetObject to \
                 everybody.",
            ),
            Page::BadAddress => ("This address cannot be read", "It holds a percent sign that does not encode text."),
            Page::OnlyReading => ("Websites can only be read", "Use GET or HEAD here, and the S3 API to write."),
            Page::RangeUnsatisfiable => ("There are no such bytes", "The file is shorter than what was asked for."),
            Page::PreconditionFailed => ("The page has changed", "It is not in the state that the request demands."),
            Page::Broken => ("The page could not be read", "Something failed on the server. Its log says what."),
        }
    }

    pub(super) fn response(self, method: &Method) -> Response {
        let (title, words) = self.words();
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<h1>{title}</h1>\n\
             <p>{words}</p>\n</html>\n"
        );
        let length = HeaderValue::from(html.len());
        let mut response = Response::new(if *method == Method::HEAD { Body::empty() } else { Body::from(html) });
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_LENGTH, length);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
