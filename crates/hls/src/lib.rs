//! Low-Latency HLS packager as a sans-IO core: parts, segments, window, playlist text.
