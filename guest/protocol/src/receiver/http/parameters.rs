//! Values with parameters: `form-data; name="file"; filename="a.txt"` (RFC 9110, section 5.6.6; RFC 6266; RFC 7578).

use alloc::string::String;
use alloc::vec::Vec;

use percent_encoding::percent_decode_str;

use crate::{Refusal, RefusalCode};

/// Most parameters of a value.
const PARAMETERS_MAX: usize = 16;

/// A value with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::receiver::http) struct Parameterised {
    /// What stands before the parameters, in lower case.
    pub(super) value: String,
    parameters: Vec<(String, String)>,
}

impl Parameterised {
    /// Parses it.
    ///
    /// # Errors
    /// `malformed`: it is not in this form, or says one thing twice.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let (value, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let mut parameters: Vec<(String, String)> = Vec::new();
        while let Some(after) = rest.strip_prefix(';') {
            let after = after.trim_start();
            // Some write a semicolon behind the last one too.
            if after.is_empty() || after.starts_with(';') {
                rest = after;
                continue;
            }
            let (name, after) = after.split_once('=').ok_or_else(malformed)?;
            let name = name.trim().to_ascii_lowercase();
            let (parameter, after) = match after.strip_prefix('"') {
                Some(quoted) => unquoted(quoted)?,
                None => {
                    let (token, after) = after.split_at(after.find(';').unwrap_or(after.len()));
                    (String::from(token.trim()), after)
                }
            };
            rest = after.trim_start();
            if name.is_empty()
                || parameters.len() >= PARAMETERS_MAX
                || parameters.iter().any(|(one, _)| *one == name)
            {
                return Err(malformed());
            }
            parameters.push((name, parameter));
        }
        if !rest.is_empty() {
            return Err(malformed());
        }
        Ok(Self { value: value.trim().to_ascii_lowercase(), parameters })
    }

    /// A parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// The name of a file, as `filename` has it, or else `filename*` (RFC 8187), which some libraries send alone.
    /// Browsers write a quotation mark and line ends in it as `%22`, `%0D` and `%0A` (the multipart encoding of the
    /// HTML standard), and nothing else so.
    ///
    /// # Errors
    /// `name-invalid`: it has a backslash, which some systems take for a separator, or its encoding is not known.
    pub(super) fn file_name(&self) -> Result<Option<String>, Refusal> {
        let name = match (self.get("filename"), self.get("filename*")) {
            (Some(name), _) => name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"),
            (None, Some(extended)) => decoded(extended)?,
            (None, None) => return Ok(None),
        };
        if name.contains('\\') {
            let detail = "the name has a backslash in it";
            return Err(Refusal::new(RefusalCode::NameInvalid, detail));
        }
        Ok(Some(name))
    }
}

/// What is before the closing quotation mark, and what follows it. Of the characters that a backslash can stand before,
/// only those need one that would end the text or be one; browsers write no others so, and a backslash by itself stays.
fn unquoted(quoted: &str) -> Result<(String, &str), Refusal> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((text, &quoted[at + 1..])),
            '\\' if quoted[at + 1..].starts_with(['"', '\\']) => {
                text.extend(chars.next().map(|(_, escaped)| escaped));
            }
            char => text.push(char),
        }
    }
    Err(malformed())
}

/// An extended value of UTF-8 (RFC 8187): `UTF-8'en'na%C3%AFve.txt`.
fn decoded(extended: &str) -> Result<String, Refusal> {
    let invalid = || Refusal::new(RefusalCode::NameInvalid, "the name is not UTF-8");
    let (charset, rest) = extended.split_once('\'').ok_or_else(invalid)?;
    let (_, value) = rest.split_once('\'').ok_or_else(invalid)?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return Err(invalid());
    }
    let name = percent_decode_str(value).decode_utf8().map_err(|_| invalid())?;
    Ok(name.into_owned())
}

fn malformed() -> Refusal {
    Refusal::new(RefusalCode::Malformed, "the parameters of a field do not parse")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_name(text: &str) -> Option<String> {
        Parameterised::parse(text).ok()?.file_name().ok()?
    }

    #[test]
    fn names_are_read_as_clients_write_them() {
        let cases = [
            // curl, and what it does with quotation marks by default and with --form-escape.
            (r#"form-data; name="f"; filename="a.txt""#, "a.txt"),
            (r#"form-data; name="f"; filename="a%22b.txt""#, "a\"b.txt"),
            (r#"form-data; name="f"; filename="a\"b.txt""#, "a\"b.txt"),
            // Browsers send UTF-8, and the path below a chosen directory.
            ("form-data; name=\"f\"; filename=\"Übung/実験.txt\"", "Übung/実験.txt"),
            ("form-data; name=\"f\"; filename=\"100%25.txt\"", "100%25.txt"),
            // Older libraries of Python.
            ("form-data; name=\"f\"; filename*=utf-8''na%C3%AFve.txt", "naïve.txt"),
            ("attachment; filename=plain.txt", "plain.txt"),
            ("ATTACHMENT ; FileName = \"x;y=z.txt\" ;", "x;y=z.txt"),
        ];
        for (text, name) in cases {
            let text = text.replace(" = ", "=");
            assert_eq!(file_name(&text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            r#"form-data; filename="a"; filename="b""#,
            r#"form-data; filename="a"#,
            r#"form-data; filename="a"b"#,
            r#"form-data; filename"#,
            r#"form-data; ="a""#,
        ] {
            assert!(Parameterised::parse(text).is_err(), "{text}");
        }
        for text in [
            r#"form-data; filename="C:\dir\a.txt""#,
            r#"form-data; filename="C:\\dir\\a.txt""#,
            "form-data; filename*=latin-1''a",
            "form-data; filename*=utf-8''%FF",
            "form-data; filename*=a",
        ] {
            assert_eq!(file_name(text), None, "{text}");
        }
    }
}
