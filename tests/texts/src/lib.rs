//! Finds links, anchors and paths in Markdown documents that lead nowhere.
//!
//! It reads files and nothing else: links to other sites are not followed.

#![forbid(unsafe_code)]

mod anchors;
mod check;
mod document;
mod files;

pub use check::{Broken, check};
pub use document::{Document, Link};
pub use files::{documents, top_level};
