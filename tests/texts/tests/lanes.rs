//! The lanes of `.ci/run` and the jobs of the workflow are two lists: they have to be the same.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    fs::read_to_string(root.join(path)).unwrap()
}

/// The lanes that `.ci/run` runs where it is told none.
fn lanes(script: &str) -> BTreeSet<&str> {
    let (_, rest) = script.split_once("readonly LANES=(").unwrap();
    rest.split_once(')').unwrap().0.split_whitespace().collect()
}

/// The lanes that the jobs of the workflow name. Each job needs lane `toolchain`.
fn jobs(workflow: &str) -> Vec<&str> {
    let (_, rest) = workflow.split_once("        lanes:\n").unwrap();
    rest.lines()
        .map_while(|line| line.trim_start().strip_prefix("- toolchain "))
        .flat_map(str::split_whitespace)
        .collect()
}

#[test]
fn the_workflow_runs_each_lane_once() {
    let (script, workflow) = (read(".ci/run"), read(".github/workflows/ci.yml"));
    let mut jobs = jobs(&workflow);
    jobs.sort_unstable();
    let lanes = lanes(&script).into_iter().filter(|lane| *lane != "toolchain");
    assert_eq!(jobs, lanes.collect::<Vec<_>>());
}

#[test]
fn each_lane_is_a_function_of_the_script() {
    let script = read(".ci/run");
    for lane in lanes(&script) {
        let function = format!("\nlane_{}() {{\n", lane.replace('-', "_"));
        assert!(script.contains(&function), "{lane}");
    }
}
