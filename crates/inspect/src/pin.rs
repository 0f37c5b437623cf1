//! What a server said of itself, pinned by digest.
