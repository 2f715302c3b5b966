//! A sender of the native dialect that says what a test tells it to.

use bytes::Bytes;
use sandport_protocol::wire::{
    Data, Finish, FrameDecoder, Hello, NumberedOffer, PREFACE, PrefaceMatcher, Progress,
    ReceiverMessage, SenderMessage, VERSION, Welcome,
};
use sandport_protocol::{Digest, EntryKind, Offer, Receipt, Refusal, Resume, ResumeMode, UploadId};

use crate::deadline::Deadline;
use crate::{Connection, Server};

/// A native connection after its hello.
#[derive(Debug)]
pub struct Native {
    /// The connection below.
    pub connection: Connection,
    /// What the receiver granted.
    pub welcome: Welcome,
    heard: Bytes,
    frames: FrameDecoder,
}

impl Native {
    /// Connects, says hello and hears the welcome.
    pub fn open(server: &Server) -> Self {
        Self::to(server.address())
    }

    /// Connects to an address, says hello and hears the welcome.
    pub fn to(address: &str) -> Self {
        Self::over(Connection::to(address))
    }

    /// Says hello on a connection and hears the welcome.
    #[track_caller]
    pub fn over(mut connection: Connection) -> Self {
        connection.say(greeting());
        Self::greeted(connection)
    }

    /// Hears the welcome on a connection on which hello was said.
    #[track_caller]
    pub fn greeted(mut connection: Connection) -> Self {
        let mut heard = Bytes::from(connection.hear(PREFACE.len()));
        assert_eq!(PrefaceMatcher::default().advance(&mut heard), Some(true), "the preface");
        let welcome = Welcome {
            version: 0,
            agent: String::new(),
            max_file_size: None,
            max_uploads_ahead: 0,
            max_bytes_ahead: 0,
            idle_timeout_ms: 0,
            challenge: Vec::new(),
        };
        let mut native = Self { connection, welcome, heard, frames: FrameDecoder::default() };
        native.welcome = match native.hear() {
            Some(ReceiverMessage::Welcome(welcome)) => welcome,
            other => panic!("no welcome but {other:?}"),
        };
        native
    }

    /// Sends a message.
    #[track_caller]
    pub fn say(&mut self, message: &SenderMessage) {
        self.connection.say(frame(message));
    }

    /// The next message; `None`: the end. What only shows that the receiver is alive is left out.
    #[track_caller]
    pub fn hear(&mut self) -> Option<ReceiverMessage> {
        let deadline = Deadline::new();
        loop {
            deadline.check("a message besides those that show that the receiver is alive");
            match self.hear_any()? {
                ReceiverMessage::KeepAlive | ReceiverMessage::Progress(_) => {}
                message => return Some(message),
            }
        }
    }

    /// Waits until so many bytes of an upload are durable.
    #[track_caller]
    pub fn wait_durable(&mut self, wanted: UploadId, bytes: u64) {
        let deadline = Deadline::new();
        loop {
            deadline.check(format_args!("{bytes} durable bytes of upload {wanted}"));
            match self.hear_any() {
                Some(ReceiverMessage::Progress(Progress { id, durable }))
                    if id == wanted && durable >= bytes =>
                {
                    return;
                }
                Some(ReceiverMessage::KeepAlive | ReceiverMessage::Progress(_)) => {}
                other => panic!("{other:?} before {bytes} bytes were durable"),
            }
        }
    }

    /// The next message of any kind.
    #[track_caller]
    fn hear_any(&mut self) -> Option<ReceiverMessage> {
        loop {
            if let Some(frame) = self.frames.next(&mut self.heard).expect("the receiver's frames") {
                return Some(ReceiverMessage::decode(&frame).expect("the receiver's messages"));
            }
            let some = self.connection.hear_some(64 * 1024);
            if some.is_empty() {
                return None;
            }
            self.heard = some.into();
        }
    }

    /// Offers a file of a known size.
    #[track_caller]
    pub fn offer(&mut self, id: UploadId, name: &str, size: u64) {
        self.say(&offer(id, file(name, size)));
    }

    /// Sends payload from an offset on.
    #[track_caller]
    pub fn data(&mut self, id: UploadId, offset: u64, bytes: &[u8]) {
        self.say(&SenderMessage::Data(Data { id, offset, length: bytes.len() as u64 }));
        self.connection.say(bytes);
    }

    /// Ends a file.
    #[track_caller]
    pub fn end(&mut self, id: UploadId, content: &[u8]) {
        self.say(&finish(id, content));
    }

    /// Sends a file without waiting for an answer.
    #[track_caller]
    pub fn send(&mut self, id: UploadId, name: &str, content: &[u8]) {
        self.offer(id, name, content.len() as u64);
        if !content.is_empty() {
            self.data(id, 0, content);
        }
        self.end(id, content);
    }

    /// The outcome of an upload, whatever is said of others before.
    #[track_caller]
    pub fn outcome(&mut self, wanted: UploadId) -> Result<Receipt, Refusal> {
        let deadline = Deadline::new();
        loop {
            deadline.check(format_args!("the outcome of upload {wanted}"));
            match self.hear() {
                Some(ReceiverMessage::Stored(stored) | ReceiverMessage::AlreadyStored(stored))
                    if stored.id == wanted =>
                {
                    return Ok(stored.receipt);
                }
                Some(ReceiverMessage::Refused(refused)) if refused.id == wanted => {
                    return Err(refused.refusal);
                }
                Some(ReceiverMessage::Goodbye(refusal)) => {
                    panic!("a goodbye before the outcome of {wanted}: {refusal}")
                }
                Some(_) => {}
                None => panic!("the connection ended before the outcome of {wanted}"),
            }
        }
    }

    /// Hears all messages to the end of the connection.
    #[track_caller]
    pub fn hear_all(&mut self) -> Vec<ReceiverMessage> {
        let deadline = Deadline::new();
        std::iter::from_fn(|| {
            deadline.check("the end of a connection");
            self.hear()
        })
        .collect()
    }
}

/// What a sender begins with.
pub fn greeting() -> Vec<u8> {
    let hello = SenderMessage::Hello(Hello {
        version_min: VERSION,
        version_max: VERSION,
        agent: String::from("sandport-tests"),
    });
    [PREFACE.as_slice(), &frame(&hello)].concat()
}

/// A message as it goes over the wire.
pub fn frame(message: &SenderMessage) -> Vec<u8> {
    message.encode_frame().expect("a short message")
}

/// What is offered of a file of a known size.
pub fn file(name: &str, size: u64) -> Offer {
    Offer {
        name: Some(name.to_owned()),
        kind: EntryKind::File,
        size: Some(size),
        digest: None,
        modified_ns: None,
        executable: false,
        resume: None,
    }
}

/// The same, under a resume key: the same for all.
pub fn resumable(name: &str, size: u64, mode: ResumeMode) -> Offer {
    let resume = Some(Resume { key: [9; 32], epoch: 1, mode });
    Offer { resume, ..file(name, size) }
}

/// An offer as a message.
pub fn offer(id: UploadId, offer: Offer) -> SenderMessage {
    SenderMessage::Offer(NumberedOffer { id, offer })
}

/// The end of a file.
pub fn finish(id: UploadId, content: &[u8]) -> SenderMessage {
    SenderMessage::Finish(Finish { id, size: content.len() as u64, digest: digest(content) })
}

/// The digest of a content.
pub fn digest(content: &[u8]) -> Digest {
    Digest::Blake3(*blake3::hash(content).as_bytes())
}

/// A whole session that sends one file, as bytes.
pub fn session(name: &str, content: &[u8]) -> Vec<u8> {
    let data = SenderMessage::Data(Data { id: 0, offset: 0, length: content.len() as u64 });
    [
        greeting(),
        frame(&offer(0, file(name, content.len() as u64))),
        frame(&data),
        content.to_vec(),
        frame(&finish(0, content)),
    ]
    .concat()
}
