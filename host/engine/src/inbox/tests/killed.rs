//! Servers that are killed.

use super::*;

/// What a server that is killed now leaves behind, opened by another one.
pub(super) fn killed(bench: &Bench) -> Bench {
    killed_now(bench, |_, _| ())
}

/// The same, of whose files `change` says what the disk made of them, by their names.
pub(super) fn killed_now(bench: &Bench, change: impl Fn(&str, &mut [u8])) -> Bench {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let inbox = folder.path().join("inbox");
    copy(&bench.dir(), &inbox);
    for entry in fs::read_dir(inbox.join(".sandport/partials")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        change(path.file_name().unwrap().to_str().unwrap(), &mut bytes);
        fs::write(path, bytes).unwrap();
    }
    Bench::in_folder(folder, bench.options.clone())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
