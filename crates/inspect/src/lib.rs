//! Is this content what it should be. Pure. So far: JSON Schema (`schema`, bounded by `survey`) and the arguments
//! that are mirrored into HTTP headers (`headers`).

pub mod headers;
pub mod schema;
mod survey;
