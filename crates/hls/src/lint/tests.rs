//! Each rule is seen to fail.

use super::*;

const GOOD: &str = "\
#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0,PART-HOLD-BACK=3.000
#EXT-X-PART-INF:PART-TARGET=1.000
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-MAP:URI=\"init-0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-02-28T23:59:58.500Z
#EXT-X-PART:DURATION=1.000,URI=\"s0.p0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.950,URI=\"s0.p1.m4s\"
#EXT-X-PART:DURATION=0.050,URI=\"s0.p2.m4s\"
#EXTINF:2.000,
s0.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T00:00:00.500Z
#EXT-X-PART:DURATION=1.000,URI=\"s1.p0.m4s\",INDEPENDENT=YES
#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-03-01T00:00:00.500Z\",X-P=\"=,=\"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s1.p1.m4s\"
";

fn rules_of(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_sound_playlist_has_no_findings() {
    assert_eq!(Linter::new().check(GOOD), []);
}

#[test]
fn a_part_before_a_gap_and_the_gap_itself_may_be_short() {
    let gap = GOOD
        .replace("DURATION=0.950,URI=\"s0.p1.m4s\"", "DURATION=0.500,URI=\"s0.p1.m4s\"")
        .replace("DURATION=0.050,URI=\"s0.p2.m4s\"", "DURATION=0.500,URI=\"s0.p2.m4s\",GAP=YES");
    assert_eq!(Linter::new().check(&gap), []);
}

#[test]
fn each_rule_finds_its_fault() {
    let faults = [
        ("EXT-X-VERSION:9", "EXT-X-VERSION:6", "version"),
        ("#EXTINF:2.000", "#EXTINF:2.500", "target-duration"),
        ("#EXT-X-MAP:URI=\"init-0.mp4\"\n", "", "map"),
        ("CAN-SKIP-UNTIL=12.0", "CAN-SKIP-UNTIL=11.9", "skip-boundary"),
        ("HOLD-BACK=6.0", "HOLD-BACK=5.0", "hold-back"),
        ("PART-HOLD-BACK=3.000", "PART-HOLD-BACK=2.900", "part-hold-back"),
        ("CAN-BLOCK-RELOAD=YES,", "", "block-reload"),
        ("#EXT-X-PART:DURATION=1.000,URI=\"s1.p0", "#EXT-X-PART:DURATION=1.001,URI=\"s1.p0", "long-part"),
        ("DURATION=0.950", "DURATION=0.849", "short-part"),
        ("DURATION=0.050", "DURATION=0.060", "parts-sum"),
        ("#EXT-X-PROGRAM-DATE-TIME:2026-03-01T00:00:00.500Z\n", "", "date"),
        ("TIME:2026-03-01T00:00:00.500Z", "TIME:2026-03-01T00:00:00.490Z", "date-back"),
        ("TIME:2026-03-01T00:00:00.500Z", "TIME:2026-03-01T00:00:01.500Z", "date-gap"),
        ("URI=\"s1.p1.m4s\"", "URI=\"s1.p0.m4s\"", "hint-known"),
        ("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s1.p1.m4s\"\n", "", "hint"),
        ("#EXT-X-PRELOAD", "#EXT-X-ENDLIST\n#EXT-X-PRELOAD", "hint-after-end"),
        ("#EXTM3U\n", "", "syntax"),
        ("ID=\"a\"", "ID=\"a", "syntax"),
        ("#EXT-X-PART-INF:PART-TARGET=1.000\n", "", "part-inf"),
    ];
    for (text, fault, rule) in faults {
        assert!(GOOD.contains(text), "{text}");
        let findings = Linter::new().check(&GOOD.replacen(text, fault, 1));
        assert!(rules_of(&findings).contains(&rule), "{fault}: {findings:?}");
    }
}

#[test]
fn what_was_said_does_not_change() {
    let faults = [
        ("TARGETDURATION:2", "TARGETDURATION:3", "target-duration-change"),
        ("PART-TARGET=1.000", "PART-TARGET=1.100", "part-target-change"),
        ("PART-HOLD-BACK=3.000", "PART-HOLD-BACK=3.100", "server-control-change"),
        ("s0.m4s", "t0.m4s", "segment-changed"),
        ("s0.p1.m4s", "t0.p1.m4s", "parts-changed"),
        ("s1.p1.m4s", "s2.p0.m4s", "hint-broken"),
        ("MEDIA-SEQUENCE:0\n", "MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n", "discontinuity-sequence"),
    ];
    for (text, fault, rule) in faults {
        let mut linter = Linter::new();
        assert_eq!(linter.check(GOOD), []);
        let findings = linter.check(&GOOD.replacen(text, fault, 1));
        assert!(rules_of(&findings).contains(&rule), "{fault}: {findings:?}");
    }
    let mut linter = Linter::new();
    linter.check(&GOOD.replacen("MEDIA-SEQUENCE:0", "MEDIA-SEQUENCE:5", 1));
    assert!(rules_of(&linter.check(GOOD)).contains(&"media-sequence-back"));
}

#[test]
fn a_delta_must_match() {
    let mut linter = Linter::new();
    linter.check(GOOD);
    assert_eq!(linter.check_delta(GOOD), []);
    let (head, rest) = GOOD.split_once("#EXT-X-MAP").unwrap();
    let tail = rest.split_once("s0.m4s\n").unwrap().1;
    let map = "#EXT-X-MAP:URI=\"init-0.mp4\"\n";
    let delta = format!("{head}#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n{map}{tail}");
    assert_eq!(rules_of(&linter.check_delta(&delta)), ["skip-boundary"]);
    let other = delta.replace("s1.p0.m4s\",INDEPENDENT=YES", "s1.p0.m4s\"");
    assert!(rules_of(&linter.check_delta(&other)).contains(&"delta"));
}

#[test]
fn a_discontinuity_may_overtake_a_hint() {
    let hint = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s1.p1.m4s\"\n";
    assert!(GOOD.contains(hint), "{GOOD}");
    let head = GOOD.split(hint).next().unwrap();
    let next = |tag: &str| {
        format!(
            "{head}#EXTINF:1.000,\ns1.m4s\n{tag}#EXT-X-PROGRAM-DATE-TIME:2026-11-24T05:30:00.000Z\n\
             #EXT-X-PART:DURATION=1.000,URI=\"s2.p0.m4s\",INDEPENDENT=YES\n\
             #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s2.p1.m4s\"\n"
        )
    };
    for (tag, broken) in [("#EXT-X-DISCONTINUITY\n", false), ("", true)] {
        let mut linter = Linter::new();
        linter.check(GOOD);
        assert_eq!(rules_of(&linter.check(&next(tag))).contains(&"hint-broken"), broken, "{tag:?}");
    }
}

#[test]
fn the_date_may_jump_after_a_part_s_time_that_has_the_discontinuity() {
    let hint = "#EXT-X-PRELOAD-HINT";
    let (head, _) = GOOD.split_once(hint).unwrap();
    let with = |tag: &str, duration: &str| {
        format!(
            "{head}#EXTINF:1.000,\ns1.m4s\n{tag}#EXT-X-PROGRAM-DATE-TIME:2026-03-01T00:00:01.500Z\n\
             #EXT-X-PART:DURATION=0.500,URI=\"s2.p0.m4s\",INDEPENDENT=YES\n{duration}s2.m4s\n\
             #EXT-X-PROGRAM-DATE-TIME:2026-03-01T00:00:21.500Z\n\
             #EXT-X-PART:DURATION=1.000,URI=\"s3.p0.m4s\",INDEPENDENT=YES\n\
             {hint}:TYPE=PART,URI=\"s3.p1.m4s\"\n"
        )
    };
    let part = "#EXTINF:0.500,\n";
    assert_eq!(Linter::new().check(&with("#EXT-X-DISCONTINUITY\n", part)), []);
    assert_eq!(rules_of(&Linter::new().check(&with("", part))), ["date-gap"]);
    let longer = "#EXT-X-PART:DURATION=1.000,URI=\"s2.p1.m4s\"\n#EXTINF:1.500,\n";
    assert_eq!(rules_of(&Linter::new().check(&with("#EXT-X-DISCONTINUITY\n", longer))), ["date-gap"]);
}

#[test]
fn every_rule_that_can_be_found_is_listed() {
    let mut found: Vec<&str> = [include_str!("rules.rs"), include_str!("mod.rs")]
        .iter()
        .flat_map(|source| source.split(".error(").skip(1).chain(source.split(".advice(").skip(1)))
        .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next())
        .collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, RULES);
}
