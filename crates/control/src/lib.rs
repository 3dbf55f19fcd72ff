//! What each operation does: one place for every change that a user can ask for.
