//! Takes found values out of texts: masks, hashes, placeholders that can be put back.
