//! What is said of a connection that met a limit.

use sandport_protocol::RefusalCode;

use crate::budget::{Limit, Overdue};

/// The code for it, and the words.
pub(crate) fn refusal(limit: Limit) -> (RefusalCode, &'static str) {
    match limit {
        Limit::Waiting => (RefusalCode::TooMany, "too many connections wait for a place"),
        Limit::Idle => (RefusalCode::TooMany, "it was idle, and others wait for its place"),
        Limit::Rate => {
            (RefusalCode::TooMany, "it brings less than the least rate, and others wait")
        }
        Limit::Share => {
            (RefusalCode::TooMany, "its address has more places than others that wait for one")
        }
        Limit::Address => {
            (RefusalCode::TooMany, "its address has as many connections as one may have")
        }
        Limit::FirstByte => (RefusalCode::Timeout, "nothing was sent"),
        Limit::Hello => (RefusalCode::Timeout, "no complete hello or request was sent in time"),
        Limit::Offer => (RefusalCode::Timeout, "nothing was offered in time"),
        // None of these ends a connection.
        Limit::Log => (RefusalCode::TooMany, "it is told too often"),
        Limit::Computing => (RefusalCode::TooMany, "it computes more than its part"),
        Limit::Failures => (RefusalCode::TooMany, "too much of its address came to nothing"),
        Limit::Memory => (RefusalCode::TooMany, "open uploads hold as much memory as they may"),
        Limit::Silence => {
            (RefusalCode::Timeout, "nothing moved, and the receiver did not end the connection")
        }
    }
}

/// The limit that a time is.
pub(crate) fn limit(overdue: Overdue) -> Limit {
    match overdue {
        Overdue::FirstByte => Limit::FirstByte,
        Overdue::Hello => Limit::Hello,
        Overdue::Offer => Limit::Offer,
        Overdue::Silence => Limit::Silence,
    }
}
