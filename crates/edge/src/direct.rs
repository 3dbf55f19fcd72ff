//! The short way to media: what viewers ask for thousands of times a second goes past the router and its layers.
//!
//! Answers are those of [`crate::router`], which takes whatever is not plain: other methods, escapes in the path, viewer sessions.

use crate::{Shared, media};
use axum::Extension;
use axum::extract::ConnectInfo;
use axum::response::Response;
use http::{Method, Request};
use std::net::SocketAddr;
use std::sync::Arc;

/// Which way a request goes.
pub enum Way<F, R> {
    /// The short one: its answer.
    Short(F),
    /// It is not plain: the router answers it.
    Long(R),
}

/// Answers plain requests for files of streams. Clones share one.
#[derive(Clone)]
pub struct Media(pub(crate) Arc<Shared>);

impl Media {
    /// The answer to `GET /media/{epoch}/{rendition}/{file}`, CORS' headers included.
    ///
    /// The request is done with when this returns: a future that waits keeps nothing of it.
    pub fn answer<B>(
        &self,
        peer: Option<SocketAddr>,
        request: Request<B>,
    ) -> Way<impl Future<Output = Response> + Send + use<B>, Request<B>> {
        let (parts, body) = request.into_parts();
        let file = if parts.method == Method::GET { File::parse(parts.uri.path()) } else { None };
        let Some(file) = file else { return Way::Long(Request::from_parts(parts, body)) };
        let peer = peer.map(|peer| Extension(ConnectInfo(peer)));
        let query = parts.uri.query().unwrap_or_default();
        let asked = media::Asked { file, query, headers: &parts.headers, peer: &peer };
        let step = media::open(&self.0, &asked);
        let shared = Arc::clone(&self.0);
        Way::Short(async move { shared.finish(media::finish(&shared, step).await) })
    }
}

/// A file's place: the names in its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct File<'a> {
    pub(crate) epoch: &'a str,
    pub(crate) rendition: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> File<'a> {
    /// Of a path in which nothing is escaped.
    fn parse(path: &'a str) -> Option<Self> {
        let mut names = path.strip_prefix("/media/")?.split('/');
        let file = File { epoch: names.next()?, rendition: names.next()?, name: names.next()? };
        let plain = names.next().is_none() && !path.contains('%');
        let named = ![file.epoch, file.rendition, file.name].contains(&"");
        (plain && named).then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_has_three_names() {
        let file = File { epoch: "e", rendition: "source", name: "s1.p2.m4s" };
        assert_eq!(File::parse("/media/e/source/s1.p2.m4s"), Some(file));
        for other in ["/media/e/source", "/media/e/source/", "/media/e//x", "/media/v/s/e/r/f", "/media/e/s%6f/f", "/x"]
        {
            assert_eq!(File::parse(other), None, "{other}");
        }
    }
}
