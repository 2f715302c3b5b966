//! A server of uploads in memory, which takes what a sender of HTTP says, and what goes wrong in between.

use std::collections::BTreeMap;

use sandport_protocol::sender::http::{
    Content, Discovered, Discovery, HttpAnswer, HttpEvent, HttpStep, HttpUpload, HttpUrl, KeptUrl,
    Method, Offered, Outcome, Request, Server,
};

/// How a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Resumable,
    Tus,
    Nothing,
}

pub(crate) const ALL: [Speaks; 3] = [Speaks::Resumable, Speaks::Tus, Speaks::Nothing];
pub(crate) const RESUMABLE: [Speaks; 2] = [Speaks::Resumable, Speaks::Tus];

/// What becomes of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is answered.
    Passes,
    /// So many bytes of its content come through, at most, and no answer.
    Cut(u64),
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is answered so, and nothing is done.
    Answered(HttpAnswer),
    /// The server forgets all uploads first.
    Forgets,
    /// The server loses the second half of all uploads first.
    Loses,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Upload {
    pub(crate) bytes: Vec<u8>,
    size: Option<u64>,
    is_whole: bool,
}

/// A server.
pub(crate) struct World {
    pub(crate) speaks: Speaks,
    pub(crate) max_append_size: Option<u64>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    /// What was stored, by target or in the order of completion.
    pub(crate) stored: Vec<Vec<u8>>,
    /// All that came.
    pub(crate) requests: Vec<Request>,
    /// Bytes of content that came.
    pub(crate) received: u64,
    next: u64,
}

pub(crate) fn answer(status: u16, fields: &[(&str, String)]) -> HttpAnswer {
    let fields = fields.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
    HttpAnswer { status, fields: fields.collect(), content: Vec::new() }
}

impl World {
    pub(crate) fn new(speaks: Speaks) -> Self {
        Self {
            speaks,
            max_append_size: None,
            uploads: BTreeMap::new(),
            stored: Vec::new(),
            requests: Vec::new(),
            received: 0,
            next: 0,
        }
    }

    /// What the sender finds out about it.
    pub(crate) fn discovered(&mut self, url: &HttpUrl) -> Server {
        let mut discovery = Discovery::new(url);
        let answer = self.serve(&discovery.request(), b"");
        match discovery.handle_answer(&answer) {
            Discovered::Server(server) => server,
            other => panic!("{other:?}"),
        }
    }

    /// Does what a request asks for. `content`: what came of its content.
    pub(crate) fn serve(&mut self, request: &Request, content: &[u8]) -> HttpAnswer {
        let field = |name: &str| {
            request.fields.iter().find(|(one, _)| *one == name).map(|(_, value)| value.clone())
        };
        let is_whole = request.content.length().is_none_or(|length| length == content.len() as u64);
        self.received += content.len() as u64;
        let url = request.target.clone();
        match (request.method, self.speaks) {
            (Method::Options, Speaks::Tus) => answer(
                204,
                &[
                    ("Tus-Version", "1.0.0".into()),
                    ("Tus-Extension", "creation,creation-defer-length,termination".into()),
                ],
            ),
            (Method::Options, Speaks::Resumable) => {
                let mut fields = vec![("Accept-Patch", "application/partial-upload".to_owned())];
                if let Some(most) = self.max_append_size {
                    fields.push(("Upload-Limit", format!("max-append-size={most}")));
                }
                answer(200, &fields)
            }
            (Method::Options, Speaks::Nothing) => answer(405, &[]),
            (Method::Post | Method::Put, Speaks::Nothing) => {
                if is_whole {
                    self.stored.push(content.to_vec());
                }
                answer(201, &[])
            }
            (Method::Post | Method::Put, _) => {
                let completes = field("Upload-Complete").as_deref() == Some("?1");
                let size = field("Upload-Length").and_then(|size| size.parse().ok());
                self.next += 1;
                let url = format!("/files/{}", self.next);
                let mut upload = Upload { bytes: content.to_vec(), size, is_whole: false };
                if is_whole && (completes || (self.speaks == Speaks::Tus && size == Some(0))) {
                    self.complete(&mut upload);
                }
                let is_complete = upload.is_whole;
                self.uploads.insert(url.clone(), upload);
                answer(201, &[("Location", url), ("Upload-Complete", boolean(is_complete))])
            }
            (Method::Head, _) => match self.uploads.get(&url) {
                None => answer(404, &[]),
                Some(upload) => answer(200, &state(upload)),
            },
            (Method::Delete, _) => match self.uploads.remove(&url) {
                None => answer(404, &[]),
                Some(_) => answer(204, &[]),
            },
            (Method::Patch, _) => {
                let Some(mut upload) = self.uploads.get(&url).cloned() else {
                    return answer(404, &[]);
                };
                let offset: u64 = field("Upload-Offset").unwrap().parse().unwrap();
                if offset != upload.bytes.len() as u64 {
                    return answer(409, &state(&upload));
                }
                if upload.is_whole && !content.is_empty() {
                    return answer(400, &[]);
                }
                assert!(
                    self.max_append_size.is_none_or(|most| content.len() as u64 <= most),
                    "more than the server takes at once"
                );
                upload.size = field("Upload-Length").map_or(upload.size, |size| size.parse().ok());
                upload.bytes.extend_from_slice(content);
                let completes = match self.speaks {
                    Speaks::Tus => upload.size == Some(upload.bytes.len() as u64),
                    _ => field("Upload-Complete").as_deref() == Some("?1"),
                };
                if completes && is_whole && !upload.is_whole {
                    self.complete(&mut upload);
                }
                self.uploads.insert(url, upload.clone());
                answer(204, &state(&upload))
            }
            (method, _) => panic!("{method:?}"),
        }
    }

    fn complete(&mut self, upload: &mut Upload) {
        upload.is_whole = true;
        self.stored.push(upload.bytes.clone());
    }
}

fn boolean(value: bool) -> String {
    if value { "?1" } else { "?0" }.to_owned()
}

fn state(upload: &Upload) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("Upload-Offset", upload.bytes.len().to_string()),
        ("Upload-Complete", boolean(upload.is_whole)),
    ];
    if let Some(size) = upload.size {
        fields.push(("Upload-Length", size.to_string()));
    }
    fields
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None`: it was given up after as many pauses as were allowed.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) events: Vec<HttpEvent>,
    pub(crate) pauses: u32,
}

impl Ran {
    /// The URL that is left for a later run.
    pub(crate) fn url(&self) -> Option<String> {
        self.events.iter().rev().find_map(|event| match event {
            HttpEvent::Begun { url } => Some(Some(url.clone())),
            HttpEvent::Forgotten => Some(None),
            _ => None,
        })?
    }
}

/// A file, or a stream that is read in blocks of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Stream { block: usize },
}

pub(crate) fn url() -> HttpUrl {
    "http://h/in/".parse().unwrap()
}

/// Sends `content`, with the fates of the requests in order; what follows passes.
pub(crate) fn run(
    world: &mut World,
    content: &[u8],
    kind: Kind,
    kept: Option<KeptUrl>,
    fates: impl IntoIterator<Item = Fate>,
    pauses_max: u32,
) -> Ran {
    let server = world.discovered(&url());
    let size = (kind == Kind::File).then_some(content.len() as u64);
    let offered = Offered { name: Some("a/b".to_owned()), size, modified_ns: Some(-1) };
    let mut upload = HttpUpload::new(&server, &url(), offered, kept);
    let mut fates = fates.into_iter();
    let mut ran = Ran { outcome: None, events: Vec::new(), pauses: 0 };
    let mut kept = 0..0;
    for _ in 0..10_000 {
        let step = upload.poll_step();
        while let Some(event) = upload.poll_event() {
            ran.events.push(event);
        }
        match step {
            HttpStep::Over(outcome) => {
                ran.outcome = Some(outcome);
                return ran;
            }
            HttpStep::Wait(_) => {
                ran.pauses += 1;
                if ran.pauses > pauses_max {
                    return ran;
                }
            }
            HttpStep::Fetch => {
                let Kind::Stream { block } = kind else { panic!("all of a file is there") };
                kept = kept.end..(kept.end + block).min(content.len());
                let is_end = kept.end == content.len();
                upload.handle_content(kept.start as u64..kept.end as u64, is_end);
            }
            HttpStep::Send(request) => {
                let part = match request.content {
                    Content::None => 0..0,
                    Content::Part { offset, length } => {
                        let part = offset as usize..(offset + length) as usize;
                        if let Kind::Stream { .. } = kind {
                            assert!(
                                kept.start <= part.start && part.end <= kept.end,
                                "{part:?} is gone"
                            );
                        }
                        part
                    }
                    Content::Stream => 0..content.len(),
                };
                world.requests.push(request.clone());
                let content = &content[part];
                match fates.next().unwrap_or(Fate::Passes) {
                    Fate::Passes => upload.handle_answer(&world.serve(&request, content)),
                    Fate::Cut(most) => {
                        let count = content.len().min(most as usize);
                        let is_all = count == content.len();
                        // A stream in chunks that is cut has no end.
                        let has_end = request.content != Content::Stream;
                        if most > 0 && (!is_all || has_end) {
                            let part = &content[..count];
                            world.serve_cut(&request, part, is_all);
                        }
                        upload.handle_cut();
                    }
                    Fate::AnswerLost => {
                        world.serve(&request, content);
                        upload.handle_cut();
                    }
                    Fate::Answered(answer) => upload.handle_answer(&answer),
                    Fate::Forgets => {
                        world.uploads.clear();
                        upload.handle_answer(&world.serve(&request, content));
                    }
                    Fate::Loses => {
                        for upload in world.uploads.values_mut().filter(|upload| !upload.is_whole) {
                            upload.bytes.truncate(upload.bytes.len() / 2);
                        }
                        upload.handle_answer(&world.serve(&request, content));
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("it does not come to an end: {ran:?}");
}

impl World {
    /// A request of which only a part of the content comes. What begins an upload is gone then, since nobody was told
    /// where it is.
    fn serve_cut(&mut self, request: &Request, content: &[u8], is_all: bool) {
        if is_all || request.method == Method::Patch {
            self.serve(request, content);
        }
    }
}
