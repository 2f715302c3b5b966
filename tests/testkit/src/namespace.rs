//! Tests that need a mount or a user of their own: they run themselves once more in a namespace, so
//! that they need no privileges and leave nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

/// Arguments of `unshare` for a test that mounts something.
pub const MOUNT: &[&str] = &["--user", "--map-root-user", "--mount"];

/// And for one by a user who is not root and has all capabilities.
pub const CAPABLE_USER: &[&str] = &["--user", "--map-user=1000", "--map-group=1000", "--keep-caps"];

/// Tells the second run where its directory is.
const DIRECTORY: &str = "SANDPORT_TEST_DIRECTORY";

/// Says that this machine allows no namespaces and that these tests may be left out.
const LEAVE_OUT: &str = "SANDPORT_TEST_WITHOUT_NAMESPACES";

/// Runs `test` in namespaces as `unshare` makes them of `arguments`, after the shell command `setup`,
/// which gets the path of an empty directory as `$0`. So does the test.
#[expect(clippy::disallowed_methods, reason = "tests are told so")]
pub fn run_inside(arguments: &[&str], setup: &str, test: impl FnOnce(&Path)) {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return test(Path::new(&directory));
    }
    if std::env::var_os(LEAVE_OUT).is_some() {
        eprintln!("left out, as {LEAVE_OUT} says");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // libtest names the thread of a test after it.
    let name = std::thread::current().name().unwrap().to_owned();
    let setup = if setup.is_empty() { "true" } else { setup };
    let output = Command::new("unshare")
        .args(arguments)
        .args(["sh", "-c", &format!("{setup} && exec \"$@\"")])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(DIRECTORY, directory.path())
        .output()
        .expect("the tests need unshare(1)");
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success() && words.contains("1 passed"),
        "in a namespace (set {LEAVE_OUT}=1 where there are none): {words}"
    );
}
