//! Which name a request gives to the file that it brings.

use alloc::string::String;

use super::parameters::Parameterised;
use super::problem::Problem;
use super::request::Request;
use super::target::Target;
use crate::RefusalCode;

/// The media type of a form that has the names of files and not their content. curl calls any data so by default.
const FORM_WITHOUT_FILES: &str = "application/x-www-form-urlencoded";

/// The name that the target is.
pub(super) fn target_name(request: &Request) -> Result<Option<String>, Problem> {
    let Target::Path { segments, is_directory, query } = &request.target else { return Ok(None) };
    let detail = match query {
        Some(_) => "the target has a query: a question mark in a name is written %3F",
        None if *is_directory && !segments.is_empty() => "the target ends in a slash",
        None => return Ok(request.target.name()),
    };
    Err(Problem::new(400, RefusalCode::NameInvalid, detail))
}

/// The name of what is posted and is no form: the target, or what `Content-Disposition` says.
pub(super) fn posted_name(request: &Request) -> Result<Option<String>, Problem> {
    if request.audience.is_browser && request.media_type() == FORM_WITHOUT_FILES {
        let detail = "a form that sends files has enctype=\"multipart/form-data\"";
        return Err(Problem::new(415, RefusalCode::UnsupportedVersion, detail));
    }
    if let Some(name) = target_name(request)? {
        return Ok(Some(name));
    }
    disposed_name(request)
}

/// The name that `Content-Disposition` says.
pub(super) fn disposed_name(request: &Request) -> Result<Option<String>, Problem> {
    let disposition = request.fields.single("content-disposition").map_err(Problem::ours)?;
    let Some(disposition) = disposition else { return Ok(None) };
    let name = Parameterised::parse(disposition).and_then(|disposition| disposition.file_name());
    name.map_err(Problem::ours)
}
