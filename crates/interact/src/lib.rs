//! Polls, answers and tallies.
