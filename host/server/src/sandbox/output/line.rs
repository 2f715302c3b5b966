//! Lines, whatever the writes are that they come in.

/// Longest line that is kept. Bytes. A report of a name of 2,048 bytes and a detail, escaped, fits.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// A line that was begun. What goes beyond its limit is dropped.
#[derive(Default)]
pub(in crate::sandbox) struct Line {
    bytes: Vec<u8>,
}

impl Line {
    /// Goes on with `bytes`, up to their first line end. If they have one, the line that it ends, and the rest
    /// of the bytes.
    pub(in crate::sandbox) fn push<'a>(&mut self, bytes: &'a [u8]) -> Option<(Vec<u8>, &'a [u8])> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = LINE_BYTES_MAX - self.bytes.len();
        self.bytes.extend_from_slice(&part[..part.len().min(room)]);
        end.map(|end| (self.take(), &bytes[end + 1..]))
    }

    /// Ends the line where it is. It is empty where none was begun.
    pub(in crate::sandbox) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of these writes, and what is left.
    fn lines(writes: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut line, mut all) = (Line::default(), Vec::new());
        for bytes in writes {
            let mut rest = *bytes;
            while let Some((whole, behind)) = line.push(rest) {
                all.push(whole);
                rest = behind;
            }
        }
        (all, line.take())
    }

    #[test]
    fn lines_are_put_together_whatever_the_writes() {
        let (whole, begun) = lines(&[b"a", b"b\n\ncd\ne", b"", b"f"]);
        assert_eq!(whole, [&b"ab"[..], b"", b"cd"]);
        assert_eq!(begun, b"ef");
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let (whole, begun) = lines(&[&[b'x'; 10_000][..]; 1_000]);
        assert!(whole.is_empty());
        assert_eq!(begun.len(), LINE_BYTES_MAX);
        let (whole, _) = lines(&[&[b'x'; 100_000], b"y\nshort\n"]);
        assert_eq!((whole[0].len(), &whole[1][..]), (LINE_BYTES_MAX, &b"short"[..]));
    }
}
