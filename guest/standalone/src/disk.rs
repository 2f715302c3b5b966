//! The inbox's file system, by WASI.

use std::rc::Rc;

use sandport_protocol::inbox::Failure;

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Datetime, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::inbox::{Directory, DiskError, File, Kind, Look, Trouble};
use crate::report::Failed;

/// Most bytes of one write by [`WasiFile::write`]. Bytes. Runtimes copy each.
const WRITE_BYTES_MAX: usize = 1024 * 1024;

/// How directories are opened. `mutate-directory` is one more that neither wasmtime nor jco asks for, and
/// jco refuses.
const DIRECTORY_FLAGS: DescriptorFlags = DescriptorFlags::READ;

/// Opens the directory at `path`, which is one that the runtime has mounted or lies beneath one.
pub(crate) fn mounted(path: &str) -> Result<WasiDirectory, Failed> {
    let mounts = get_directories();
    let wanted = trimmed(path);
    let beneath = |mount: &str| {
        let rest = wanted.strip_prefix(trimmed(mount))?;
        (rest.is_empty() || rest.starts_with('/') || trimmed(mount).is_empty())
            .then_some(rest.trim_start_matches('/'))
    };
    let names: Vec<String> = mounts.iter().map(|(_, name)| name.clone()).collect();
    let best = mounts
        .into_iter()
        .filter_map(|(descriptor, name)| Some((beneath(&name)?.to_owned(), descriptor)))
        .min_by_key(|(rest, _)| rest.len());
    let Some((rest, descriptor)) = best else {
        let there = match names.as_slice() {
            [] => String::from("no directory is mounted"),
            names => format!("only {} is mounted", names.join(", ")),
        };
        return Err(Failed::new(
            "inbox-not-mounted",
            format!("there is no directory {path}: {there}"),
            format!(
                "mount one: wasmtime run -S inherit-network --dir ./inbox::{path} \
                 sandport-standalone.wasm"
            ),
        ));
    };
    // Opened once more, because jco's host cannot sync a directory as it is mounted.
    let again = descriptor.open_at(PathFlags::empty(), ".", OpenFlags::DIRECTORY, DIRECTORY_FLAGS);
    let mut directory = WasiDirectory(Rc::new(again.unwrap_or(descriptor)));
    for part in rest.split('/').filter(|part| !part.is_empty()) {
        directory = directory.directory(part).map_err(|error| {
            Failed::new(
                "inbox-not-mounted",
                format!("the directory {path} cannot be opened: {error}"),
                "make it, and mount it or a directory above it",
            )
        })?;
    }
    Ok(directory)
}

/// Without what makes no difference at either end of a path.
fn trimmed(path: &str) -> &str {
    let path = path.strip_prefix("./").unwrap_or(path);
    let path = if path == "." { "" } else { path };
    path.trim_end_matches('/')
}

/// A directory.
#[derive(Clone)]
pub(crate) struct WasiDirectory(Rc<Descriptor>);

/// A file.
pub(crate) struct WasiFile(Descriptor);

impl WasiDirectory {
    fn open_at(
        &self,
        name: &str,
        how: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Descriptor, ErrorCode> {
        self.0.open_at(PathFlags::empty(), name, how, flags)
    }
}

impl Directory for WasiDirectory {
    type File = WasiFile;

    fn directory(&self, name: &str) -> Result<Self, DiskError> {
        match self.open_at(name, OpenFlags::DIRECTORY, DIRECTORY_FLAGS) {
            Ok(descriptor) => Ok(Self(Rc::new(descriptor))),
            Err(ErrorCode::NotDirectory | ErrorCode::Loop) => Err(DiskError {
                trouble: Trouble::NotADirectory,
                words: "not a directory".to_owned(),
            }),
            Err(code) => Err(error(code)),
        }
    }

    fn make_directory(&self, name: &str) -> Result<(), DiskError> {
        self.0.create_directory_at(name).map_err(error)
    }

    fn look(&self, name: &str) -> Result<Option<Look>, DiskError> {
        let stat = match self.0.stat_at(PathFlags::empty(), name) {
            Err(ErrorCode::NoEntry) => return Ok(None),
            stat => stat.map_err(error)?,
        };
        let kind = match stat.type_ {
            DescriptorType::RegularFile => Kind::File,
            DescriptorType::Directory => Kind::Directory,
            _ => Kind::Other,
        };
        // Of a file alone: that is what records are of.
        let identity = match kind {
            // Where the runtime cannot tell files apart, size and time have to do.
            Kind::File => {
                self.0.metadata_hash_at(PathFlags::empty(), name).map_or(0, |it| it.lower)
            }
            _ => 0,
        };
        let modified = stat.data_modification_timestamp.map_or((0, 0), |time| {
            (i64::try_from(time.seconds).unwrap_or(i64::MAX), time.nanoseconds)
        });
        Ok(Some(Look { kind, size: stat.size, identity, modified }))
    }

    fn create(&self, name: &str) -> Result<WasiFile, DiskError> {
        let how = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        let descriptor = self.open_at(name, how, flags).map_err(error)?;
        Ok(WasiFile(descriptor))
    }

    fn open(&self, name: &str) -> Result<WasiFile, DiskError> {
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        let descriptor = self.open_at(name, OpenFlags::CREATE, flags).map_err(error)?;
        Ok(WasiFile(descriptor))
    }

    fn find(&self, name: &str) -> Result<Option<WasiFile>, DiskError> {
        // Before it is opened: nobody knows what opening something else comes to.
        if self.look(name)?.is_none_or(|look| look.kind != Kind::File) {
            return Ok(None);
        }
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        match self.open_at(name, OpenFlags::empty(), flags) {
            Ok(descriptor) => Ok(Some(WasiFile(descriptor))),
            Err(ErrorCode::NoEntry | ErrorCode::Loop) => Ok(None),
            Err(code) => Err(error(code)),
        }
    }

    fn names(&self) -> Result<Vec<String>, DiskError> {
        let entries = self.0.read_directory().map_err(error)?;
        let mut names = Vec::new();
        while let Some(entry) = entries.read_directory_entry().map_err(error)? {
            names.push(entry.name);
        }
        Ok(names)
    }

    fn link(&self, name: &str, to: &Self, new: &str) -> Result<(), DiskError> {
        self.0.link_at(PathFlags::empty(), name, &to.0, new).map_err(error)
    }

    fn rename(&self, name: &str, to: &Self, new: &str) -> Result<(), DiskError> {
        self.0.rename_at(name, &to.0, new).map_err(|code| match code {
            ErrorCode::Exist | ErrorCode::NotEmpty => error(ErrorCode::IsDirectory),
            code => error(code),
        })
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.0.unlink_file_at(name).map_err(error)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.0.sync().map_err(error)
    }
}

impl File for WasiFile {
    fn read(&mut self, offset: u64, max: usize) -> Result<Vec<u8>, DiskError> {
        let mut bytes = Vec::new();
        while bytes.len() < max {
            let (more, end) = self
                .0
                .read((max - bytes.len()) as u64, offset + bytes.len() as u64)
                .map_err(error)?;
            let stuck = more.is_empty();
            bytes.extend_from_slice(&more);
            if end || stuck {
                break;
            }
        }
        Ok(bytes)
    }

    fn write(&mut self, mut bytes: &[u8], mut offset: u64) -> Result<(), DiskError> {
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
            let count = self.0.write(piece, offset).map_err(error)?;
            // A regular file takes at least one byte or says why not.
            let taken =
                usize::try_from(count).ok().filter(|count| (1..=piece.len()).contains(count));
            let taken = taken.ok_or_else(|| error(ErrorCode::Io))?;
            bytes = &bytes[taken..];
            offset += count;
        }
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> Result<(), DiskError> {
        if self.0.stat().map_err(error)?.size <= size {
            return Ok(());
        }
        self.0.set_size(size).map_err(error)
    }

    fn set_modified(&mut self, modified_ns: i64) -> Result<(), DiskError> {
        // WASI counts from 1970 on.
        let Ok(modified_ns) = u64::try_from(modified_ns) else {
            return Err(error(ErrorCode::Invalid));
        };
        let time = NewTimestamp::Timestamp(Datetime {
            seconds: modified_ns / 1_000_000_000,
            nanoseconds: (modified_ns % 1_000_000_000) as u32,
        });
        self.0.set_times(time, time).map_err(error)
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        self.0.sync().map_err(error)
    }
}

fn error(code: ErrorCode) -> DiskError {
    DiskError { trouble: trouble(code), words: code.message().to_owned() }
}

/// The condition of an error code: as the native inbox has it for the errno of that name.
fn trouble(code: ErrorCode) -> Trouble {
    Trouble::Failure(match code {
        ErrorCode::NoEntry => return Trouble::NotFound,
        ErrorCode::Exist => return Trouble::Exists,
        ErrorCode::NotDirectory => return Trouble::NotADirectory,
        ErrorCode::IsDirectory | ErrorCode::NotEmpty => return Trouble::IsDirectory,
        ErrorCode::Invalid => return Trouble::Invalid,
        ErrorCode::Unsupported
        | ErrorCode::CrossDevice
        | ErrorCode::NoTty
        | ErrorCode::InvalidSeek
        | ErrorCode::TooManyLinks => return Trouble::Unsupported,
        ErrorCode::InsufficientSpace => Failure::Full,
        ErrorCode::Quota => Failure::DiskQuota,
        ErrorCode::NameTooLong | ErrorCode::IllegalByteSequence => Failure::Name,
        ErrorCode::FileTooLarge | ErrorCode::Overflow => Failure::FileTooLarge,
        ErrorCode::Loop => Failure::InTheWay,
        ErrorCode::ReadOnly => Failure::ReadOnly,
        ErrorCode::Access | ErrorCode::NotPermitted => Failure::NotPermitted,
        ErrorCode::NoDevice | ErrorCode::NoSuchDevice => Failure::Gone,
        ErrorCode::Io => Failure::Failing,
        ErrorCode::WouldBlock
        | ErrorCode::Already
        | ErrorCode::BadDescriptor
        | ErrorCode::Busy
        | ErrorCode::Deadlock
        | ErrorCode::InProgress
        | ErrorCode::Interrupted
        | ErrorCode::MessageSize
        | ErrorCode::InsufficientMemory
        | ErrorCode::NoLock
        | ErrorCode::NotRecoverable
        | ErrorCode::Pipe
        | ErrorCode::TextFileBusy => Failure::Other,
    })
}
