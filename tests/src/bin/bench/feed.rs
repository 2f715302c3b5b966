//! The sender that feeds both sides of a comparison: it writes the same buffer again and again, in
//! either dialect, so that what it costs is the same for every receiver.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use sandport_protocol::sender::{Event, Sender, SenderOutput};
use sandport_protocol::{Digest, EntryKind, Offer};

/// Size of one write, in bytes. What a careful sender would choose: larger ones gain nothing.
const WRITE_BYTES: usize = 1024 * 1024;

/// Silence after which the receiver counts as stuck. Long: a disk may be slow to sync.
const STALL: Duration = Duration::from_secs(300);

/// What is sent: one megabyte of noise over and over, from memory, so that no disk is read.
pub(crate) struct Content {
    buffer: Vec<u8>,
    pub(crate) size: u64,
    digest: Digest,
}

impl Content {
    pub(crate) fn new(size: u64) -> Self {
        let mut content =
            Self { buffer: noise(WRITE_BYTES), size, digest: Digest::Blake3([0; 32]) };
        let mut hasher = blake3::Hasher::new();
        // Writing to a hasher does not fail.
        let _ = content.write(&mut hasher, |_| ());
        content.digest = Digest::Blake3(*hasher.finalize().as_bytes());
        content
    }

    /// Writes all of it; `written` is called after each step, with its bytes.
    pub(crate) fn write(
        &self,
        to: &mut impl Write,
        written: impl FnMut(u64),
    ) -> std::io::Result<()> {
        self.write_part(to, self.size, written)
    }

    /// Writes a part of it that begins where a step of 1 MiB does.
    pub(crate) fn write_part(
        &self,
        to: &mut impl Write,
        length: u64,
        mut written: impl FnMut(u64),
    ) -> std::io::Result<()> {
        let mut left = length;
        while left > 0 {
            let step = left.min(WRITE_BYTES as u64) as usize;
            to.write_all(&self.buffer[..step])?;
            left -= step as u64;
            written(step as u64);
        }
        Ok(())
    }
}

/// Bytes that do not compress, the same in each run: xorshift64.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Sends in the classic dialect, with a line end behind the size, and waits until the receiver closes
/// the connection, which it does when it has the file. Gives the time that it took.
pub(crate) fn classic(to: SocketAddr, content: &Content) -> Result<Duration> {
    let since = Instant::now();
    let mut stream = connect(to)?;
    announce(&mut stream, content.size)?;
    content.write(&mut stream, |_| ()).context("the receiver stopped reading")?;
    stream.shutdown(Shutdown::Write)?;
    wait_for_end(&mut stream)?;
    Ok(since.elapsed())
}

/// Sends a classic size and reads the `ack`.
pub(crate) fn announce(stream: &mut TcpStream, size: u64) -> Result<()> {
    stream.write_all(format!("{size}\n").as_bytes())?;
    let mut ack = [0; 3];
    stream.read_exact(&mut ack).context("no ack")?;
    ensure!(&ack == b"ack", "the receiver answered {ack:?}");
    Ok(())
}

/// Reads until the receiver has closed the connection.
pub(crate) fn wait_for_end(stream: &mut TcpStream) -> Result<()> {
    let mut rest = [0; 64];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // It closed with something unread, which is over just as well.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends in the native dialect and waits for the receipt. Gives the time that it took.
pub(crate) fn native(to: SocketAddr, name: &str, content: &Content) -> Result<Duration> {
    let since = Instant::now();
    let clock = || since.elapsed().as_millis() as u64;
    let mut stream = connect(to)?;
    let mut sender = Sender::new("sandport-bench".into(), STALL.as_millis() as u64, clock());
    let mut stored = None;
    let mut input = vec![0; 64 * 1024];
    loop {
        while let Some(output) = sender.poll_output() {
            match output {
                SenderOutput::Send(bytes) => stream.write_all(&bytes)?,
                SenderOutput::Payload { .. } => {
                    content.write(&mut stream, |bytes| sender.handle_sent(clock(), bytes))?;
                }
                SenderOutput::Shutdown => stream.shutdown(Shutdown::Write)?,
                _ => bail!("the protocol has an output that the benchmark does not know"),
            }
        }
        let mut moved = false;
        while let Some(event) = sender.poll_event() {
            moved = true;
            match event {
                Event::Welcomed(_) => drop(sender.offer(offer(name, content))?),
                Event::Accepted { id, .. } => {
                    sender.data(id, 0, content.size)?;
                    sender.finish(id, content.size, content.digest)?;
                    sender.close();
                }
                Event::Stored { .. } => stored = Some(since.elapsed()),
                Event::Ended(Ok(())) => return stored.context("no receipt came"),
                Event::Progress { .. } => {}
                other => bail!("the upload ended with {other:?}"),
            }
        }
        if !moved {
            match stream.read(&mut input)? {
                0 => sender.handle_eof(clock()),
                count => sender.handle_input(clock(), Bytes::copy_from_slice(&input[..count])),
            }
        }
    }
}

fn offer(name: &str, content: &Content) -> Offer {
    Offer {
        name: Some(name.to_owned()),
        kind: EntryKind::File,
        size: Some(content.size),
        digest: Some(content.digest),
        modified_ns: None,
        executable: false,
        resume: None,
    }
}

/// A connection on which small segments go out at once, as every sender here has it.
pub(crate) fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to).with_context(|| format!("connect to {to}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(STALL))?;
    Ok(stream)
}

/// Uploads one byte; gives the times to the `ack` from before `connect` and from before the size.
pub(crate) fn upload(to: SocketAddr) -> Result<(Duration, Duration)> {
    let since = Instant::now();
    let mut stream = connect(to)?;
    let connected = Instant::now();
    announce(&mut stream, 1)?;
    let answered = Instant::now();
    stream.write_all(b"x").context("the receiver stopped reading")?;
    wait_for_end(&mut stream)?;
    Ok((answered - since, answered - connected))
}
