//! Websites as browsers see them.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::objects::PutObject;
use crate::tests::Place;
use bytes::Bytes;
use futures_util::stream;
use headwater_model::bucket::Website;
use http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::json;
use std::convert::Infallible;

struct Built;

#[async_trait::async_trait]
impl NativeSites for Built {
    async fn site(&self, name: &str) -> Option<NativeSite> {
        (name == "live").then(|| NativeSite { config: json!({"title": "Live"}) })
    }

    fn asset(&self, path: &str) -> Option<Asset> {
        let bytes = match path {
            "/" => "<!doctype html>",
            "/assets/a.js" => "1",
            _ => return None,
        };
        let content_type = if path == "/" { "text/html" } else { "text/javascript" };
        Some(Asset { bytes: Bytes::from(bytes), content_type, etag: "\"e1\"", cache_control: "no-cache" })
    }

    fn content_security_policy(&self, web: &str) -> String {
        format!("default-src 'self' {web}")
    }
}

struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

struct Web {
    place: Place,
    router: Router,
}

const HOST_NAME: &str = "films.s3-website.localhost:8080";

impl Web {
    async fn new() -> Web {
        let place = Place::new().await;
        place.bucket("films").await;
        let website = Website {
            index_document: Some("index.html".into()),
            error_document: Some("error.html".into()),
            redirect_all: None,
        };
        place.sites.put_website("films", Some(website)).await.unwrap();
        let policy = json!({"Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::films/*"},
            {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::films/secret/*"}
        ]});
        place.sites.put_policy("films", policy).await.unwrap();
        place.put("films", "index.html", "start").await;
        place.put("films", "docs/index.html", "docs").await;
        place.put("films", "a b/ü.txt", "0123456789").await;
        place.put("films", "secret/index.html", "secret").await;
        let rest = Router::new().fallback(|| async { "the rest" });
        let router = with_sites(place.sites.clone(), Arc::new(Built), rest);
        Web { place, router }
    }

    async fn ask(&self, method: Method, host: &str, path: &str, headers: &[(&str, &str)]) -> Got {
        let mut request = Request::builder().method(method).uri(path).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Got { status, headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Got {
        self.ask(Method::GET, HOST_NAME, path, &[]).await
    }
}

#[test]
fn hosts_name_websites() {
    let mut address = WebAddress::localhost(8080);
    address.more_suffixes.push("web.example.com".into());
    for (host, site) in [
        ("films.s3-website.localhost:8080", Some("films")),
        ("FILMS.s3-website.localhost.", Some("films")),
        ("my.films.s3-website.localhost", Some("my.films")),
        ("films.s3-website-us-east-1.amazonaws.com", Some("films")),
        ("films.s3-website.eu-central-1.amazonaws.com", Some("films")),
        ("films.web.example.com", Some("films")),
        ("s3-website.localhost", None),
        (".s3-website.localhost", None),
        ("localhost:8080", None),
        ("web.example.com", None),
        ("", None),
    ] {
        assert_eq!(site_of_host(&address, host).as_deref(), site, "{host}");
    }
    assert_eq!(address.website_url("films"), "http://films.s3-website.localhost:8080");
    assert_eq!(WebAddress::localhost(80).website_url("films"), "http://films.s3-website.localhost");
}

#[tokio::test]
async fn a_website_owns_its_host_and_the_path_form_works_elsewhere() {
    let web = Web::new().await;
    assert_eq!(web.get("/").await.body, "start");
    assert_eq!(web.get("/website/films/").await.status, 404, "a site's host serves the site only");
    let other = |path: &'static str| web.ask(Method::GET, "127.0.0.1:8080", path, &[]);
    assert_eq!(other("/website/films/").await.body, "start");
    assert_eq!(other("/website/films/a%20b/%C3%BC.txt").await.body, "0123456789");
    assert_eq!(other("/website/films?x=1").await.header("location"), "/website/films/?x=1");
    assert_eq!(other("/website/films/docs").await.header("location"), "/website/films/docs/");
    assert_eq!(other("/website/none/").await.status, 404);
    assert_eq!(other("/media/x").await.body, "the rest");
    let unknown = web.ask(Method::GET, "none.s3-website.localhost", "/", &[]).await;
    assert_eq!((unknown.status, unknown.body.contains("There is no website here")), (404, true));
    web.place.bucket("plain").await;
    let plain = web.ask(Method::GET, "plain.s3-website.localhost", "/", &[]).await;
    assert!(plain.body.contains("not a website"), "{}", plain.body);
}

#[tokio::test]
async fn folders_have_an_index_and_redirects_stay_on_the_host() {
    let web = Web::new().await;
    let redirected = web.get("/docs?x=1").await;
    assert_eq!((redirected.status, redirected.header("location")), (302, "/docs/?x=1"));
    assert_eq!(web.get("/docs/").await.body, "docs");
    web.place.put("films", "/evil.example/index.html", "odd").await;
    let redirected = web.get("//evil.example").await;
    assert_eq!((redirected.status, redirected.header("location")), (302, "/%2Fevil.example/"));
    web.place.put("films", "odd\r\nx/index.html", "odd").await;
    assert_eq!(web.get("/odd%0D%0Ax").await.header("location"), "/odd%0D%0Ax/");
    let moved = PutObject {
        bucket: "films".into(),
        key: "old".into(),
        headers: [("x-amz-website-redirect-location".to_owned(), "/docs/".to_owned())].into(),
        ..Default::default()
    };
    web.place.sites.put_object(moved, stream::empty::<Result<Bytes, Infallible>>()).await.unwrap();
    let moved = web.get("/old").await;
    assert_eq!((moved.status, moved.header("location")), (301, "/docs/"));
}

#[tokio::test]
async fn only_what_everybody_may_read_is_served() {
    let web = Web::new().await;
    for path in ["/secret/index.html", "/secret/", "/secret/none", "/secret%2Findex.html", "/secret"] {
        let got = web.get(path).await;
        assert!(got.status == 403 || (path == "/secret" && got.status == 404), "{path} {}", got.status);
        assert!(!got.body.contains("secret</"), "{path}");
        assert_ne!(got.body, "secret", "{path}");
    }
    for path in
        ["/none", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%00", "/docs/none"]
    {
        let got = web.get(path).await;
        assert_eq!((got.status, got.body.contains("does not exist")), (404, true), "{path}");
    }
    assert_eq!(web.get("/%FF").await.status, 400);
    assert_eq!(web.get(&format!("/{}", "k".repeat(2000))).await.status, 404);
    web.place.put("films", "error.html", "our own words").await;
    let missing = web.get("/none").await;
    assert_eq!((missing.status, missing.body.as_str()), (404, "our own words"));
    let ranged = web.ask(Method::GET, HOST_NAME, "/none", &[("range", "bytes=0-1")]).await;
    assert_eq!((ranged.status, ranged.body.as_str()), (404, "our own words"));
    web.place.sites.delete_policy("films").await.unwrap();
    assert_eq!(web.get("/").await.status, 403);
}

#[tokio::test]
async fn types_and_caching_are_as_stored() {
    let web = Web::new().await;
    let script = PutObject {
        bucket: "films".into(),
        key: "ivs.js".into(),
        content_type: Some("text/html".into()),
        headers: [("cache-control".to_owned(), "max-age=60".to_owned())].into(),
        ..Default::default()
    };
    web.place.sites.put_object(script, stream::iter([Ok::<_, Infallible>(Bytes::from("1"))])).await.unwrap();
    let script = web.get("/ivs.js").await;
    assert_eq!((script.header("content-type"), script.header("cache-control")), ("text/html", "max-age=60"));
    assert_eq!(script.header("x-content-type-options"), "", "browsers run such scripts unless told not to");
    let page = web.get("/").await;
    assert_eq!((page.header("content-type"), page.header("cache-control")), ("text/html; charset=utf-8", "no-cache"));
}

#[tokio::test]
async fn requests_may_be_conditional_or_for_a_range() {
    let web = Web::new().await;
    let path = "/a%20b/%C3%BC.txt";
    let whole = web.get(path).await;
    let (etag, modified) = (whole.header("etag").to_owned(), whole.header("last-modified").to_owned());
    assert_eq!((whole.status, whole.header("content-length"), whole.header("accept-ranges")), (200, "10", "bytes"));
    let ask = |headers: Vec<(&'static str, String)>| {
        let web = &web;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            web.ask(Method::GET, HOST_NAME, path, &headers).await
        }
    };
    for (headers, status, body) in [
        (vec![("if-none-match", etag.clone())], 304, ""),
        (vec![("if-none-match", format!("\"x\", W/{etag}"))], 304, ""),
        (vec![("if-none-match", "\"x\"".to_owned())], 200, "0123456789"),
        (vec![("if-modified-since", modified.clone())], 304, ""),
        (vec![("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned())], 200, "0123456789"),
        (vec![("if-none-match", "\"x\"".to_owned()), ("if-modified-since", modified.clone())], 200, "0123456789"),
        (vec![("if-modified-since", "yesterday".to_owned())], 200, "0123456789"),
        (vec![("range", "bytes=2-4".to_owned())], 206, "234"),
        (vec![("range", "bytes=-2".to_owned())], 206, "89"),
        (vec![("range", "bytes=0-1,4-5".to_owned())], 200, "0123456789"),
        (vec![("range", "bytes=2-4".to_owned()), ("if-range", etag.clone())], 206, "234"),
        (vec![("range", "bytes=2-4".to_owned()), ("if-range", "\"x\"".to_owned())], 200, "0123456789"),
        (vec![("range", "bytes=2-4".to_owned()), ("if-range", modified.clone())], 206, "234"),
    ] {
        let got = ask(headers.clone()).await;
        assert_eq!((got.status, got.body.as_str()), (status, body), "{headers:?}");
        assert_eq!(got.header("etag"), etag);
    }
    assert_eq!(ask(vec![("range", "bytes=2-4".into())]).await.header("content-range"), "bytes 2-4/10");
    let beyond = ask(vec![("range", "bytes=10-".into())]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    assert_eq!(ask(vec![("if-match", "\"x\"".into())]).await.status, 412);
}

#[tokio::test]
async fn websites_are_only_read() {
    let web = Web::new().await;
    let head = web.ask(Method::HEAD, HOST_NAME, "/", &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.as_str()), (200, "5", ""));
    assert_eq!(web.ask(Method::HEAD, HOST_NAME, "/none", &[]).await.body, "");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let refused = web.ask(method, HOST_NAME, "/", &[]).await;
        assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"));
    }
    let everything = Website { redirect_all: Some(("example.com".into(), Some("https".into()))), ..Default::default() };
    web.place.sites.put_website("films", Some(everything)).await.unwrap();
    let moved = web.get("/docs/?x=1").await;
    assert_eq!((moved.status, moved.header("location")), (301, "https://example.com/docs/?x=1"));
}

#[tokio::test]
async fn native_sites_have_their_configuration_and_strict_headers() {
    let web = Web::new().await;
    let get = |path: &'static str| web.ask(Method::GET, "live.s3-website.localhost:8080", path, &[]);
    for (path, status, body) in [
        ("/", 200, "<!doctype html>"),
        ("/some/place", 200, "<!doctype html>"),
        ("/assets/a.js", 200, "1"),
        ("/config.json", 200, "{\"title\":\"Live\"}"),
    ] {
        let got = get(path).await;
        assert_eq!((got.status, got.body.as_str()), (status, body), "{path}");
        assert_eq!(got.header("content-security-policy"), "default-src 'self' http://localhost:8080");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(get("/assets/none.js").await.status, 404);
    let again = web.ask(Method::GET, "live.s3-website.localhost", "/", &[("if-none-match", "\"e1\"")]).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let head = web.ask(Method::HEAD, "live.s3-website.localhost", "/assets/a.js", &[]).await;
    assert_eq!((head.header("content-length"), head.body.as_str()), ("1", ""));
    assert_eq!(web.ask(Method::GET, "localhost", "/website/live/config.json", &[]).await.body, "{\"title\":\"Live\"}");
}
