//! Where encoders may go: which of the ways in a channel takes from a peer.

use crate::Control;
use headwater_model::ivs::Channel;
use std::net::IpAddr;

/// Who may publish without TLS, whatever their channel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsecureIngest {
    /// Encoders on this machine: their bytes never leave it.
    Loopback,
    /// Everybody.
    Everybody,
    /// Only channels with `InsecureIngest`.
    Nobody,
}

/// Whether a channel takes a stream without TLS from this address; `None` is one that is not known for sure.
pub fn takes_plain(control: &Control, channel: &Channel, peer: Option<IpAddr>) -> bool {
    match control.insecure_ingest() {
        InsecureIngest::Everybody => true,
        // What stays on this machine needs no TLS to be private.
        InsecureIngest::Loopback => {
            channel.insecure_ingest || peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        }
        InsecureIngest::Nobody => channel.insecure_ingest,
    }
}
