//! Holds the direction of imports between the rooms, and what the cores must not know. ARCHITECTURE.md draws it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every room with the rooms that it may use. `headwater` and whoever is not named here may use all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("rtmp", &[]),
    ("hls", &["media"]),
    ("model", &[]),
    ("confine", &[]),
    ("store", &["model"]),
    ("live", &["media", "hls", "model", "confine"]),
    ("ingest", &["rtmp", "media", "live", "model"]),
    ("edge", &["hls", "live", "model"]),
    ("bus", &["model", "store"]),
    ("functions", &["model", "store"]),
    ("stacks", &["model", "store"]),
    ("sites", &["model", "store"]),
    ("interact", &["model", "store", "live"]),
    ("control", &["model", "store", "live", "bus", "functions", "stacks", "sites", "interact"]),
    ("gateway", &["control", "model", "functions", "stacks", "sites", "interact", "bus", "live", "store"]),
    ("assets", &[]),
    (
        "fuzz-targets",
        &["media", "rtmp", "hls", "model", "edge", "bus", "stacks", "sites", "control", "gateway", "ingest", "live"],
    ),
];

/// Rooms without I/O and without a clock, and the crates that would bring them.
const SANS_IO: &[&str] = &["media", "rtmp", "hls", "model"];
const IO_CRATES: &[&str] = &["tokio", "hyper", "axum", "sqlx", "object_store"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Room → names of its normal dependencies.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut rooms = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let room = name.strip_prefix("headwater-").unwrap_or(name).to_string();
        let normal = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        rooms.insert(room, normal.map(|d| d["name"].as_str().unwrap().to_string()).collect());
    }
    rooms
}

#[test]
fn imports_run_down_the_table_only() {
    let rooms = dependencies();
    for (room, may_use) in MAY_USE {
        let uses = rooms.get(*room).unwrap_or_else(|| panic!("the table names {room}, which is not there"));
        for used in uses.iter().filter_map(|name| name.strip_prefix("headwater-")) {
            assert!(may_use.contains(&used), "{room} uses {used}, which the table does not allow");
        }
    }
    for room in rooms.keys() {
        let known = room == "headwater" || MAY_USE.iter().any(|(name, _)| name == room);
        assert!(known, "{room} is not in the table: add it with the rooms that it may use");
    }
}

#[test]
fn the_cores_bring_no_io() {
    let rooms = dependencies();
    for room in SANS_IO {
        for name in &rooms[*room] {
            assert!(!IO_CRATES.contains(&name.as_str()), "{room} is without I/O, but depends on {name}");
        }
    }
}

#[test]
fn paths_named_in_documents_exist() {
    let root = root();
    let mut checked = 0;
    let mut documents = vec![root.join("README.md"), root.join("ARCHITECTURE.md"), root.join("CHANGELOG.md")];
    documents.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    for document in documents.iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = std::fs::read_to_string(document).unwrap();
        // Relative Markdown links and `crates/…`-like words in backticks.
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let words = text.split('`').skip(1).step_by(2).filter(|word| {
            let first = word.split('/').next().unwrap_or_default();
            matches!(first, "crates" | "web" | "docs" | "tests" | "examples" | "scripts")
                && word.contains('/')
                && !word.contains([' ', '*', '{', '<', '…'])
        });
        for path in links.filter(|l| !l.is_empty() && !l.contains("://")).chain(words) {
            let found = root.join(path).exists() || document.parent().unwrap().join(path).exists();
            assert!(found, "{} names {path}, which is not there", document.display());
            checked += 1;
        }
    }
    assert!(checked > 0, "no document names a path");
}
