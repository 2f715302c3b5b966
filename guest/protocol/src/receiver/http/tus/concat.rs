//! What an upload of tus has to do with others: `Upload-Concat`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::fields::malformed;
use crate::receiver::http::fields::Fields;
use crate::receiver::http::key;
use crate::receiver::http::problem::Problem;
use crate::receiver::http::resource::{Notes, Role};
use crate::{CONCATENATED_MAX, METADATA_BYTES_MAX, Refusal, RefusalCode};

/// The name under which is kept what `Upload-Concat` said.
const NOTE_CONCAT: &str = "upload-concat";

/// What the rest of what is kept may take, so that none of it is refused later: names, the time of the file. Bytes.
const OTHER_NOTES_BYTES: usize = 256;

/// The field, and what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Concat {
    pub(super) role: Role,
    /// As it came, to be told again.
    text: String,
}

impl Concat {
    /// `None`: there is no such field.
    ///
    /// # Errors
    /// The answer where it is neither `partial` nor `final;` with URLs, or has too many of them, or one leads to no
    /// upload.
    pub(super) fn of(fields: &Fields) -> Result<Option<Self>, Problem> {
        let text = fields.single("upload-concat").map_err(Problem::ours)?;
        let Some(text) = text else { return Ok(None) };
        let role = role(text).map_err(|refusal| match refusal.code {
            RefusalCode::InvalidState => Problem::ours(refusal).status(404),
            _ => Problem::ours(refusal).status(400),
        })?;
        Ok(Some(Self { role, text: text.to_owned() }))
    }

    /// Keeps it beside what else is kept: `metadata` above all.
    ///
    /// # Errors
    /// The answer where both are too long together.
    pub(super) fn note(&self, notes: Notes, metadata: &str) -> Result<Notes, Problem> {
        if metadata.len() + self.text.len() + OTHER_NOTES_BYTES > METADATA_BYTES_MAX {
            let most = METADATA_BYTES_MAX - OTHER_NOTES_BYTES;
            let words =
                format!("Upload-Concat and Upload-Metadata have {most} bytes together at most");
            return Err(Problem::new(431, RefusalCode::TooLarge, words));
        }
        Ok(notes.with(NOTE_CONCAT, &self.text))
    }
}

/// What was kept of it: as it came.
pub(super) fn recall(notes: &Notes) -> Option<String> {
    notes.get(NOTE_CONCAT)
}

/// What it has meant.
pub(super) fn role_of(notes: &Notes) -> Role {
    recall(notes).and_then(|text| role(&text).ok()).unwrap_or_default()
}

fn role(text: &str) -> Result<Role, Refusal> {
    if text == "partial" {
        return Ok(Role::Part);
    }
    let urls = text.strip_prefix("final;").map(str::split_ascii_whitespace);
    let urls: Vec<&str> = urls.into_iter().flatten().collect();
    if urls.is_empty() {
        return Err(malformed("the field upload-concat is neither partial nor final;URLs"));
    }
    if urls.len() > CONCATENATED_MAX {
        let words = format!("a final upload has {CONCATENATED_MAX} parts at most");
        return Err(Refusal::new(RefusalCode::TooMany, words));
    }
    let keys = urls.into_iter().map(|url| {
        key_of(url).ok_or_else(|| {
            Refusal::new(RefusalCode::InvalidState, "a part of the final upload is not there")
        })
    });
    keys.collect::<Result<_, _>>().map(Role::Final)
}

/// The key of an upload by its URL: absolute, or relative to where uploads are made, and below whatever a proxy has
/// put in front of it. The key alone counts. Nobody can guess it.
fn key_of(url: &str) -> Option<Vec<u8>> {
    let path = match url.split_once("://") {
        Some(("http" | "https", rest)) => rest.split_once('/')?.1,
        Some(_) => return None,
        None => url,
    };
    key::parse(path.rsplit('/').next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_a_part_or_a_list_of_urls() {
        let keys = vec![vec![1; 32], vec![2; 32]];
        let [a, b] = [key::segment(&keys[0]), key::segment(&keys[1])];
        assert_eq!(role("partial"), Ok(Role::Part));
        for text in [
            format!("final;/files/{a} /files/{b}"),
            format!("final; http://h:1/files/{a}   https://h/below/files/{b}"),
            format!("final;{a} files/{b}"),
            format!("final;./{a} ../other/{b}"),
        ] {
            assert_eq!(role(&text), Ok(Role::Final(keys.clone())), "{text}");
        }
        let twice = format!("final;{a} {a}");
        assert_eq!(role(&twice), Ok(Role::Final(vec![keys[0].clone(), keys[0].clone()])));
        let malformed = ["", "Partial", "final", "final;", "final; ", "partial;/files/a", "finale"];
        let code = |text: &str| role(text).map_err(|refusal| refusal.code);
        for text in malformed {
            assert_eq!(code(text), Err(RefusalCode::Malformed), "{text:?}");
        }
        for url in [format!("ftp://h/files/{a}"), "/files/".into(), "http://h".into(), "=".into()] {
            let text = format!("final;{url}");
            assert_eq!(code(&text), Err(RefusalCode::InvalidState), "{text}");
        }
        let many = format!("final;{}", "AA ".repeat(CONCATENATED_MAX));
        assert!(role(&many).is_ok());
        assert_eq!(code(&(many + "AA")), Err(RefusalCode::TooMany));
    }
}
