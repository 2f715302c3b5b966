//! What sends over HTTP to both sides of a comparison: curl, and a client of this program's own for tus and for many
//! small files.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::feed::{Content, connect};
use crate::process::run;
use crate::rounds::timed;

/// `curl` without talk, which fails where the server does not store.
pub(super) fn curl() -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--output", "/dev/null"]);
    command
}

/// Sends a file by `PUT` with its size.
pub(super) fn put(to: SocketAddr, target: &str, file: &Path) -> Result<Duration> {
    timed(|| run(curl().arg("--upload-file").arg(file).arg(format!("http://{to}{target}"))))
}

/// Sends a file by `PUT` in chunks: curl reads it as its standard input, whose size it does not know.
pub(super) fn put_chunked(to: SocketAddr, target: &str, file: &Path) -> Result<Duration> {
    let input = std::fs::File::open(file)?;
    timed(|| {
        let mut command = curl();
        command.args(["--upload-file", "-"]).arg(format!("http://{to}{target}"));
        let output = command.stdin(Stdio::from(input)).output().context("start curl")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    })
}

/// Sends a file as a part of a form, in the field that the receiver wants.
pub(super) fn form(to: SocketAddr, target: &str, field: &str, file: &Path) -> Result<Duration> {
    let part = format!("{field}=@{}", file.display());
    timed(|| run(curl().arg("--form").arg(part).arg(format!("http://{to}{target}"))))
}

/// Uploads by tus 1.0: a creation, then appends of at most `step` bytes on the same connection.
pub(super) fn tus(to: SocketAddr, target: &str, content: &Content, step: u64) -> Result<Duration> {
    timed(|| {
        let mut connection = Connection::open(to)?;
        // "noise.bin", as the specification encodes it.
        let creation = format!(
            "POST {target} HTTP/1.1\r\nHost: {to}\r\nTus-Resumable: 1.0.0\r\nContent-Length: 0\r\n\
             Upload-Length: {}\r\nUpload-Metadata: filename bm9pc2UuYmlu\r\n\r\n",
            content.size
        );
        connection.stream.write_all(creation.as_bytes())?;
        let location = connection.answer(201)?.context("the creation names no upload")?;
        let upload = path(&location, target);
        let mut offset = 0;
        while offset < content.size {
            let length = step.min(content.size - offset);
            let head = format!(
                "PATCH {upload} HTTP/1.1\r\nHost: {to}\r\nTus-Resumable: 1.0.0\r\nContent-Length: {length}\r\n\
                 Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n\r\n"
            );
            connection.stream.write_all(head.as_bytes())?;
            content.write_part(&mut connection.stream, length, |_| ())?;
            connection.answer(204)?;
            offset += length;
        }
        Ok(())
    })
}

/// The path of an upload, whatever form its `Location` has.
fn path(location: &str, target: &str) -> String {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or_else(String::new, |at| rest[at..].to_owned()),
        None if location.starts_with('/') => location.to_owned(),
        None => format!("{}/{location}", target.trim_end_matches('/')),
    }
}

/// Puts small files on kept connections, `connections` at once, each with its share of the files.
pub(super) fn small(
    to: SocketAddr,
    prefix: &str,
    content: &[u8],
    files: u64,
    connections: u64,
) -> Result<Duration> {
    let share = files / connections;
    timed(|| {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..connections)
                .map(|number| {
                    scope.spawn(move || {
                        let mut connection = Connection::open(to)?;
                        (0..share).try_for_each(|file| {
                            connection.put(to, &format!("/{prefix}-{number}-{file}.bin"), content)
                        })
                    })
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
        })
    })
}

/// A connection that is kept from one request to the next.
pub(crate) struct Connection {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> Result<Self> {
        let stream = connect(to)?;
        Ok(Self { answers: BufReader::new(stream.try_clone()?), stream })
    }

    /// Sends one file in one write, and waits for the answer.
    pub(crate) fn put(&mut self, to: SocketAddr, target: &str, content: &[u8]) -> Result<()> {
        let length = content.len();
        let head =
            format!("PUT {target} HTTP/1.1\r\nHost: {to}\r\nContent-Length: {length}\r\n\r\n");
        self.stream.write_all(&[head.as_bytes(), content].concat())?;
        self.answer(201).map(drop)
    }

    /// Reads an answer to its end and gives its `Location`.
    ///
    /// # Errors
    /// Another status than this one.
    fn answer(&mut self, status: u16) -> Result<Option<String>> {
        let mut first = String::new();
        self.answers.read_line(&mut first).context("no answer")?;
        let (mut length, mut location) = (Some(0), None);
        loop {
            let mut field = String::new();
            self.answers.read_line(&mut field)?;
            let Some((name, value)) = field.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = Some(value.trim().parse()?),
                "transfer-encoding" => length = None,
                "location" => location = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => drop((&mut self.answers).take(length).read_to_end(&mut body)?),
            None => self.skip_chunks()?,
        }
        let said = first.split_ascii_whitespace().nth(1);
        let body = String::from_utf8_lossy(&body);
        ensure!(said == Some(&status.to_string()), "{} {}", first.trim(), body.trim());
        Ok(location)
    }

    /// Reads a body that came in chunks.
    fn skip_chunks(&mut self) -> Result<()> {
        loop {
            let mut line = String::new();
            self.answers.read_line(&mut line)?;
            let length = u64::from_str_radix(line.trim(), 16).context("the size of a chunk")?;
            // With the line end behind it.
            std::io::copy(&mut (&mut self.answers).take(length + 2), &mut std::io::sink())?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}
