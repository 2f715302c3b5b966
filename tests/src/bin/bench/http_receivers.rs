//! The native receivers that Sandport's HTTP is compared with: a loop that does the least a receiver can, and a
//! server of hyper that writes the same files.

use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

/// How much the loop reads and writes at a time. Bytes.
const STEP_BYTES: usize = 1024 * 1024;

/// Longest line of a request's head, and of a chunk's size. Bytes.
const LINE_MAX: u64 = 16 * 1024;

/// Serves `PUT` on one connection with a thread of its own: reads, hashes with BLAKE3, writes, answers.
pub(crate) fn native(stream: TcpStream, dir: &Path, number: u64, fsync: bool) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut answers = stream.try_clone()?;
    // As much as a body's step, so that what the reader has too much of the head costs nothing.
    let mut input = BufReader::with_capacity(STEP_BYTES, stream);
    let mut buffer = vec![0; STEP_BYTES];
    let mut request = 0_u64;
    while let Some(head) = Head::read(&mut input)? {
        if head.expects {
            answers.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut sink = Sink {
            file: File::create(dir.join(format!("{number}-{request}.bin")))?,
            hasher: blake3::Hasher::new(),
        };
        match head.length {
            Some(length) => sink.take(&mut input, length, &mut buffer)?,
            None => sink.take_chunks(&mut input, &mut buffer)?,
        }
        if fsync {
            sink.file.sync_data()?;
        }
        let digest = sink.hasher.finalize().to_hex();
        let length = digest.len() + 1;
        write!(answers, "HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{digest}\n")?;
        request += 1;
    }
    Ok(())
}

/// What the loop needs to know of a request.
struct Head {
    /// The size of the body in bytes; `None`: it comes in chunks.
    length: Option<u64>,
    /// Whether the client waits for `100 Continue`.
    expects: bool,
}

impl Head {
    /// `None`: the client sent no further request.
    fn read(input: &mut impl BufRead) -> Result<Option<Self>> {
        let mut head = Self { length: Some(0), expects: false };
        if line(input)?.is_empty() {
            return Ok(None);
        }
        loop {
            let field = line(input)?.to_ascii_lowercase();
            let Some((name, value)) = field.split_once(':') else { return Ok(Some(head)) };
            match name {
                "content-length" => head.length = Some(value.trim().parse()?),
                "transfer-encoding" => head.length = None,
                "expect" => head.expects = true,
                _ => {}
            }
        }
    }
}

/// A line without its end; empty at the end of the input too.
fn line(input: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    input.take(LINE_MAX).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Where the bytes of a body go.
struct Sink {
    file: File,
    hasher: blake3::Hasher,
}

impl Sink {
    fn take(&mut self, input: &mut impl Read, length: u64, buffer: &mut [u8]) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let room = left.min(buffer.len() as u64) as usize;
            let count = input.read(&mut buffer[..room])?;
            ensure!(count > 0, "the connection ended {left} bytes early");
            self.hasher.update(&buffer[..count]);
            self.file.write_all(&buffer[..count])?;
            left -= count as u64;
        }
        Ok(())
    }

    fn take_chunks(&mut self, input: &mut impl BufRead, buffer: &mut [u8]) -> Result<()> {
        loop {
            let length = u64::from_str_radix(&line(input)?, 16).context("the size of a chunk")?;
            self.take(input, length, buffer)?;
            ensure!(line(input)?.is_empty(), "a chunk is longer than it said");
            if length == 0 {
                return Ok(());
            }
        }
    }
}

/// Serves `PUT` with hyper, each file written by a thread for blocking work, until it is killed.
pub(crate) fn hyper(dir: PathBuf, fsync: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening {}", listener.local_addr()?);
        let dir = Arc::new(dir);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let dir = Arc::clone(&dir);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, Arc::clone(&dir), fsync));
                let connection = hyper::server::conn::http1::Builder::new();
                if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await
                {
                    eprintln!("receiver: {error}");
                }
            });
        }
    })
}

async fn answer(
    request: Request<Incoming>,
    dir: Arc<PathBuf>,
    fsync: bool,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let status = match store(request, &dir, fsync).await {
        Ok(()) => StatusCode::CREATED,
        Err(error) => {
            eprintln!("receiver: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

/// Stores the body as a file of the name in the target: written beside it, and renamed.
async fn store(request: Request<Incoming>, dir: &Path, fsync: bool) -> Result<()> {
    let Some(name) = request.uri().path().strip_prefix('/').filter(|name| !name.contains('/'))
    else {
        bail!("the target is not a name");
    };
    let (path, partial) = (dir.join(name), dir.join(format!(".{name}.partial")));
    let dir = dir.to_owned();
    let content = request.into_body().collect().await?.to_bytes();
    tokio::task::spawn_blocking(move || {
        let mut file = File::create(&partial)?;
        file.write_all(&content)?;
        std::hint::black_box(blake3::hash(&content));
        if fsync {
            file.sync_data()?;
        }
        std::fs::rename(partial, path)?;
        if fsync {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    })
    .await?
}
