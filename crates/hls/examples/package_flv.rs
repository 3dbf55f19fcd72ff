//! Packages an FLV file as a live stream would be, checks every revision, and writes what viewers would have got:
//! `cargo run -p headwater-hls --example package_flv -- INPUT.flv FOLDER [CUE_MS ...]`.

use headwater_hls::lint::Linter;
use headwater_hls::{Delta, Latency, Options, Packager, Position, playlist};
use headwater_media::flv::{Demuxer, Unit};
use headwater_media::{Cue, CueOwner, WallTime};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: package_flv INPUT.flv FOLDER [CUE_MS ...]".into());
    };
    let mut cues = arguments.map(|text| text.parse::<i64>()).collect::<Result<Vec<_>, _>>()?;
    cues.sort_unstable_by(|a, b| b.cmp(a));
    let file = bytes::Bytes::from(std::fs::read(input)?);
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;

    let mut demuxer = Demuxer::new();
    let mut packager =
        Packager::new(Options { epoch: "file".into(), rendition: "source".into(), latency: Latency::Low });
    let mut linter = Linter::new();
    let mut written = Position { msn: 0, part: 0 };
    let mut revisions = 0;
    // The signature and header, and the first back pointer.
    let mut at = 13;
    while let Some(head) = file.get(at..at + 11) {
        let size = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        let timestamp = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        if file.len() < at + 11 + size {
            break;
        }
        let body = file.slice(at + 11..at + 11 + size);
        let units = match head[0] {
            8 => demuxer.audio(timestamp, body)?,
            9 => demuxer.video(timestamp, body)?,
            _ => Vec::new(),
        };
        while cues.last().is_some_and(|&cue| cue <= i64::from(timestamp)) {
            let id = format!("cue-{}", cues.pop().unwrap_or_default());
            let payload = "{\"question\":\"?\"}".to_owned();
            packager.handle_cue(Cue { id, payload, owner: CueOwner::OutOfBand })?;
        }
        let now = WallTime(1_795_498_182_123 + i64::from(timestamp));
        for unit in units {
            match unit {
                Unit::Config(track) => packager.handle_track(track),
                Unit::Access(unit) => packager.handle_unit(unit, now)?,
                Unit::Metadata(metadata) => packager.handle_metadata(&metadata),
                _ => {}
            }
            revisions += look(&mut packager, &mut linter, folder, &mut written)?;
        }
        at += 11 + size + 4;
    }
    packager.end();
    revisions += look(&mut packager, &mut linter, folder, &mut written)?;
    println!("{revisions} revisions, {} segments", written.msn);
    Ok(())
}

fn look(
    packager: &mut Packager,
    linter: &mut Linter,
    folder: &Path,
    written: &mut Position,
) -> Result<usize, Box<dyn Error>> {
    let Some(snapshot) = packager.poll_snapshot() else { return Ok(0) };
    let text = playlist::media(&snapshot, Delta::Full);
    for finding in linter.check(&text) {
        println!("revision {}: {finding}", snapshot.revision());
    }
    std::fs::write(folder.join("media.m3u8"), text)?;
    std::fs::write(folder.join("index.m3u8"), playlist::multivariant(&(&*snapshot).into(), "media.m3u8"))?;
    for (index, init) in (0..).map_while(|index| Some((index, snapshot.init(index)?))) {
        std::fs::write(folder.join(format!("init-{index}.mp4")), init)?;
    }
    while let Some(segment) = snapshot.segment(written.msn) {
        let body: Vec<u8> = segment.chunks().flat_map(|chunk| chunk.iter().copied()).collect();
        std::fs::write(folder.join(format!("s{}.m4s", segment.msn())), body)?;
        for (index, part) in segment.parts().iter().enumerate() {
            let name = format!("s{}.p{index}.m4s", segment.msn());
            std::fs::write(folder.join(name), part.body())?;
        }
        written.msn += 1;
    }
    Ok(1)
}
