//! Points in time as people write them: RFC 3339 in UTC, or milliseconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

use consign_types::time::Millis;

/// Reads `2026-11-22T12:00:03Z`, with or without a fraction, or a plain number of milliseconds.
///
/// # Errors
/// When the text is neither.
pub fn parse(text: &str) -> Result<Millis, String> {
    if let Ok(ms) = text.parse() {
        return Ok(Millis(ms));
    }
    rfc3339(text).ok_or_else(|| {
        format!("{text:?} is not a time: expected 2026-11-22T12:00:03Z or milliseconds since 1970")
    })
}

/// The present, by this machine's clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Seconds of a length of time: `90s`, `5m`, `12h` or `30d`.
///
/// # Errors
/// When the text is none.
pub fn age(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no age; say 90s, 5m, 12h or 30d");
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).ok_or_else(wrong)
}

fn rfc3339(text: &str) -> Option<Millis> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let fraction = format!("{fraction:0<3}");
    let ms: u64 = fraction.get(..3)?.parse().ok()?;
    let valid = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && fraction.bytes().all(|b| b.is_ascii_digit());
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let instant = Millis(seconds * 1000 + ms);
    // A day that the month does not have comes back as another date.
    (valid && instant.to_string().starts_with(date)).then_some(instant)
}

fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut number = |digits| {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        if plain { part.parse().ok() } else { None }
    };
    let found = [number(digits[0])?, number(digits[1])?, number(digits[2])?];
    parts.next().is_none().then_some(found)
}

/// Days since the epoch (H. Hinnant, "chrono-compatible low-level date algorithms"), from 1970 on.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year.saturating_sub(u64::from(month <= 2));
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.saturating_sub(1);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_a_number_and_a_unit() {
        assert_eq!(["90s", "5m", "12h", "30d"].map(age), [90, 300, 43_200, 2_592_000].map(Ok));
        for wrong in ["", "5", "m", "5 m", "-5m", "5w", "99999999999999999999d", "\u{e9}"] {
            assert!(age(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for ms in [0, 951_782_400_000, 1_700_000_000_123, 4_102_444_800_000, 253_402_300_799_999] {
            assert_eq!(parse(&Millis(ms).to_string()), Ok(Millis(ms)));
        }
        assert_eq!(parse("2026-11-22T12:00:03Z"), Ok(Millis(1_795_348_803_000)));
        assert_eq!(parse("1700000000123"), Ok(Millis(1_700_000_000_123)));
    }

    #[test]
    fn everything_else_is_no_time() {
        for text in
            ["", "today", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-22", "-1"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
