//! A small server of uploads over HTTP, which misbehaves as a test says.
//!
//! It speaks the resumable uploads of the IETF, tus, or neither; one connection after the other or several at once, and
//! keeps all in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Destination;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    Resumable,
    Tus,
    Nothing,
}

/// What becomes of a request that has content, in the order in which they come.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It is answered as it should be.
    Passes,
    /// The connection ends after so many bytes of the content, which are kept.
    Cut(usize),
    /// It is answered so when it has come.
    Answered(&'static str),
    /// It is answered so before its content has come, and the connection ends.
    AnsweredEarly(&'static str),
    /// All uploads are forgotten, as by a server that was started anew without its disk.
    Forgets,
}

#[derive(Clone, Debug, Default)]
struct Upload {
    target: String,
    bytes: Vec<u8>,
    size: Option<usize>,
    is_whole: bool,
}

#[derive(Default)]
pub(super) struct Site {
    /// What is stored, by the target that it was sent to, or the name that tus was told.
    pub(super) stored: BTreeMap<String, Vec<u8>>,
    /// Method and target of each request.
    pub(super) requests: Vec<String>,
    /// Bytes of content that have come.
    pub(super) received: usize,
    pub(super) fates: VecDeque<Fate>,
    /// What the last answer of an upload says besides.
    pub(super) last_fields: String,
    uploads: BTreeMap<String, Upload>,
}

pub(super) struct Web {
    pub(super) to: Destination,
    pub(super) authority: String,
    site: Arc<Mutex<Site>>,
    accepting: JoinHandle<()>,
}

impl Web {
    pub(super) async fn start(speaks: Speaks, fates: impl IntoIterator<Item = Fate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let site =
            Arc::new(Mutex::new(Site { fates: fates.into_iter().collect(), ..Site::default() }));
        let shared = Arc::clone(&site);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { serve(stream, speaks, &shared).await });
            }
        });
        let to = format!("http://{authority}/in/").parse().unwrap();
        Self { to, authority, site, accepting }
    }

    pub(super) fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves requests until the connection ends.
async fn serve(stream: TcpStream, speaks: Speaks, site: &Mutex<Site>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut fields = BTreeMap::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            fields.insert(name.to_lowercase(), value.to_owned());
        }
        let is_chunked = fields.contains_key("transfer-encoding");
        let length: usize = fields.get("content-length").map_or(0, |text| text.parse().unwrap());
        let brings = method == "PATCH" || method == "PUT" || method == "POST";
        let fate = {
            let mut site = site.lock().unwrap();
            site.requests.push(format!("{method} {target}"));
            if brings { site.fates.pop_front() } else { None }.unwrap_or(Fate::Passes)
        };
        if let Fate::AnsweredEarly(answer) = fate {
            stream.write_all(answer.as_bytes()).await.ok()?;
            return None;
        }
        let wanted = if let Fate::Cut(most) = fate { length.min(most) } else { length };
        let mut content = vec![0; wanted];
        if is_chunked {
            content = chunks(&mut stream).await?;
        } else {
            stream.read_exact(&mut content).await.ok()?;
        }
        let answer = {
            let mut site = site.lock().unwrap();
            site.received += content.len();
            match fate {
                Fate::Cut(_) => {
                    // What is begun and was not answered is gone.
                    if let Some(upload) = site.uploads.get_mut(&target) {
                        upload.bytes.extend(content);
                    }
                    return None;
                }
                Fate::Answered(answer) => answer.to_owned(),
                Fate::Forgets => {
                    site.uploads.clear();
                    site.answer(speaks, &method, &target, &fields, content)
                }
                _ => site.answer(speaks, &method, &target, &fields, content),
            }
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

async fn chunks(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).await.ok()?;
        if length == 0 {
            return Some(content);
        }
        content.extend_from_slice(&chunk[..length]);
    }
}

impl Site {
    fn answer(
        &mut self,
        speaks: Speaks,
        method: &str,
        target: &str,
        fields: &BTreeMap<String, String>,
        content: Vec<u8>,
    ) -> String {
        let number = |name: &str| fields.get(name).map(|text| text.parse::<usize>().unwrap());
        let completes = fields.get("upload-complete").is_some_and(|value| value == "?1");
        match (method, speaks) {
            ("OPTIONS", Speaks::Resumable) => {
                with(204, "Accept-Patch: application/partial-upload\r\nServer: web/1\r\n")
            }
            ("OPTIONS", Speaks::Tus) => with(
                204,
                "Tus-Version: 1.0.0\r\nTus-Extension: creation,creation-with-upload,creation-defer-length\r\n",
            ),
            ("OPTIONS", Speaks::Nothing) => with(405, ""),
            ("PUT" | "POST", Speaks::Nothing) => {
                self.stored.insert(target.to_owned(), content);
                with(201, &self.last_fields)
            }
            ("PUT" | "POST", _) => {
                let size = number("upload-length").or_else(|| completes.then_some(content.len()));
                let target = fields.get("upload-metadata").cloned().unwrap_or(target.to_owned());
                let mut upload = Upload { target, bytes: content, size, is_whole: false };
                let url = format!("/up/{}", self.uploads.len());
                let is_tus = speaks == Speaks::Tus;
                let has_all = completes || (is_tus && upload.size == Some(upload.bytes.len()));
                let more = self.advance(&mut upload, has_all);
                self.uploads.insert(url.clone(), upload);
                with(201, &format!("Location: {url}\r\n{more}"))
            }
            ("HEAD", _) => match self.uploads.get(target) {
                Some(upload) => with(204, &state(upload)),
                None => with(404, ""),
            },
            ("DELETE", _) => {
                self.uploads.remove(target);
                with(204, "")
            }
            ("PATCH", _) => {
                let Some(mut upload) = self.uploads.get(target).cloned() else {
                    return with(404, "");
                };
                if number("upload-offset") != Some(upload.bytes.len()) {
                    return with(409, &state(&upload));
                }
                upload.size = number("upload-length").or(upload.size);
                upload.bytes.extend(content);
                let is_all = upload.size == Some(upload.bytes.len());
                let more =
                    self.advance(&mut upload, completes || (speaks == Speaks::Tus && is_all));
                self.uploads.insert(target.to_owned(), upload);
                with(204, &more)
            }
            _ => with(501, ""),
        }
    }

    /// Stores what is whole.
    fn advance(&mut self, upload: &mut Upload, is_whole: bool) -> String {
        if !is_whole {
            return state(upload);
        }
        upload.is_whole = true;
        self.stored.insert(upload.target.clone(), upload.bytes.clone());
        format!("{}{}", state(upload), self.last_fields)
    }
}

fn state(upload: &Upload) -> String {
    let complete = if upload.is_whole { "?1" } else { "?0" };
    let length = upload.size.map(|size| format!("Upload-Length: {size}\r\n")).unwrap_or_default();
    format!("Upload-Offset: {}\r\nUpload-Complete: {complete}\r\n{length}", upload.bytes.len())
}

fn with(status: u16, fields: &str) -> String {
    let length = if status == 204 { "" } else { "Content-Length: 0\r\n" };
    format!("HTTP/1.1 {status} As said\r\n{fields}{length}\r\n")
}
