//! Buckets, objects, policies and website hosting.
