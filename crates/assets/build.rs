//! Builds `web/` with npm when its sources changed, and writes a table of the built files for the crate to embed.
//!
//! The build's stamp holds digests of the sources' and the built files' content: other times alone do not build again, a build by
//! hand is noticed, and two cargo runs with different target folders wait for each other by a file lock.

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the assets are made from, below `web/`. Tests are not among them.
const SOURCES: &[&str] = &[
    ".npmrc",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.player.config.ts",
    "vite.site.config.ts",
    "player/src",
    "site/index.html",
    "site/public",
    "site/src",
];

/// What decides which packages are installed.
const PACKAGES: &[&str] = &[".npmrc", "package.json", "package-lock.json"];

/// What a build makes and the crate embeds, below `web/dist`.
const BUILT: &[&str] = &["player", "site"];

/// The oldest Node.js that the build's tools take: major and minor version.
const NODE_MIN: (u32, u32) = (20, 19);

/// What must be among it.
const NEEDED: &[&str] = &["player/v1/headwater-player.js", "site/index.html"];

fn main() {
    if let Err(sentence) = run() {
        println!("cargo::error={sentence}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), String> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", web.join(source).display());
    }
    let web = web.canonicalize().map_err(|error| format!("web/ is missing beside crates/: {error}"))?;
    let dist = web.join("dist");
    fs::create_dir_all(&dist).map_err(|error| format!("{} could not be made: {error}", dist.display()))?;
    let lock =
        File::create(dist.join(".lock")).map_err(|error| format!("web/dist/.lock could not be made: {error}"))?;
    lock.lock().map_err(|error| format!("web/dist/.lock could not be locked: {error}"))?;
    build(&web, &dist)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo gave no OUT_DIR")?);
    embed(&dist, &out).map_err(|error| format!("the built web assets could not be copied: {error}"))
}

fn build(web: &Path, dist: &Path) -> Result<(), String> {
    let digest =
        |base: &Path, paths: &[&str]| digest(base, paths).map_err(|error| format!("web/ could not be read: {error}"));
    let state = || Ok::<_, String>(format!("{} {}", digest(web, SOURCES)?, digest(dist, BUILT)?));
    let stamp = dist.join(".stamp");
    let complete = || NEEDED.iter().find(|file| !dist.join(file).is_file()).map_or(Ok(()), |file| Err(*file));
    let stamped = fs::read_to_string(&stamp).unwrap_or_default();
    if complete().is_ok() && stamped == state()? {
        return Ok(());
    }
    node()?;
    let packages = digest(web, PACKAGES)?;
    let installed = web.join("node_modules/.headwater-installed");
    if fs::read_to_string(&installed).map_or(true, |with| with != packages) {
        npm(web, &["ci", "--no-audit", "--no-fund"])?;
        write(&installed, &packages)?;
    }
    npm(web, &["run", "build"])?;
    complete().map_err(|file| format!("npm run build in web/ made no dist/{file}"))?;
    write(&stamp, &state()?)
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{} could not be written: {error}", path.display()))
}

/// Is there a Node.js that is new enough?
fn node() -> Result<(), String> {
    let needed =
        format!("the web player and site are built with Node.js {}.{} or newer and npm", NODE_MIN.0, NODE_MIN.1);
    let install = "install them (Debian 13: apt-get install nodejs npm; elsewhere from nodejs.org), then build again";
    let output = Command::new("node").arg("--version").output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{needed}, and node was not found: {install}"),
        _ => format!("node --version could not be started: {error}"),
    })?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < NODE_MIN {
        return Err(format!("{needed}, and node --version says {version:?}: {install}"));
    }
    Ok(())
}

fn npm(web: &Path, arguments: &[&str]) -> Result<(), String> {
    let command = format!("npm {}", arguments.join(" "));
    let output = Command::new("npm").args(arguments).current_dir(web).output().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            "npm was not found beside node: install it (Debian and Ubuntu: apt-get install npm), then build again"
                .to_owned()
        } else {
            format!("{command} could not be started: {error}")
        }
    })?;
    if output.status.success() {
        return Ok(());
    }
    // An instruction to cargo is one line.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(12)..].join(" | ");
    Err(format!("{command} in web/ ended with {}: {last}", output.status))
}

/// Every file's path and content below `paths`, in one order.
fn digest(base: &Path, paths: &[&str]) -> io::Result<String> {
    let mut files = Vec::new();
    for path in paths {
        walk(&base.join(path), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let content = fs::read(&file)?;
        let name = file.strip_prefix(base).unwrap_or(&file).to_string_lossy().into_owned();
        digest.update((name.len() as u64).to_le_bytes());
        digest.update(name);
        digest.update((content.len() as u64).to_le_bytes());
        digest.update(content);
    }
    Ok(hex::encode(digest.finalize()))
}

/// A path that does not exist has no files.
fn walk(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
    } else if path.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), files)?;
        }
    }
    Ok(())
}

/// Copies the built files under the lock, so that what is embedded is of one build, and lists them in `files.rs`.
fn embed(dist: &Path, out: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for folder in BUILT {
        walk(&dist.join(folder), &mut files)?;
    }
    files.sort();
    let folder = out.join("web");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut table = String::from("&[\n");
    for (index, file) in files.iter().enumerate() {
        let content = fs::read(file)?;
        let name = file.strip_prefix(dist).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let etag = format!("\"{}\"", &hex::encode(Sha256::digest(&content))[..32]);
        let copy = folder.join(index.to_string());
        fs::write(&copy, content)?;
        let _ = writeln!(table, "    ({name:?}, {etag:?}, include_bytes!({:?})),", copy.to_string_lossy());
    }
    table.push_str("]\n");
    fs::write(out.join("files.rs"), table)
}
