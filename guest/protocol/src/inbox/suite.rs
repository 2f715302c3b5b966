//! What every inbox does, as tests: [`inbox_suite!`](crate::inbox_suite) runs them against one.
//!
//! The inboxes differ in what their systems can do (locks, mode bits, free space), and that is tested
//! with each. Whatever the rules of [`super`] say is tested here, once.
#![allow(missing_docs, reason = "the names of the tests say what they test")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod again;
mod content;
mod names;
mod resume;
mod subject;

pub use again::*;
pub use content::*;
pub use names::*;
pub use resume::*;
pub use subject::{BegunUpload, Finished, Make, Response, Settings, Subject};

/// Defines a test for each rule. The argument makes an inbox: `fn(&Settings) -> Box<dyn Subject>`.
#[macro_export]
macro_rules! inbox_suite {
    ($make:expr) => {
        $crate::inbox_suite! { $make;
            a_file_appears_when_it_is_committed_and_not_before
            what_is_dropped_leaves_nothing
            a_wrong_digest_publishes_nothing
            a_wrong_size_publishes_nothing
            bytes_come_in_order_and_not_beyond_the_size
            more_bytes_than_announced_are_a_fault_that_stays
            files_over_the_limit_are_refused_announced_or_grown
            bad_names_are_refused_and_nothing_is_made
            directories_are_made_on_the_way_and_by_themselves
            a_file_in_the_way_of_a_directory_is_said_to_be
            no_link_is_followed
            rename_finds_a_free_name_and_leaves_what_is_there
            refuse_refuses_early_and_late
            replace_replaces_files_and_links_but_no_directory
            the_same_file_again_is_stored_already
            an_offer_without_a_digest_is_asked_for_one
            a_file_that_was_changed_or_moved_is_not_vouched_for
            what_was_stored_is_remembered_across_a_restart
            the_same_content_at_once_is_one_file
            a_made_up_name_is_of_time_and_chance
            a_fixed_name_for_files_without_one_follows_the_conflict_rule
            modification_times_are_kept
            a_size_that_is_not_known_before
            what_an_earlier_run_left_in_staging_is_removed
            an_upload_goes_on_where_its_connection_was_cut
            an_upload_goes_on_after_a_restart_and_another
            what_is_kept_of_a_journal_that_was_cut_anywhere_goes_on
            ranges_come_in_any_order_at_chunk_groups_and_once
            a_later_run_takes_an_upload_over_and_an_earlier_one_does_not
            two_connections_bring_one_file_and_both_get_its_receipt
            a_connection_that_leaves_without_its_part_fails_the_commit
            an_upload_that_begins_anew_has_nothing_of_the_old_one
            a_key_stands_for_one_file
            nothing_stays_of_what_is_not_what_was_to_be_sent
            an_upload_that_is_given_up_leaves_nothing
            what_is_left_of_a_file_that_came_otherwise_is_removed
            a_short_file_with_a_key_is_as_one_without
            a_stream_whose_receipt_was_lost_is_found_again_by_its_key
            a_resumed_upload_follows_the_conflict_rule
        }
    };
    ($make:expr; $($name:ident)*) => {
        $(#[test]
        fn $name() {
            for durable in [true, false] {
                $crate::inbox::suite::$name(&$make, durable);
            }
        })*
    };
}
