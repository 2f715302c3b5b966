//! Where the content of requests comes from.

use std::io::Read;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use sandport_protocol::{Digest, Extent};

use super::blocks::Blocks;
use super::feed::Feed;
use crate::file_reader::{Chunk, Content, FileReader};
use crate::prepare::{self, Item, Links};
use crate::{FileError, SendFile};

/// The content of one upload.
pub(super) enum Payload {
    /// A small file.
    Memory { content: Bytes, digest: Digest },
    /// A file, read from wherever the server goes on.
    File { file: SendFile, links: Links, feed: Option<Feed> },
    /// A stream: what was read of it and is not safe at the server is kept.
    Stream(Blocks),
}

impl Payload {
    /// What is to be sent of an item, and what it is. Others have no content.
    ///
    /// # Errors
    /// Those of opening a file without a size, which is read like a stream.
    pub(super) fn of(item: Item) -> Result<Option<(SendFile, Self)>, (SendFile, FileError)> {
        Ok(Some(match item {
            Item::Small { file, content, digest, .. } => (file, Self::Memory { content, digest }),
            Item::Large { file, links, .. } if file.size.is_some() => {
                (file.clone(), Self::File { file, links, feed: None })
            }
            Item::Large { file, links, .. } => match prepare::open(&file.path, links) {
                Ok((opened, _)) => (file, Self::stream(Box::new(opened))),
                Err(error) => return Err((file, error)),
            },
            Item::Stream { file, reader, .. } => (file, Self::stream(reader)),
            Item::Directory(_) | Item::Skipped { .. } | Item::Failed { .. } => return Ok(None),
        }))
    }

    fn stream(reader: Box<dyn Read + Send>) -> Self {
        let all = Extent { offset: 0, length: None };
        Self::Stream(Blocks::new(FileReader::start(Content::Reader(reader), &[all])))
    }

    /// No content.
    pub(super) fn nothing() -> Self {
        let digest = Digest::Blake3(*blake3::hash(b"").as_bytes());
        Self::Memory { content: Bytes::new(), digest }
    }

    /// The size of a stream, once all was read.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Memory { content, .. } => Some(content.len() as u64),
            Self::File { file, .. } => file.size,
            Self::Stream(blocks) => blocks.end().map(|(size, _)| size),
        }
    }

    /// Makes ready to send from `offset` on.
    pub(super) fn seek(&mut self, offset: u64) {
        match self {
            Self::Memory { .. } => {}
            Self::File { file, links, feed } => {
                if feed.as_ref().is_none_or(|feed| feed.position() != offset) {
                    *feed = Some(Feed::start(Content::of(file, *links), offset));
                }
            }
            Self::Stream(blocks) => blocks.seek(offset),
        }
    }

    /// The next bytes from `offset` on, `most` of them at most. `None`: there are no more.
    ///
    /// # Errors
    /// What went wrong with the file.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        most: u64,
    ) -> Poll<Result<Option<Chunk>, FileError>> {
        Poll::Ready(match self {
            Self::Memory { content, .. } => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
                let rest = content.len() - start;
                let length = usize::try_from(most).unwrap_or(usize::MAX).min(rest);
                let part = content.slice(start..start + length);
                Ok((length > 0).then(|| Chunk::shared(offset, part)))
            }
            Self::File { feed: Some(feed), .. } => ready!(feed.poll_next(cx, most)),
            Self::File { feed: None, .. } => Ok(None),
            Self::Stream(blocks) => ready!(blocks.poll_next(cx, most)),
        })
    }

    /// Where buffers go when they are empty.
    pub(super) fn used(&self) -> Option<Sender<Vec<u8>>> {
        match self {
            Self::File { feed, .. } => feed.as_ref().map(Feed::used),
            Self::Memory { .. } | Self::Stream(_) => None,
        }
    }

    /// The digest of the whole, as far as it is known.
    pub(super) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Memory { digest, .. } => Some(*digest),
            Self::File { feed, .. } => feed.as_ref().and_then(Feed::digest),
            Self::Stream(blocks) => blocks.end().map(|(_, digest)| digest),
        }
    }

    /// All of the content, to be read again; a stream cannot be.
    pub(super) fn again(&self) -> Option<Content> {
        match self {
            Self::Memory { content, .. } => {
                Some(Content::Reader(Box::new(std::io::Cursor::new(content.clone()))))
            }
            Self::File { file, links, .. } => Some(Content::of(file, *links)),
            Self::Stream(_) => None,
        }
    }
}
