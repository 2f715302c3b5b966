//! The check that no modules use each other in a circle.
//!
//! A module is a file. It **uses** another one where a path in it, in an import, an expression, a type or a
//! macro's arguments, leads to an item that is defined in the other's file; re-exports are followed to there.
//! So a directory's `mod.rs` does not use what it only declares or hands on, but it does use what its own code
//! calls, and its children use it where they take a type that stands in it.
//!
//! No circle may stand in these:
//!
//! - the files of a crate;
//! - what stands beside each other in one directory, each taken with all below it.
//!
//! What is known and not resolved yet stands in a list ([`Exceptions`]), which only becomes shorter.
//!
//! What is compiled for tests or documentation alone (`#[cfg(test)]`) counts as nobody's use. Method calls are not
//! seen, since only a compiler knows whose they are; nor is what a macro's expansion names.

#![forbid(unsafe_code)]

mod circles;
mod conditions;
mod exceptions;
mod imports;
mod names;
mod paths;
mod report;
mod roots;
mod tree;
mod uses;

pub use circles::Circle;
pub use exceptions::Exceptions;
pub use report::describe;
pub use roots::{Root, roots, unreached};
pub use tree::{Error, Sources, Tree};
pub use uses::{Use, uses};
