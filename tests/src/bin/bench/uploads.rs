//! Memory and descriptors of many uploads that nothing happens to: with connections that hold them, and without.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use sandport_protocol::wire::ReceiverMessage;
use sandport_protocol::{Offer, Resume, ResumeMode};
use sandport_tests::{Native, native};

use crate::environment::{Durability, Environment};
use crate::memory::{mib, still};
use crate::proc::{self, Memory};
use crate::process::Server;
use crate::table::Table;

/// How many uploads each connection holds: nearly as many as it may.
const PER_CONNECTION: u64 = 1_000;

/// What is here of each: more than is sooner sent again than kept. Bytes.
const BYTES: usize = 5_000;

/// How long each is to be. Bytes.
const SIZE: u64 = 8 * 1024 * 1024;

/// How long uploads that nobody holds may take to be closed.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the section, with so many uploads.
pub(crate) fn run_part(environment: &Environment, uploads: u64) -> Result<()> {
    print!("{}", begun(environment, uploads)?);
    Ok(())
}

fn begun(environment: &Environment, uploads: u64) -> Result<Table> {
    let dir = environment.tmpfs.directory("uploads")?;
    let mut command = environment.serve(&dir, Durability::Full);
    let server = Server::start(command.args(["--idle-timeout", "10m"]))?;
    // What is made once is made.
    let mut first = Native::to(&server.address.to_string());
    first.send(0, "first", b"x");
    if let Err(refusal) = first.outcome(0) {
        bail!("the first file was refused: {refusal}");
    }
    drop(first);
    let headers = ["uploads", "resident MiB", "KiB each", "descriptors"];
    let mut table = Table::new("Uploads that nothing happens to", &headers);
    let rest = still(&server)?;
    let rest_descriptors = proc::descriptors(server.pid())?;
    let row = |words: String, memory: Memory, of: u64| -> Result<[String; 4]> {
        let more = memory.resident.saturating_sub(rest.resident);
        let each = if of > 0 { format!("{:.2}", more as f64 / of as f64) } else { String::new() };
        Ok([words, mib(memory.resident), each, proc::descriptors(server.pid())?.to_string()])
    };
    table.row(row("none, at rest".to_owned(), rest, 0)?);
    let connections = uploads.div_ceil(PER_CONNECTION);
    // Again with others: what is kept for each that waits adds up, and what is only not given back does not.
    for parked_before in [0, uploads] {
        let holders = (0..connections)
            .map(|number| {
                let first = parked_before + number * PER_CONNECTION;
                hold(&server, first, PER_CONNECTION.min(uploads))
            })
            .collect::<Result<Vec<_>>>()?;
        let words = match parked_before {
            0 => format!("{uploads} idle, held by {connections} connections"),
            _ => format!("{uploads} idle, and {parked_before} parked"),
        };
        let all = parked_before + uploads;
        table.row(row(words, still(&server)?, all)?);
        drop(holders);
        until_closed(&server, rest_descriptors)?;
        table.row(row(format!("{all} parked"), still(&server)?, all)?);
    }
    table.note(format!(
        "{BYTES} bytes of each are here and kept, with --durability full. A connection that holds uploads has a \
         sandbox, which is in these figures."
    ));
    Ok(table)
}

/// Waits until the server has no more descriptors open than at rest: nobody holds an upload then.
fn until_closed(server: &Server, at_rest: usize) -> Result<()> {
    let since = Instant::now();
    while proc::descriptors(server.pid())? > at_rest {
        ensure!(since.elapsed() < PATIENCE, "uploads stay open that nobody holds");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A connection that has begun so many uploads, whose numbers begin with `first`.
fn hold(server: &Server, first: u64, count: u64) -> Result<Native> {
    let mut sender = Native::to(&server.address.to_string());
    let content = [7; BYTES];
    for id in 0..count {
        let number = first + id;
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        let resume = Some(Resume { key, epoch: 1, mode: ResumeMode::TakeOver });
        let name = format!("upload {number}");
        let offer = Offer { resume, ..native::resumable(&name, SIZE, ResumeMode::TakeOver) };
        sender.say(&native::offer(id, offer));
        match sender.hear() {
            Some(ReceiverMessage::Accepted(_)) => {}
            other => bail!("an offer was answered by {other:?}"),
        }
        sender.data(id, 0, &content);
    }
    // When the last of them is kept, all have come.
    sender.wait_durable(count - 1, BYTES as u64);
    Ok(sender)
}
