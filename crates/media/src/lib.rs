//! The shared words of the live path: media time, tracks, access units, cues; FLV, fMP4 and ID3 in and out.
