//! What both ends of HTTP read and write in fields.

pub(crate) mod base64;
pub(crate) mod digest_name;
pub(crate) mod structured;
