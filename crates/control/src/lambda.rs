//! Functions and their permissions.
