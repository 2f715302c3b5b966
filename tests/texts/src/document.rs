//! What a Markdown document refers to, and what can be referred to in it.

use std::collections::BTreeSet;
use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::anchors::Anchors;

/// A reference from a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Where it leads, as it is written.
    pub target: String,
}

/// A document, as far as references are concerned.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The destinations of links and images.
    pub links: Vec<Link>,
    /// Texts in backticks, outside of code blocks.
    pub code: Vec<Link>,
    /// The anchors of its headings.
    pub anchors: BTreeSet<String>,
}

impl Document {
    /// Parses a document.
    pub fn parse(text: &str) -> Self {
        let mut document = Self::default();
        let mut anchors = Anchors::default();
        let mut heading: Option<String> = None;
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let heading = heading.take().unwrap_or_default();
                    document.anchors.insert(anchors.of(&heading));
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document
                        .links
                        .push(Link { line: line(text, &range), target: dest_url.into_string() });
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    document
                        .code
                        .push(Link { line: line(text, &range), target: code.into_string() });
                }
                Event::Text(words) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&words);
                    }
                }
                _ => {}
            }
        }
        document
    }
}

fn line(text: &str, range: &Range<usize>) -> usize {
    let before = text.as_bytes().get(..range.start).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_headings_and_code_are_found_and_code_blocks_are_not() {
        let document = Document::parse(
            "# A `b` c\n\n[x](y.md#z)\n![p](p.png) `src/lib.rs`\n\n```sh\n[no](no.md) `no.rs`\n```\n\n| a |\n|---|\n| [t](t.md) |\n",
        );
        let link = |line, target: &str| Link { line, target: target.to_owned() };
        assert_eq!(document.links, [link(3, "y.md#z"), link(4, "p.png"), link(12, "t.md")]);
        assert_eq!(document.code, [link(1, "b"), link(4, "src/lib.rs")]);
        assert_eq!(document.anchors, BTreeSet::from([String::from("a-b-c")]));
    }
}
