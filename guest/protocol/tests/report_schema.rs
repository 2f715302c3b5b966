//! The published schema of reports is that of the types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::{env, fs};

use sandport_protocol::report::Report;

/// Where it is published.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.schema.json");

/// Set, it has the file written anew.
const WRITE: &str = "SANDPORT_WRITE_SCHEMA";

#[test]
fn the_published_schema_is_that_of_the_types() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(Report<'_>)).unwrap() + "\n";
    if env::var_os(WRITE).is_some() {
        fs::write(PATH, &schema).unwrap();
    }
    let published = fs::read_to_string(PATH).unwrap();
    assert!(published == schema, "docs/events.schema.json is stale: run this test with {WRITE}=1");
}
