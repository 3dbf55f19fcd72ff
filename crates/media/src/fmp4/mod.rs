//! Fragmented MP4 out: init segments, and one `moof` + `mdat` for each part.
