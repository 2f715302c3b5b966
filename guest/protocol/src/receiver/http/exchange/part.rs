//! What a part of a form says of itself in its fields.

use alloc::borrow::ToOwned;
use alloc::string::String;

use crate::receiver::http::fields::Fields;
use crate::receiver::http::parameters::Parameterised;
use crate::{Refusal, RefusalCode};

/// The name of the file that a part is. `None`: it is another field, or one for a file that nobody has chosen.
///
/// # Errors
/// `malformed`: it is no part of a form. Another code: it is a file that cannot be taken.
pub(super) fn file_name(fields: &Fields) -> Result<Option<String>, Refusal> {
    let malformed = |detail: &str| Refusal::new(RefusalCode::Malformed, detail);
    let mut dispositions = fields.bytes("content-disposition");
    let (Some(disposition), None) = (dispositions.next(), dispositions.next()) else {
        return Err(malformed("a part of the form has no Content-Disposition, or more than one"));
    };
    let disposition = core::str::from_utf8(disposition)
        .map_err(|_| Refusal::new(RefusalCode::NameInvalid, "the name is not UTF-8"))?;
    let disposition = Parameterised::parse(disposition)?;
    if disposition.value != "form-data" {
        return Err(malformed("a part of the form is no field of one"));
    }
    let name = disposition.file_name()?;
    let media_type = fields.get("content-type").unwrap_or_default().trim_start();
    if name.is_none()
        && media_type.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/"))
    {
        return Err(malformed("a part of the form has parts of its own"));
    }
    let encoding = fields.get("content-transfer-encoding").unwrap_or("binary");
    if !["binary", "8bit", "7bit"].iter().any(|one| encoding.eq_ignore_ascii_case(one)) {
        let detail = "a file in a form comes without a Content-Transfer-Encoding";
        return Err(Refusal::new(RefusalCode::UnsupportedVersion, detail));
    }
    Ok(name.filter(|name| !name.is_empty()))
}

/// The beginning of a text, as many whole characters of it as `bytes_max` hold.
pub(super) fn cut(text: String, bytes_max: usize) -> String {
    match text.get(..text.floor_char_boundary(bytes_max)) {
        Some(cut) if cut.len() < text.len() => cut.to_owned(),
        _ => text,
    }
}
