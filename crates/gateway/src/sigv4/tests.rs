//! Signatures against an independent signer.
