//! Dates of HTTP (RFC 9110, section 5.6.7), in the form that is written today: `Sun, 06 Nov 1994 08:49:37 GMT`.

use alloc::format;
use alloc::string::String;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const DAY_S: i64 = 86_400;

/// Days from 1970-01-01 to 9999-12-31, the last that four digits of a year can say.
const DAYS_MAX: i64 = 2_932_896;

/// Days of 400 years, after which the calendar repeats itself.
const ERA_DAYS: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// The moment that a date names, in seconds since 1970-01-01T00:00:00Z. `None`: it is not a date in this form, or
/// there is no such day. The name of the day is not compared.
pub(in crate::receiver::http) fn parse(text: &str) -> Option<i64> {
    let (day_name, rest) = text.split_once(", ")?;
    if !DAYS.contains(&day_name) {
        return None;
    }
    let mut parts = rest.split(' ');
    let day = number(parts.next()?, 2)?;
    let month_name = parts.next()?;
    let month = MONTHS.iter().position(|one| *one == month_name)? as i64 + 1;
    let year = number(parts.next()?, 4)?;
    let mut time = parts.next()?.split(':');
    let (hour, minute, second) =
        (number(time.next()?, 2)?, number(time.next()?, 2)?, number(time.next()?, 2)?);
    if parts.next()? != "GMT" || parts.next().is_some() || time.next().is_some() {
        return None;
    }
    // A second of 60 is a leap second, which is the first of the next minute here.
    if day < 1 || day > days_of(month, year) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days_from_civil(year, month, day) * DAY_S + hour * 3_600 + minute * 60 + second)
}

/// A moment as a date. What is before 1970 or after 9999 becomes the first or the last day between.
pub(in crate::receiver::http) fn format(seconds: i64) -> String {
    let days = seconds.div_euclid(DAY_S).clamp(0, DAYS_MAX);
    let second = seconds.rem_euclid(DAY_S);
    let (year, month, day) = civil_from_days(days);
    // 1970-01-01 was a Thursday.
    let day_name = DAYS[((days + 3) % 7) as usize];
    let month_name = MONTHS[(month - 1) as usize];
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{day_name}, {day:02} {month_name} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let all = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

fn days_of(month: i64, year: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, in the calendar that was extended backwards. Years are counted from March, so that the day
/// that a leap year has more is their last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_goes_both_ways() {
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(parse(text), Some(784_111_777));
        assert_eq!(format(784_111_777), text);
    }

    #[test]
    fn every_day_of_four_centuries_comes_back() {
        for day in 0..ERA_DAYS {
            let seconds = day * DAY_S + day % DAY_S;
            assert_eq!(parse(&format(seconds)), Some(seconds), "day {day}");
        }
        assert_eq!(format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format(i64::MAX).get(..16), Some("Fri, 31 Dec 9999"));
    }

    #[test]
    fn what_is_no_day_or_has_another_form_is_no_date() {
        for text in [
            "",
            "Sun, 29 Feb 1900 00:00:00 GMT",
            "Sun, 31 Apr 2000 00:00:00 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT and more",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
