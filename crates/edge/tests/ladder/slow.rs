//! An encoder that is too slow, and one that is not there: fewer renditions or other ones, and a source that notices nothing.

use super::life::{whole, with_renditions};
use super::stage::{PATIENCE, Stage, TURN, always, check, encoders, made, texts};
use headwater_live::LadderState;
use headwater_live::ladder::{self, Encoder};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Lets every encoder of this process run for a fiftieth of the time, as on a machine that has other things to do.
async fn throttle() -> ! {
    loop {
        for encoder in encoders().await {
            let Some(pid) = Pid::from_raw(encoder) else { continue };
            // Half a second, then it is looked whether it is still the same one. One that is gone gets no signal.
            for _ in 0..5 {
                let _ = kill_process(pid, Signal::STOP);
                tokio::time::sleep(Duration::from_millis(98)).await;
                let _ = kill_process(pid, Signal::CONT);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_encoder_is_shed_from_the_top_and_the_ladder_comes_back() {
    let _turn = TURN.lock().await;
    let options =
        ladder::Options { behind_max: Duration::from_secs(1), restore_after: Duration::from_secs(4), ..always() };
    let stage = Stage::new(options).await;
    let _publisher = stage.publish();
    let stream = with_renditions(&stage, 2).await;
    let is_shed = |state: &LadderState| matches!(state, LadderState::Shed(1..));

    let mut offers = stream.offers();
    let before = stream.snapshot().next();
    tokio::select! {
        never = throttle() => match never {},
        shed = tokio::time::timeout(PATIENCE * 2, offers.wait_for(|offer| is_shed(&offer.ladder))) => {
            let offer = shed.expect("it is shed").unwrap();
            assert!(!offer.renditions[0].offered(), "from the top: {:?}", offer.ladder);
        }
    }
    let shed_at = stream.snapshot().next().msn;
    // The source went on meanwhile.
    assert!(stream.snapshot().next() > before);
    let whole_again = |offer: &Arc<headwater_live::Offer>| {
        offer.ladder == LadderState::Running(2) && offer.renditions.iter().all(|rendition| rendition.offered())
    };
    let back = tokio::time::timeout(PATIENCE * 3, offers.wait_for(whole_again)).await;
    back.expect("all renditions come back").unwrap();
    let mut top = made(&stream, "360p30");
    let newest = stream.snapshot().next();
    let again = top.wait_for(|snapshot| snapshot.next().msn > newest.msn && whole(snapshot));
    tokio::time::timeout(PATIENCE, again).await.expect("pictures come again").unwrap();
    let playlists = check(&texts(&stream));
    assert!(playlists[0].segments.iter().all(|segment| !segment.gap), "the source has no gap");
    // Who watches the small rendition never notices that the large one comes back.
    let small = made(&stream, "160p30").borrow().clone();
    let settled = (shed_at + 2..small.next().msn).filter_map(|msn| small.segment(msn));
    let gaps: Vec<u64> = settled.filter(|segment| segment.gap()).map(|segment| segment.msn()).collect();
    assert_eq!(gaps, [0; 0], "segments after {shed_at}");
}

/// A program that stands for an ffmpeg on a machine without the hardware.
fn without_hardware(folder: &std::path::Path) -> PathBuf {
    let program = folder.join("ffmpeg");
    let script = "#!/bin/sh\ncase \"$*\" in *h264_nvenc*) echo 'no capable device is found' >&2; exit 1;; esac\n\
                  exec ffmpeg \"$@\"\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hardware_that_is_not_there_is_stood_in_for_by_x264_which_is_said() {
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let options = ladder::Options { encoder: Encoder::Nvenc, ffmpeg: without_hardware(folder.path()), ..always() };
    let stage = Stage::new(options.clone()).await;
    let _publisher = stage.publish();
    let stream = with_renditions(&stage, 2).await;
    let note = stream.offer().encoder_note.clone().unwrap();
    assert!(note.contains("nvenc cannot be used here") && note.contains("no capable device is found"), "{note}");
    assert_eq!(stream.offer().ladder, LadderState::Running(2));

    // Who would rather have no ladder gets none, and is told why.
    let stage = Stage::new(ladder::Options { fallback: Encoder::Off, ..options }).await;
    let _publisher = stage.publish();
    let began = Instant::now();
    let given_up = |stream: &headwater_live::LiveStream| matches!(stream.offer().ladder, LadderState::Unavailable(_));
    let stream = stage.stream("it gives up", given_up).await;
    let LadderState::Unavailable(reason) = stream.offer().ladder.clone() else { unreachable!() };
    assert!(reason.contains("no capable device is found"), "{reason} after {:?}", began.elapsed());
}
