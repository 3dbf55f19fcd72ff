//! Holds that each code that people meet has its page, and that the index names them all.

use headwater_live::doctor::Code;
use headwater_model::ivs::MultitrackCode;
use headwater_rtmp::server::Status;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors")
}

/// The codes that there must be a page for.
fn codes() -> BTreeSet<String> {
    let refusals = [Status::BadName, Status::Denied, Status::Failed, Status::Idle].map(Status::code);
    let of_tracks = MultitrackCode::REFUSALS.map(MultitrackCode::as_str);
    refusals.into_iter().chain(of_tracks).chain(Code::ALL.map(Code::as_str)).map(str::to_owned).collect()
}

#[test]
fn every_code_has_a_page_with_a_cure_and_every_page_a_code() {
    let pages: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "README")
        .collect();
    assert_eq!(pages, codes());
    for code in codes() {
        let text = std::fs::read_to_string(folder().join(format!("{code}.md"))).unwrap();
        assert!(text.starts_with(&format!("# `{code}`: ")), "{code}: the title names it");
        assert!(text.contains("\n## What to do\n\n- "), "{code}: what to do");
    }
}

#[test]
fn the_index_names_every_page() {
    let index = std::fs::read_to_string(folder().join("README.md")).unwrap();
    for code in codes() {
        assert!(index.contains(&format!("[`{code}`]({code}.md)")), "{code} is not in the index");
    }
}
