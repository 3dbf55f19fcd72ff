//! Providers of the resource types, and the stack operations.
