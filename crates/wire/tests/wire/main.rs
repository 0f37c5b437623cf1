//! The tests of the crate from outside: what is refused, what survives, and what two readers agree on.

#[cfg(test)]
mod agree;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod edits;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod support;
