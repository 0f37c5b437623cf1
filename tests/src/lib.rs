//! Decision, attack and end-to-end tests of the whole gateway.
