//! Where this program keeps what nobody has named a directory for.

use std::path::PathBuf;

/// The directory of resume state: `$XDG_STATE_HOME/sandport` or `~/.local/state/sandport`, by the XDG Base Directory
/// Specification; on Windows `%LOCALAPPDATA%\sandport`.
#[cfg(feature = "send")]
pub(crate) fn state() -> Option<PathBuf> {
    #[cfg(unix)]
    return of_user("XDG_STATE_HOME", xdg::BaseDirectories::get_state_home);
    #[cfg(not(unix))]
    return std::env::var_os("LOCALAPPDATA")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .map(|base| base.join("sandport"));
}

/// The directory of compiled receivers: `$XDG_CACHE_HOME/sandport` or `~/.cache/sandport`.
#[cfg(all(feature = "serve", target_os = "linux"))]
pub(crate) fn cache() -> Option<PathBuf> {
    of_user("XDG_CACHE_HOME", xdg::BaseDirectories::get_cache_home)
}

/// What the library finds, where the environment leads anywhere. Else it would look into the user database, and a
/// service that was given no home would write into somebody's.
#[cfg(unix)]
fn of_user(variable: &str, find: fn(&xdg::BaseDirectories) -> Option<PathBuf>) -> Option<PathBuf> {
    let leads = |name| std::env::var_os(name).is_some_and(|path| PathBuf::from(path).is_absolute());
    let found = || find(&xdg::BaseDirectories::with_prefix("sandport"));
    if leads(variable) || leads("HOME") { found() } else { None }
}
