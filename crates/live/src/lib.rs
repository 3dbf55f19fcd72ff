//! One owner task for each stream session, fan-out by published snapshots.
