//! The encoders' side: sockets, TLS and deadlines around the protocol cores.
