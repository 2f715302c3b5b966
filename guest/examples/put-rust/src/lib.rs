//! A receiver for a protocol of its own: `PUT name size`, a line end, and that many bytes. The answer
//! is `stored NAME`, or `refused: REASON`.

wit_bindgen::generate!({ path: "sandport-upload", world: "sandbox", generate_all });

use exports::sandport::upload::receiver::{Ending, Guest, InputStream, OutputStream};
use sandport::upload::inbox::{self, Answer, Opened, Upload};
use sandport::upload::types::{
    EntryKind, Extent, Lifetime, Offer, Peer, Receipt, Refusal, RefusalCode,
};

/// Longest first line. Names have 2,041 bytes at most.
const LINE_BYTES_MAX: usize = 4_096;

/// Most bytes of one splice: enough that the call does not count.
const STEP_BYTES: u64 = 1 << 20;

struct Put;

export!(Put);

impl Guest for Put {
    fn serve(_peer: Peer, input: InputStream, output: OutputStream) -> Result<Ending, Refusal> {
        let outcome = receive(&input);
        let answer = match &outcome {
            Ok(receipt) => format!("stored {}\n", receipt.name),
            Err(refusal) => format!("refused: {}\n", refusal.detail.as_deref().unwrap_or("sorry")),
        };
        // A client that is gone does not want the answer.
        let _ = output.blocking_write_and_flush(answer.as_bytes());
        outcome.map(|_| Ending::Close)
    }
}

fn receive(input: &InputStream) -> Result<Receipt, Refusal> {
    let (name, size) = read_line(input).ok_or_else(|| malformed("expected is PUT name size"))?;
    // The size stays out of the offer: for a size that is here already, the inbox would ask for a
    // digest, and this protocol has none. `commit` checks it.
    let offer = Offer {
        name: Some(name),
        kind: EntryKind::File,
        size: None,
        modified: None,
        executable: false,
        lifetime: Lifetime::Connection,
        digests: vec![],
        want: vec![],
        metadata: vec![],
    };
    let answer = match inbox::open(&offer) {
        Opened::Answered(answer) => answer?,
        Opened::Opening(opening) => loop {
            match opening.take() {
                Some(answer) => break answer?,
                None => opening.subscribe().block(),
            }
        },
    };
    let Answer::Accepted(upload) = answer else {
        return Err(malformed("the inbox asks for a digest"));
    };
    let body = upload.body(Extent { offset: 0, length: None }, None)?;
    let sink = body.sink().expect("a body gives its stream once");
    let mut left = size;
    while left > 0 {
        // The host moves the bytes into the file. They never come here.
        left -= sink
            .blocking_splice(input, left.min(STEP_BYTES))
            .map_err(|_| malformed("the connection ended within the file"))?;
    }
    let committing = Upload::commit(upload, size, &[]);
    loop {
        match committing.take() {
            Some(outcome) => return outcome,
            None => committing.subscribe().block(),
        }
    }
}

/// The name and the size. It reads byte by byte: what follows the line is payload, and stays in the
/// connection for the splice.
fn read_line(input: &InputStream) -> Option<(String, u64)> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') && line.len() < LINE_BYTES_MAX {
        line.extend(input.blocking_read(1).ok()?);
    }
    let line = str::from_utf8(&line).ok()?.strip_suffix('\n')?;
    let (name, size) = line.strip_prefix("PUT ")?.rsplit_once(' ')?;
    Some((name.to_owned(), size.parse().ok()?))
}

fn malformed(detail: &str) -> Refusal {
    Refusal { code: RefusalCode::Malformed, temporary: false, detail: Some(detail.to_owned()) }
}
