//! Receivers that may be installed on this machine: Python, an rsync daemon, and an ssh server for scp and rsync.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{Server, installed, run};

/// What can take part, or why it does not.
pub(crate) fn offered<T>(
    name: &str,
    started: Result<Option<T>>,
    left_out: &mut Vec<String>,
) -> Option<T> {
    match started {
        Ok(Some(server)) => return Some(server),
        Ok(None) => left_out.push(format!("Left out: {name}, which is not installed.")),
        Err(error) => left_out.push(format!("Left out: {name}, which does not start: {error:#}.")),
    }
    None
}

/// The tutorial-style service, `None` without Python.
pub(crate) fn python(dir: &Path, scratch: &Path) -> Result<Option<Server>> {
    let Some(python) = installed("python3") else { return Ok(None) };
    let script = scratch.join("service.py");
    fs::write(&script, include_str!("service.py"))?;
    Server::start(Command::new(python).arg(script).arg(dir)).map(Some)
}

/// An rsync daemon with one module, `inbox`.
pub(crate) struct Rsync {
    program: PathBuf,
    pub(crate) server: Server,
}

impl Rsync {
    /// `None` where rsync is not installed.
    pub(crate) fn start(dir: &Path, scratch: &Path) -> Result<Option<Self>> {
        let Some(program) = installed("rsync") else { return Ok(None) };
        let config = scratch.join("rsyncd.conf");
        let owner = fs::metadata(dir).map(|data| owner_lines(&data))?;
        let dir = dir.display();
        let module = format!("use chroot = no\n[inbox]\npath = {dir}\nread only = no\n{owner}");
        fs::write(&config, module)?;
        let server = Server::start_on_port(|address| {
            let mut command = Command::new(&program);
            command.args(["--daemon", "--no-detach", "--address=127.0.0.1"]);
            command.arg(format!("--port={}", address.port()));
            command.arg(format!("--config={}", config.display()));
            Ok(command)
        })?;
        Ok(Some(Self { program, server }))
    }

    /// Sends a directory and has each file synced; `None` where this rsync cannot.
    pub(crate) fn fsync(&self) -> Option<impl Fn(&Path) -> Result<()>> {
        has_fsync(&self.program).then_some(|directory: &Path| {
            let to = format!("rsync://{}/inbox/", self.server.address);
            run(Command::new(&self.program).args(["--recursive", "--fsync"]).arg(directory).arg(to))
        })
    }

    /// Sends a file.
    pub(crate) fn send(&self, file: &Path) -> Result<()> {
        let to = format!("rsync://{}/inbox/", self.server.address);
        run(Command::new(&self.program).arg("--whole-file").arg(file).arg(to))
    }
}

/// Whether this rsync can sync what it writes: since 3.2.4.
fn has_fsync(program: &Path) -> bool {
    let help = Command::new(program).arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--fsync"))
}

/// A daemon that is run by the administrator gives its rights up unless it is told not to, and could
/// then not write into the directory.
fn owner_lines(data: &fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    if data.uid() == 0 { "uid = 0\ngid = 0\n".to_owned() } else { String::new() }
}

/// An ssh server of our own with a key of our own.
pub(crate) struct Ssh {
    scp: PathBuf,
    /// `None`: not installed.
    rsync: Option<PathBuf>,
    user: String,
    key: PathBuf,
    pub(crate) server: Server,
}

/// Nothing that this user has set, and no host to know.
const SSH_OPTIONS: [&str; 4] =
    ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];

impl Ssh {
    /// `None` where one of the programs is not installed.
    ///
    /// # Errors
    /// The server does not start: some systems want a directory such as `/run/sshd` to be made first.
    pub(crate) fn start(scratch: &Path) -> Result<Option<Self>> {
        let programs = ["scp", "sshd", "ssh-keygen", "id"].map(installed);
        let [Some(scp), Some(sshd), Some(keygen), Some(id)] = programs else {
            return Ok(None);
        };
        let name = Command::new(id).arg("-un").output().context("start id")?;
        let user = String::from_utf8(name.stdout)?.trim().to_owned();
        for key in ["host", "client"] {
            let file = scratch.join(key);
            if !file.exists() {
                let words = ["-q", "-t", "ed25519", "-N", "", "-f"];
                run(Command::new(&keygen).args(words).arg(file))?;
            }
        }
        let config = scratch.join("sshd_config");
        let directory = scratch.display();
        fs::write(
            &config,
            format!(
                "HostKey {directory}/host\nAuthorizedKeysFile {directory}/client.pub\nPidFile none\n\
                 StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n\
                 Subsystem sftp internal-sftp\n"
            ),
        )?;
        let server = Server::start_on_port(|address| {
            let mut command = Command::new(&sshd);
            command.arg("-D").arg("-f").arg(&config);
            command.arg("-o").arg(format!("ListenAddress={address}"));
            Ok(command)
        })?;
        let rsync = installed("rsync");
        Ok(Some(Self { scp, rsync, user, key: scratch.join("client"), server }))
    }

    /// Sends a file, or a directory with all that is in it, into a directory.
    pub(crate) fn scp(&self, source: &Path, dir: &Path) -> Result<()> {
        let mut command = Command::new(&self.scp);
        command.args(["-q", "-r", "-B", "-F", "none", "-P"]).arg(self.port()).arg("-i");
        command.arg(&self.key);
        for option in SSH_OPTIONS {
            command.arg("-o").arg(option);
        }
        run(command.arg(source).arg(self.target(dir)))
    }

    /// Sends a directory with rsync; `None`: that is not installed.
    pub(crate) fn rsync(&self) -> Option<impl Fn(&Path, &Path) -> Result<()>> {
        self.rsync.as_ref().map(|rsync| {
            move |source: &Path, dir: &Path| {
                let options = SSH_OPTIONS.join(" -o ");
                let (port, key) = (self.port(), self.key.display());
                let shell = format!("ssh -F none -p {port} -i {key} -o {options}");
                let mut command = Command::new(rsync);
                command.arg("--archive").arg("--rsh").arg(shell);
                run(command.arg(source).arg(self.target(dir)))
            }
        })
    }

    fn port(&self) -> String {
        self.server.address.port().to_string()
    }

    fn target(&self, dir: &Path) -> String {
        format!("{}@{}:{}/", self.user, self.server.address.ip(), dir.display())
    }
}
