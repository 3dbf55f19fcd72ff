//! Buckets and objects over a real store, through the operations.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::buckets::CreateBucket;
use crate::conditions::{ByteRange, Conditions};
use crate::listing::{ListObjects, Listing};
use crate::objects::{Attributes, PutObject};
use crate::{Error, Sites, WebAddress};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use headwater_model::Realm;
use headwater_model::bucket::{Object, PART_BYTES_MIN, Website};
use headwater_store::{Batch, Blobs, SqliteStore, Store};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;

/// Sites over a store and a folder that go when they are dropped.
pub(crate) struct Place {
    pub(crate) sites: Sites,
    store: Arc<dyn Store>,
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory().await.unwrap());
        Place { sites: open(&store, &folder), store, folder }
    }

    /// The same state after the process was killed and started again.
    fn restarted(&self) -> Sites {
        open(&self.store, &self.folder)
    }

    pub(crate) async fn bucket(&self, name: &str) {
        self.sites.create_bucket(CreateBucket { name: name.into(), ..Default::default() }).await.unwrap();
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str, text: &str) -> Object {
        let put = PutObject { bucket: bucket.into(), key: key.into(), ..Default::default() };
        self.sites.put_object(put, text_stream(text)).await.unwrap()
    }

    fn files(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(self.folder.path())
    }

    async fn list(&self, select: ListObjects) -> (Vec<String>, Vec<String>, Option<String>) {
        let Listing { objects, common_prefixes, next_after } = self.sites.list_objects("films", select).await.unwrap();
        (objects.into_iter().map(|object| object.key).collect(), common_prefixes, next_after)
    }
}

fn open(store: &Arc<dyn Store>, folder: &tempfile::TempDir) -> Sites {
    let blobs = Blobs::in_folder(folder.path()).unwrap();
    Sites::new(store.clone(), blobs, Realm::default(), WebAddress::localhost(8080))
}

fn text_stream(text: &str) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
    let chunks: Vec<Bytes> = text.as_bytes().chunks(7.max(text.len() / 50)).map(Bytes::copy_from_slice).collect();
    stream::iter(chunks).map(Ok)
}

async fn read(sites: &Sites, key: &str, range: Option<ByteRange>) -> Result<String, Error> {
    let body = sites.get_object("films", key, range).await?.body;
    let chunks: Vec<Bytes> = body.try_collect().await.unwrap();
    Ok(String::from_utf8(chunks.concat()).unwrap())
}

fn put(key: &str) -> PutObject {
    PutObject { bucket: "films".into(), key: key.into(), ..Default::default() }
}

#[tokio::test]
async fn buckets_are_made_once_and_removed_empty() {
    let place = Place::new().await;
    place.bucket("films").await;
    let again = CreateBucket { name: "films".into(), ..Default::default() };
    assert!(matches!(place.sites.create_bucket(again).await, Err(Error::BucketExists(_))));
    let bad = CreateBucket { name: "../films".into(), ..Default::default() };
    assert!(matches!(place.sites.create_bucket(bad).await, Err(Error::InvalidBucketName(_))));
    place.put("films", "a", "text").await;
    assert!(matches!(place.sites.delete_bucket("films").await, Err(Error::BucketNotEmpty(_))));
    assert_eq!(place.sites.empty_bucket("films").await.unwrap(), 1);
    place.sites.delete_bucket("films").await.unwrap();
    assert!(matches!(place.sites.delete_bucket("films").await, Err(Error::NoSuchBucket(_))));
    assert_eq!(place.files(), 0);
    let put = place.sites.put_object(put("late"), text_stream("text")).await;
    assert!(matches!(put, Err(Error::NoSuchBucket(_))));
    assert_eq!(place.files(), 0);
}

#[tokio::test]
async fn an_order_repeated_after_a_crash_finds_its_own_bucket() {
    let place = Place::new().await;
    let order = |token: &str| CreateBucket { name: "films".into(), token: Some(token.into()), ..Default::default() };
    let first = place.sites.create_bucket(order("stack-1")).await.unwrap();
    assert_eq!(place.sites.create_bucket(order("stack-1")).await.unwrap(), first);
    assert!(matches!(place.sites.create_bucket(order("stack-2")).await, Err(Error::BucketExists(_))));
}

#[tokio::test]
async fn objects_are_replaced_whole_and_old_bytes_go() {
    let place = Place::new().await;
    place.bucket("films").await;
    let first = place.put("films", "../../etc/passwd", "first text").await;
    assert_eq!(first.etag, hex::encode(<md5::Md5 as md5::Digest>::digest("first text")));
    let second = place.put("films", "../../etc/passwd", "second").await;
    assert_ne!(first.blob, second.blob);
    assert_eq!(read(&place.sites, "../../etc/passwd", None).await.unwrap(), "second");
    assert_eq!(place.files(), 1);
    place.sites.delete_object("films", "../../etc/passwd").await.unwrap();
    place.sites.delete_object("films", "../../etc/passwd").await.unwrap();
    assert!(matches!(place.sites.object("films", "../../etc/passwd").await, Err(Error::NoSuchKey { .. })));
    assert_eq!(place.files(), 0);
}

#[tokio::test]
async fn what_is_not_as_announced_leaves_what_was_there() {
    let place = Place::new().await;
    place.bucket("films").await;
    place.put("films", "a", "before").await;
    let wrong = PutObject { content_md5: Some([0; 16]), ..put("a") };
    let refused = place.sites.put_object(wrong, text_stream("after")).await;
    assert!(matches!(refused, Err(Error::BadDigest { .. })));
    let short = PutObject { content_length: Some(9), ..put("a") };
    let refused = place.sites.put_object(short, text_stream("after")).await;
    assert!(matches!(refused, Err(Error::Incomplete { announced: 9, received: 5 })));
    let broken = stream::iter([Ok(Bytes::from("aft")), Err(std::io::Error::other("gone"))]);
    assert!(matches!(place.sites.put_object(put("a"), broken).await, Err(Error::Upload(_))));
    let only_new = Conditions { if_none_match: Some("*".into()), ..Default::default() };
    let refused = place.sites.put_object(PutObject { conditions: only_new, ..put("a") }, text_stream("after")).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed)));
    assert!(matches!(place.sites.put_object(put(""), text_stream("")).await, Err(Error::InvalidKey(0))));
    assert!(matches!(
        place.sites.put_object(put(&"k".repeat(1025)), text_stream("")).await,
        Err(Error::InvalidKey(1025))
    ));
    assert_eq!(read(&place.sites, "a", None).await.unwrap(), "before");
    assert_eq!(place.files(), 1);
}

#[tokio::test]
async fn concurrent_writers_of_one_key_leave_one_object() {
    let place = Place::new().await;
    place.bucket("films").await;
    let writers = (0..20).map(|n| {
        let sites = place.sites.clone();
        async move { sites.put_object(put("a"), text_stream(&format!("writer {n}"))).await.unwrap() }
    });
    let written = futures_util::future::join_all(writers).await;
    let now = place.sites.object("films", "a").await.unwrap();
    assert!(written.contains(&now));
    assert!(read(&place.sites, "a", None).await.unwrap().starts_with("writer "));
    assert_eq!(place.files(), 1);
}

#[tokio::test]
async fn types_are_kept_or_told_from_the_key() {
    let place = Place::new().await;
    place.bucket("films").await;
    for (key, content_type) in [
        ("index.html", "text/html; charset=utf-8"),
        ("a/style.css", "text/css; charset=utf-8"),
        ("logo.svg", "image/svg+xml"),
        ("film.mp4", "video/mp4"),
        ("unknown", "binary/octet-stream"),
    ] {
        assert_eq!(place.put("films", key, "").await.content_type, content_type, "{key}");
    }
    let script = PutObject { content_type: Some("text/html".into()), ..put("ivs.js") };
    assert_eq!(place.sites.put_object(script, text_stream("1")).await.unwrap().content_type, "text/html");
}

#[tokio::test]
async fn ranges_are_parts_of_the_bytes() {
    let place = Place::new().await;
    place.bucket("films").await;
    place.put("films", "a", "0123456789").await;
    for (header, expected) in
        [("bytes=0-0", "0"), ("bytes=3-5", "345"), ("bytes=8-", "89"), ("bytes=-3", "789"), ("bytes=5-99", "56789")]
    {
        let range = ByteRange::parse(header).unwrap();
        assert_eq!(read(&place.sites, "a", Some(range)).await.unwrap(), expected, "{header}");
    }
    for header in ["bytes=10-", "bytes=-0", "bytes=11-12"] {
        let range = ByteRange::parse(header).unwrap();
        let refused = read(&place.sites, "a", Some(range)).await;
        assert!(matches!(refused, Err(Error::InvalidRange { size: 10 })), "{header}");
    }
    for header in ["bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2", "0-1", "bytes=a-b"] {
        assert_eq!(ByteRange::parse(header), None, "{header}");
    }
}

#[tokio::test]
async fn listings_fold_and_page() {
    let place = Place::new().await;
    place.bucket("films").await;
    place.bucket("films2").await;
    place.put("films2", "other", "").await;
    for key in ["a", "b/1", "b/2", "b/c/3", "b0", "c/4", "d", "é"] {
        place.put("films", key, "").await;
    }
    let all = ["a", "b/1", "b/2", "b/c/3", "b0", "c/4", "d", "é"].map(String::from).to_vec();
    assert_eq!(place.list(ListObjects::default()).await, (all.clone(), vec![], None));
    let slash = ListObjects { delimiter: Some("/".into()), ..Default::default() };
    let (keys, folded, next) = place.list(slash.clone()).await;
    assert_eq!((keys, folded, next), (strings(&["a", "b0", "d", "é"]), strings(&["b/", "c/"]), None));
    let below = ListObjects { prefix: "b/".into(), ..slash.clone() };
    assert_eq!(place.list(below).await, (strings(&["b/1", "b/2"]), strings(&["b/c/"]), None));
    // Every page size walks over the same things once.
    for limit in 1..8 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (keys, folded, next) = place.list(ListObjects { limit, after, ..slash.clone() }).await;
            assert!(keys.len() + folded.len() <= limit as usize);
            seen.extend(keys);
            seen.extend(folded);
            after = next;
            if after.is_none() {
                break;
            }
        }
        seen.sort();
        assert_eq!(seen, strings(&["a", "b/", "b0", "c/", "d", "é"]), "{limit}");
    }
    let after = ListObjects { after: Some("b/1".into()), ..Default::default() };
    assert_eq!(place.list(after).await.0, all[2..]);
    let none = ListObjects { limit: 0, ..Default::default() };
    assert_eq!(place.list(none).await, (vec![], vec![], None));
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn a_long_folder_is_folded_without_reading_it_through() {
    let place = Place::new().await;
    place.bucket("films").await;
    let last = place.put("films", "z", "").await;
    let mut batch = Batch::new();
    for n in 0..1500 {
        batch.insert(&Object { key: format!("many/{n:05}"), ..last.clone() }).unwrap();
    }
    place.store.commit(batch).await.unwrap();
    let slash = ListObjects { delimiter: Some("/".into()), ..Default::default() };
    assert_eq!(place.list(slash).await, (strings(&["z"]), strings(&["many/"]), None));
    let (first, _, next) = place.list(ListObjects::default()).await;
    assert_eq!((first.len(), next.as_deref()), (1000, Some("many/00999")));
    let (rest, _, next) = place.list(ListObjects { after: next, ..Default::default() }).await;
    assert_eq!((rest.len(), next), (501, None));
}

#[tokio::test]
async fn copies_keep_or_replace_what_is_said_of_them() {
    let place = Place::new().await;
    place.bucket("films").await;
    let original = PutObject { metadata: [("who".to_owned(), "anna".to_owned())].into(), ..put("a.html") };
    place.sites.put_object(original, text_stream("text")).await.unwrap();
    let kept = place.sites.copy_object(("films", "a.html"), put("b"), Attributes::Keep).await.unwrap();
    assert_eq!((kept.content_type.as_str(), kept.metadata["who"].as_str()), ("text/html; charset=utf-8", "anna"));
    let replaced = place.sites.copy_object(("films", "a.html"), put("c.css"), Attributes::Replace).await.unwrap();
    assert_eq!((replaced.content_type.as_str(), replaced.metadata.len()), ("text/css; charset=utf-8", 0));
    assert_eq!(read(&place.sites, "b", None).await.unwrap(), "text");
}

#[tokio::test]
async fn an_upload_in_parts_becomes_one_object() {
    let place = Place::new().await;
    place.bucket("films").await;
    let upload = place.sites.create_upload(put("film.mp4")).await.unwrap();
    let large = "x".repeat(PART_BYTES_MIN as usize);
    let mut tags = Vec::new();
    for (number, text) in [(2, "end"), (1, "replaced"), (1, large.as_str()), (7, "not named")] {
        let bytes = text_stream(text);
        let part = place
            .sites
            .put_part("films", "film.mp4", &upload.id, number, bytes, (None, None), || Ok(()))
            .await
            .unwrap();
        tags.push(part.etag);
    }
    assert_eq!(place.sites.parts(&upload).await.unwrap().iter().map(|p| p.number).collect::<Vec<_>>(), [1, 2, 7]);
    let named = |parts: &[(u16, usize)]| parts.iter().map(|(n, tag)| (*n, tags[*tag].clone())).collect::<Vec<_>>();
    let all = Conditions::default();
    let complete = async |parts: &[(u16, usize)]| place.sites.complete_upload(&upload, &named(parts), &all).await;
    assert!(matches!(complete(&[]).await, Err(Error::InvalidPartOrder)));
    assert!(matches!(complete(&[(2, 0), (1, 2)]).await, Err(Error::InvalidPartOrder)));
    assert!(matches!(complete(&[(1, 1), (2, 0)]).await, Err(Error::InvalidPart(1))));
    assert!(matches!(complete(&[(2, 0), (7, 3)]).await, Err(Error::PartTooSmall { number: 2, size: 3 })));
    let object = complete(&[(1, 2), (2, 0)]).await.unwrap();
    assert_eq!((object.size, object.content_type.as_str()), (PART_BYTES_MIN + 3, "video/mp4"));
    assert!(object.etag.ends_with("-2"));
    assert!(read(&place.sites, "film.mp4", None).await.unwrap().ends_with("xend"));
    assert_eq!(place.files(), 1);
    assert!(matches!(complete(&[(2, 0)]).await, Err(Error::NoSuchUpload(_)) | Err(Error::InvalidPart(_))));
    let late = place.sites.put_part("films", "film.mp4", &upload.id, 1, text_stream("late"), (None, None), || Ok(()));
    assert!(matches!(late.await, Err(Error::NoSuchUpload(_))));
}

#[tokio::test]
async fn an_aborted_upload_and_a_deleted_bucket_leave_nothing() {
    let place = Place::new().await;
    place.bucket("films").await;
    for end in ["abort", "delete"] {
        let upload = place.sites.create_upload(put("film")).await.unwrap();
        place
            .sites
            .put_part("films", "film", &upload.id, 1, text_stream("part"), (None, None), || Ok(()))
            .await
            .unwrap();
        assert_eq!(place.files(), 1);
        match end {
            "abort" => place.sites.abort_upload(&upload).await.unwrap(),
            _ => place.sites.delete_bucket("films").await.unwrap(),
        }
        assert_eq!(place.files(), 0, "{end}");
        let again = place.sites.abort_upload(&upload).await;
        assert!(matches!(again, Err(Error::NoSuchUpload(_))), "{end}");
    }
    for number in [0, -1, 10_001, i64::MAX] {
        let part = place.sites.put_part("films", "k", "none", number, text_stream(""), (None, None), || Ok(()));
        assert!(matches!(part.await, Err(Error::InvalidPartNumber(_))));
    }
}

#[tokio::test]
async fn a_start_removes_what_a_crash_left() {
    let place = Place::new().await;
    place.bucket("films").await;
    place.put("films", "a", "kept").await;
    let upload = place.sites.create_upload(put("b")).await.unwrap();
    place.sites.put_part("films", "b", &upload.id, 1, text_stream("kept"), (None, None), || Ok(())).await.unwrap();
    let blobs = Blobs::in_folder(place.folder.path()).unwrap();
    blobs.put(&Sites::blob_name(), Bytes::from("written, and never committed")).await.unwrap();
    blobs.put("elsewhere/file", Bytes::from("not ours")).await.unwrap();
    std::fs::write(place.folder.path().join("objects/half#1"), "half-writ").unwrap();
    let sites = place.restarted();
    assert_eq!(sites.clean_leftovers().await.unwrap(), 1);
    assert_eq!(sites.clean_leftovers().await.unwrap(), 0);
    assert_eq!(place.files(), 3);
    assert_eq!(read(&sites, "a", None).await.unwrap(), "kept");
}

#[tokio::test]
async fn policies_and_websites_are_checked_when_they_are_set() {
    let place = Place::new().await;
    place.bucket("films").await;
    let policy = |resource: &str| json!({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}});
    place.sites.put_policy("films", policy("arn:aws:s3:::films/*")).await.unwrap();
    for outside in ["*", "arn:aws:s3:::*", "arn:aws:s3:::films2/*", "arn:aws:s3:::fil*"] {
        let refused = place.sites.put_policy("films", policy(outside)).await;
        assert!(matches!(refused, Err(Error::PolicyOutside(_))), "{outside}");
    }
    let malformed = place.sites.put_policy("films", json!({"Statement": {}})).await;
    assert!(matches!(malformed, Err(Error::Policy(_))));
    let missing = place.sites.put_policy("none-such", policy("arn:aws:s3:::none-such/*")).await;
    assert!(matches!(missing, Err(Error::NoSuchBucket(_))));
    let block = headwater_model::bucket::PublicAccessBlock { block_public_policy: true, ..Default::default() };
    place.sites.put_public_access_block("films", Some(block)).await.unwrap();
    let blocked = place.sites.put_policy("films", policy("arn:aws:s3:::films/*")).await;
    assert!(matches!(blocked, Err(Error::PublicPolicyBlocked(_))));
    for (index, redirect, fine) in [
        (Some("index.html"), None, true),
        (None, Some(("example.com", Some("https"))), true),
        (None, None, false),
        (Some("a/b"), None, false),
        (Some("index.html"), Some(("example.com", None)), false),
        (None, Some(("example.com", Some("ftp"))), false),
    ] {
        let website = Website {
            index_document: index.map(str::to_owned),
            error_document: None,
            redirect_all: redirect.map(|(host, protocol)| (host.into(), protocol.map(String::from))),
        };
        assert_eq!(place.sites.put_website("films", Some(website.clone())).await.is_ok(), fine, "{website:?}");
    }
}
