//! Roles, users, access keys and policies; what a principal may do.
