//! Lambda Runtime API, child processes with limits, logs.
