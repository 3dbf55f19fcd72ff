//! SCTE-35 messages that mark ad breaks. Source: ANSI/SCTE 35, "splice_info_section" and "splice_insert".

/// `table_id` of a splice_info_section.
const TABLE_ID: u8 = 0xFC;
/// `splice_command_type` of splice_insert.
const SPLICE_INSERT: u8 = 0x05;
/// `tier` that authorizes everybody.
const TIER: u16 = 0xFFF;
/// Ticks of SCTE-35 in a millisecond: 90 kHz.
const TICKS_PER_MS: u64 = 90;

/// Which end of a break a message marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpliceEdge {
    /// The programme is left; the break lasts so many milliseconds.
    Out {
        /// Planned duration.
        duration_ms: u64,
    },
    /// The programme comes back.
    In,
}

/// A splice_info_section with one splice_insert, to be done at once: the time stands beside it, in EXT-X-DATERANGE.
pub fn splice_insert(event_id: u32, edge: SpliceEdge) -> Vec<u8> {
    let command = command(event_id, edge);
    let mut section = vec![TABLE_ID, 0, 0];
    // protocol_version, encrypted_packet and encryption_algorithm and the high bit of pts_adjustment, the rest of it, cw_index.
    section.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0]);
    let command_length = u16::try_from(command.len()).unwrap_or(u16::MAX);
    let tier_and_length = (u32::from(TIER) << 12) | u32::from(command_length & 0xFFF);
    section.extend_from_slice(&tier_and_length.to_be_bytes()[1..]);
    section.push(SPLICE_INSERT);
    section.extend_from_slice(&command);
    // descriptor_loop_length.
    section.extend_from_slice(&[0, 0]);
    // section_length counts what follows it, with the CRC. Its high bits: no section syntax, not private, SAP type unspecified.
    let length = u16::try_from(section.len() - 3 + 4).unwrap_or(u16::MAX);
    section[1..3].copy_from_slice(&(0x3000 | (length & 0xFFF)).to_be_bytes());
    let crc = crc32(&section);
    section.extend_from_slice(&crc.to_be_bytes());
    section
}

fn command(event_id: u32, edge: SpliceEdge) -> Vec<u8> {
    let mut command = event_id.to_be_bytes().to_vec();
    // splice_event_cancel_indicator 0, reserved.
    command.push(0x7F);
    let (out, duration) = match edge {
        SpliceEdge::Out { duration_ms } => (0x80, Some(duration_ms * TICKS_PER_MS)),
        SpliceEdge::In => (0, None),
    };
    // out_of_network_indicator, program_splice_flag, duration_flag, splice_immediate_flag, reserved.
    command.push(out | 0x40 | if duration.is_some() { 0x20 } else { 0 } | 0x10 | 0x0F);
    if let Some(ticks) = duration {
        // auto_return, reserved, 33 bits of duration.
        let break_duration = (1 << 39) | (0x3F << 33) | (ticks & 0x1_FFFF_FFFF);
        command.extend_from_slice(&break_duration.to_be_bytes()[3..]);
    }
    // unique_program_id, avail_num, avails_expected.
    command.extend_from_slice(&[0, 1, 0, 0]);
    command
}

/// CRC-32 of MPEG-2 (ISO/IEC 13818-1 Annex A). The messages have some thirty bytes: no table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 != 0 { (crc << 1) ^ 0x04C1_1DB7 } else { crc << 1 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_mpeg_2() {
        assert_eq!(crc32(b"123456789"), 0x0376_E6E7);
    }

    #[test]
    fn the_way_out_has_a_duration_and_the_way_back_has_none() {
        let out = splice_insert(0x0102_0304, SpliceEdge::Out { duration_ms: 30_000 });
        assert_eq!(hex(&out[..out.len() - 4]), "fc302000000000000000fff00f05010203047ffffe002932e0000100000000");
        let back = splice_insert(0x0102_0304, SpliceEdge::In);
        assert_eq!(hex(&back[..back.len() - 4]), "fc301b00000000000000fff00a05010203047f5f000100000000");
        for section in [out, back] {
            assert_eq!(usize::from(section[1] & 0x0F) << 8 | usize::from(section[2]), section.len() - 3);
            assert_eq!(crc32(&section), 0, "a section and its checksum together have none");
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
