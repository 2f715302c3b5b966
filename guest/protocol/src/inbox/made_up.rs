//! Names for uploads that come without one.

use alloc::format;

use crate::EntryName;

const DAY_S: u64 = 24 * 60 * 60;

/// A name that is not in use: the time, so that a person finds it, and chance, so that two of the same
/// second differ. `upload-20261123T125300Z-1f0c9a3e`.
///
/// `now_s` is in seconds since 1970-01-01T00:00:00Z. `None`: it is beyond the year 9999.
pub fn made_up_name(now_s: u64, random: u32) -> Option<EntryName> {
    let (year, month, day) = civil(now_s / DAY_S);
    if year > 9999 {
        return None;
    }
    let second = now_s % DAY_S;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let name =
        format!("upload-{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z-{random:08x}");
    EntryName::parse(&name).ok()
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
///
/// Years begin in March here, so that the day that some of them lack is their last.
fn civil(day: u64) -> (u64, u64, u64) {
    /// Days of 400, 100, 4 years and one.
    const DAYS: [u64; 4] = [146_097, 36_524, 1_461, 365];
    // From 0000-03-01.
    let day = day + 719_468;
    let (era, day) = (day / DAYS[0], day % DAYS[0]);
    let year = (day - day / (DAYS[2] - 1) + day / DAYS[1] - day / (DAYS[0] - 1)) / DAYS[3];
    let day = day - (DAYS[3] * year + year / 4 - year / 100);
    // March to January have 153 days in each five months.
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day_of_month)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_name_has_the_time_in_utc_and_what_chance_gave() {
        let name = |now_s, random| made_up_name(now_s, random).unwrap().as_str().to_owned();
        use alloc::borrow::ToOwned;
        assert_eq!(name(0, 0), "upload-19700101T000000Z-00000000");
        assert_eq!(name(951_782_399, 1), "upload-20000228T235959Z-00000001");
        assert_eq!(name(951_782_400, 1), "upload-20000229T000000Z-00000001");
        assert_eq!(name(951_868_800, 1), "upload-20000301T000000Z-00000001");
        assert_eq!(name(1_795_438_380, 0x1f0c_9a3e), "upload-20261123T125300Z-1f0c9a3e");
        assert_eq!(name(4_107_542_400, 2), "upload-21000301T000000Z-00000002");
        assert_eq!(made_up_name(u64::MAX, 0), None);
    }
}
