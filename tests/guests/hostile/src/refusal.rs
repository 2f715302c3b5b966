//! Refusals.

use crate::bindings::sandport::upload::types::{Refusal, RefusalCode};

/// What arrived makes no sense.
pub(crate) fn malformed(detail: Option<&str>) -> Refusal {
    let detail = detail.map(str::to_owned);
    Refusal { code: RefusalCode::Malformed, temporary: false, detail }
}
