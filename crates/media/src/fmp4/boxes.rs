//! Writes nested boxes into one buffer: sizes are filled in when a box is closed.

/// Writes a box around what `body` writes.
pub(super) fn boxed(out: &mut Vec<u8>, name: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(name);
    body(out);
    let size = u32::try_from(out.len() - start).expect("header boxes hold bounded input, far below 4 GiB");
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Writes a full box: a version and 24 bits of flags first.
pub(super) fn full(out: &mut Vec<u8>, name: &[u8; 4], version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, name, |out| {
        u32(out, u32::from(version) << 24 | flags & 0x00ff_ffff);
        body(out);
    });
}

pub(super) fn u16(out: &mut Vec<u8>, value: u16) {
    out.extend(value.to_be_bytes());
}

pub(super) fn u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}

pub(super) fn u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}

pub(super) fn zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, 0);
}
