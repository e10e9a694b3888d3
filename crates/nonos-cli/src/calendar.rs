//! Calendar: seconds since 1970-01-01 UTC, as people write them and back. The only place that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds of a day.
pub(crate) const DAY_SECONDS: u64 = 86_400;
/// The last year that is read and written.
const YEAR_MAX: u64 = 9999;

/// Now, in seconds since 1970-01-01 UTC; 0 for a clock that is before it.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `1763935200`, `2026-11-23` (its first second) or `2026-11-23T22:00:00Z`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("{text:?} is no time: write 2026-11-23, 2026-11-23T22:00:00Z, or seconds since 1970-01-01 UTC");
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| wrong());
    }
    let (date, clock) = text.split_once('T').map_or((text, "00:00:00Z"), |parts| parts);
    let [year, month, day] = numbers(date, '-', [4, 2, 2]).ok_or_else(wrong)?;
    let clock = clock.strip_suffix('Z').ok_or_else(wrong)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2]).ok_or_else(wrong)?;
    let in_range = (1970..=YEAR_MAX).contains(&year) && (1..=12).contains(&month) && day >= 1;
    if !in_range || day > days_of_month(year, month) || hour > 23 || minute > 59 || second > 59 {
        return Err(wrong());
    }
    Ok(day_number(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}

/// `2026-11-23 22:00:00 UTC`; beyond the year 9999 the seconds.
pub(crate) fn print(seconds: u64) -> String {
    let mut day = seconds / DAY_SECONDS;
    let mut year = 1970;
    if day >= day_number(YEAR_MAX + 1, 1, 1) {
        return format!("{seconds} s after 1970-01-01 UTC");
    }
    while day >= days_of_year(year) {
        day -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while day >= days_of_month(year, month) {
        day -= days_of_month(year, month);
        month += 1;
    }
    let rest = seconds % DAY_SECONDS;
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02} UTC", day + 1)
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (number, width) in found.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// Days from 1970-01-01 to a date.
fn day_number(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year).map(days_of_year).sum();
    let months: u64 = (1..month).map(|month| days_of_month(year, month)).sum();
    years + months + day - 1
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_print() {
        // From `date -u -d … +%s`.
        let check = |text: &str, seconds, printed: &str| {
            assert_eq!(parse(text), Ok(seconds));
            assert_eq!(print(seconds), printed);
        };
        check("0", 0, "1970-01-01 00:00:00 UTC");
        check("1970-01-01", 0, "1970-01-01 00:00:00 UTC");
        check("2000-02-29T23:59:59Z", 951_868_799, "2000-02-29 23:59:59 UTC");
        check("2026-11-23", 1_795_392_000, "2026-11-23 00:00:00 UTC");
        check("2100-03-01", 4_107_542_400, "2100-03-01 00:00:00 UTC");
        check("9999-12-31T23:59:59Z", 253_402_300_799, "9999-12-31 23:59:59 UTC");
        assert_eq!(print(u64::MAX), format!("{} s after 1970-01-01 UTC", u64::MAX));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "-1", "2026-13-01", "2026-02-29", "2026-11-23T24:00:00Z", "2026-11-23T00:00:00", "26-11-23"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
