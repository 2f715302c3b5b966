//! How a file system gives a file a name only if it is free.

/// How a file system gives a file a name only if it is free, the best way first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FreeName {
    /// `renameat2` with `RENAME_NOREPLACE`.
    #[default]
    Rename,
    /// A second link to the file, then away with the first.
    Link,
    /// A look whether the name is free, then a rename. What another program gives the name in between is
    /// replaced. exFAT and FAT by FUSE, and file systems over object stores, know nothing better.
    Look,
}
