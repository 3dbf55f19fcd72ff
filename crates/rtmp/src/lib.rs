//! RTMP and Enhanced RTMP as a sans-IO core: handshake, chunk stream, AMF0, publish session.
