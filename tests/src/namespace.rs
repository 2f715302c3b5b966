//! Programs in namespaces of their own, which need no privileges and leave nothing behind.

/// Says that this machine allows no namespaces and that these tests may be left out.
const LEAVE_OUT: &str = "SANDPORT_TEST_WITHOUT_NAMESPACES";

/// The arguments that run a program where the shell command `mount` was done, in namespaces that end with
/// it. `None`: such tests are left out, which is said.
pub fn mounted(mount: &str) -> Option<Vec<String>> {
    if std::env::var_os(LEAVE_OUT).is_some() {
        eprintln!("left out, as {LEAVE_OUT} says");
        return None;
    }
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    Some(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &script]
            .map(str::to_owned)
            .into(),
    )
}
